//! `hooks`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `hooks`
#[derive(Debug, Args)]
pub struct HooksArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<HooksAction>,
}

/// What can be done with hook programs.
#[derive(Debug, Subcommand)]
pub enum HooksAction {
    /// Show all programs, and the hooks of the configuration
    List,
    /// Add a program: a script or an executable. One of the same name is replaced
    Add {
        /// The file
        file: PathBuf,
        /// What it is called in the grid [default: the name of the file]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Show a program, the machines that have it, and the hooks that run it
    Show {
        /// The program
        name: String,
    },
    /// Remove a program that no hook runs
    Remove {
        /// The program
        name: String,
    },
}
