//! `token` and `users`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Span;
use crate::grid::access::Role;

/// `token`
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What to do
    #[command(subcommand)]
    pub action: TokenAction,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make a token and print it, and nothing else: a join token, or with --api an API token
    Create {
        /// How long it lives
        #[arg(long, default_value = "24h", value_name = "TIME")]
        ttl: Span,
        /// How many machines it may join
        #[arg(long, default_value_t = 1, conflicts_with = "api")]
        uses: u32,
        /// The only machine it may join, which may be registered already: a host that was rebuilt
        #[arg(long, value_name = "NAME", conflicts_with = "api")]
        machine: Option<String>,
        /// Make an API token
        #[arg(long, requires = "role")]
        api: bool,
        /// The role of the API token; it never gives more than its owner has
        #[arg(long, requires = "api")]
        role: Option<Role>,
        /// The only services that the API token is for; may be given more than once
        #[arg(long = "target", value_name = "TARGET", requires = "api")]
        targets: Vec<String>,
        /// What the API token is for, in words
        #[arg(long, value_name = "TEXT", requires = "api")]
        description: Option<String>,
        /// The user whose API token it is; it goes when the user goes [default: you, if you are a user of the grid]
        #[arg(long, value_name = "USER", requires = "api")]
        owner: Option<String>,
    },
    /// Show tokens, without their secrets: all for an admin, and for others their own
    List,
    /// Revoke a token
    Revoke {
        /// The token's id
        id: String,
    },
}

/// `users`
#[derive(Debug, Args)]
pub struct UsersArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<UsersAction>,
}

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UsersAction {
    /// Show all users
    List,
    /// Add a user; a password that is not given is generated, and printed alone
    Add {
        /// The name
        name: String,
        /// What the user may do
        #[arg(long)]
        role: Role,
        /// From where the password comes
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Give a user another role
    Role {
        /// The user
        name: String,
        /// What the user may do
        role: Role,
    },
    /// Give a user another password, and end all their sessions; one that is not given is generated, and printed alone.
    /// Users change their own with the old one, on the page
    Password {
        /// The user
        name: String,
        /// From where the password comes
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// End all sessions of a user
    Logout {
        /// The user
        name: String,
    },
    /// Remove a user, with their sessions and API tokens
    Remove {
        /// The user
        name: String,
    },
}

/// From where a password comes: never from the command line, which others can see.
#[derive(Debug, Args)]
pub struct PasswordFrom {
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub password_file: Option<PathBuf>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
}
