//! Reads a call.

use clap::{CommandFactory, FromArgMatches};

use super::Cli;

impl Cli {
    /// Reads the call of this process.
    pub fn read() -> Result<Self, clap::Error> {
        Self::read_from(std::env::args_os())
    }

    fn read_from<T: Into<std::ffi::OsString> + Clone>(call: impl IntoIterator<Item = T>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        command.build();
        Self::from_arg_matches(&with_usage(command).try_get_matches_from(call)?)
    }
}

/// Fixes the usage lines: those of an error would show as required what environment variables have set.
fn with_usage(mut command: clap::Command) -> clap::Command {
    let usage = command.render_usage().to_string();
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, with_usage);
    }
    command.override_usage(usage.trim_start_matches("Usage: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_optional_does_not_look_required_in_an_error() {
        for (call, usage) in [
            (&["start", "--addr", "x"][..], "Usage: tomcat-grid start [OPTIONS] <TARGET>..."),
            (&["--addr", "x", "operations", "cancel"], "Usage: tomcat-grid operations cancel [OPTIONS] <ID>"),
        ] {
            let error = Cli::read_from(["tomcat-grid"].iter().chain(call)).unwrap_err().to_string();
            assert!(error.lines().any(|line| line == usage), "{error}");
        }
        assert!(Cli::read_from(["tomcat-grid", "start", "a@web-1"]).is_ok());
    }
}
