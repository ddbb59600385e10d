//! `completions`

use std::{io, process::ExitCode};

use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs};

/// Prints a completion script.
pub fn run(arguments: &CompletionsArgs) -> ExitCode {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "tomcat-grid", &mut io::stdout());
    ExitCode::SUCCESS
}
