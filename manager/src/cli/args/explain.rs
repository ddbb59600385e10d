//! What `explain` takes.

use clap::Args;

use crate::grid::command::Command;

/// `explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The command: start, stop, kill, restart or killstart
    #[arg(value_name = "COMMAND")]
    pub command: Command,
    /// On what
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
}
