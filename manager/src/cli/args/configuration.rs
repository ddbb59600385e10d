//! `apply`, `diff`, `config` and `collections`.

use clap::{Args, Subcommand};

/// `apply`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Show only what would be different
    #[arg(long)]
    pub dry_run: bool,
    /// Only if this version is in force
    #[arg(long, value_name = "VERSION")]
    pub if_version: Option<u64>,
}

/// `diff`
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    pub file: String,
}

/// `config`
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do [default: show]
    #[command(subcommand)]
    pub action: Option<ConfigAction>,
}

/// What can be done with the configuration's versions.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Show the configuration in force, or another version
    Show {
        /// The version [default: the one in force]
        version: Option<u64>,
    },
    /// Show every version that was applied, the latest first
    History {
        /// Show this many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Put a version in force again
    Restore {
        /// The version
        version: u64,
        /// Show only what would be different
        #[arg(long)]
        dry_run: bool,
    },
}

/// `collections`
#[derive(Debug, Args)]
pub struct CollectionsArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<CollectionsAction>,
}

/// What can be done with collections.
#[derive(Debug, Subcommand)]
pub enum CollectionsAction {
    /// Show all collections
    List,
    /// Show one, with its services
    Show {
        /// The collection
        name: String,
    },
}
