//! What can be written on the command line.

mod access;
mod configuration;
mod explain;
mod hooks;
mod operate;
mod reading;

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::time::Timestamp;

pub use self::{
    access::{PasswordFrom, TokenAction, TokenArgs, UsersAction, UsersArgs},
    configuration::{ApplyArgs, CollectionsAction, CollectionsArgs, ConfigAction, ConfigArgs, DiffArgs},
    explain::ExplainArgs,
    hooks::{HooksAction, HooksArgs},
    operate::{OperateArgs, OperationsAction, OperationsArgs, OperationsListArgs, WaitArgs},
};
use crate::config;

/// Run a fleet of Apache Tomcat instances from one place.
#[derive(Debug, Parser)]
#[command(name = "tomcat-grid", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
TARGET is a service, a collection, @MACHINE (all its instances), #TAG, all (all instances) or agents.

Exit codes: 0 done or ignored, 1 failed, 2 usage, 3 partly failed, 4 failed and rolled back, 5 --timeout is up,
6 agent not available, 7 not allowed, 8 conflict, 9 no such target, 10 differences found, 11 manager cannot be
reached, 12 vetoed by a hook, 13 cancelled or superseded, 14 ignored (with --detailed-exitcode), 130 Ctrl-C while
waiting (the operation goes on)";

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Where the manager is: unix:///path/manager.sock or https://host:8443 [default: the socket of the default data
    /// directory]
    #[arg(long, env = "TOMCAT_GRID_ADDR", global = true, value_name = "ADDR")]
    pub addr: Option<String>,
    /// Certificate authority of the manager (PEM) [default: those of the system]
    #[arg(long, env = "TOMCAT_GRID_CACERT", global = true, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// How to write the answer
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Format,
    /// Give up waiting for the answer after this time, such as 30s; exit code 5
    #[arg(long, global = true, value_name = "TIME")]
    pub timeout: Option<Span>,
    /// Exit with 14, not 0, when nothing was to do
    #[arg(long, global = true)]
    pub detailed_exitcode: bool,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: one document, or one line per event
    Json,
    /// Names only
    Name,
}

/// A time, written like `90s`, `5m` or `24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no time: write one like 90s, 5m or 24h");
        // Days have no fixed length for a calendar, but they do for a token.
        let hours =
            text.trim().strip_suffix('d').and_then(|days| days.parse::<u64>().ok()).map(|days| days.saturating_mul(24));
        if let Some(hours) = hours {
            return Ok(Self(Duration::from_secs(hours.saturating_mul(3600))));
        }
        let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        Duration::try_from(span).map(Self).map_err(|_| wrong())
    }
}

/// A point in time, written like `2026-01-31T08:00:00Z`, or like `24h`, which is so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}` is no time: write one like 2026-01-31T08:00:00Z, or 24h for so long ago");
        if let Ok(moment) = text.trim().parse() {
            return Ok(Self(moment));
        }
        text.parse::<Span>().map(|span| Self(Timestamp::now().before(span.0))).map_err(wrong)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the manager
    Serve(Box<config::Flags>),
    /// Show services and their states
    Status(StatusArgs),
    /// Show machines, remove or revoke one
    Machines(MachinesArgs),
    /// Start services, and wait until they are active
    Start(OperateArgs),
    /// Stop services, and wait until they are stopped
    Stop(OperateArgs),
    /// Kill services, and wait until they are stopped
    Kill(OperateArgs),
    /// Stop and start services, and wait until they are active
    Restart(OperateArgs),
    /// Kill and start services, and wait until they are active
    Killstart(OperateArgs),
    /// Show operations; cancel, resume or retry one
    Operations(OperationsArgs),
    /// Show the schedules, when they are due, and how they go
    Schedules,
    /// Start services: deliver the signal and return
    TriggerStart(TriggerArgs),
    /// Stop services: deliver the signal and return
    TriggerStop(TriggerArgs),
    /// Kill services: deliver the signal and return
    TriggerKill(TriggerArgs),
    /// Show what a command would do now, and why so: limits, hooks, claims, permission
    Explain(ExplainArgs),
    /// Show what happened
    Events(EventsArgs),
    /// Show who did what, and check that the record is whole
    Audit(AuditArgs),
    /// Show hooks, add and remove their programs
    Hooks(HooksArgs),
    /// Show tags, tag services and machines
    Tags(TagsArgs),
    /// Put the grid's configuration in force, grid.toml
    Apply(ApplyArgs),
    /// Print the grid's configuration, as it was applied
    Export,
    /// Compare a file with the grid's configuration; exit code 10 if they differ
    Diff(DiffArgs),
    /// Show the grid's configuration and its versions, restore one
    Config(ConfigArgs),
    /// Show collections
    Collections(CollectionsArgs),
    /// Make, list and revoke tokens
    Token(TokenArgs),
    /// Show, add, change and remove users
    Users(UsersArgs),
    /// Show who the manager takes you for
    Whoami,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

impl Command {
    /// The command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Serve(_) => "serve",
            Command::Status(_) => "status",
            Command::Machines(_) => "machines",
            Command::Start(_) => "start",
            Command::Stop(_) => "stop",
            Command::Kill(_) => "kill",
            Command::Restart(_) => "restart",
            Command::Killstart(_) => "killstart",
            Command::Operations(_) => "operations",
            Command::Schedules => "schedules",
            Command::TriggerStart(_) => "trigger-start",
            Command::TriggerStop(_) => "trigger-stop",
            Command::TriggerKill(_) => "trigger-kill",
            Command::Explain(_) => "explain",
            Command::Events(_) => "events",
            Command::Audit(_) => "audit",
            Command::Hooks(_) => "hooks",
            Command::Tags(_) => "tags",
            Command::Apply(_) => "apply",
            Command::Export => "export",
            Command::Diff(_) => "diff",
            Command::Config(_) => "config",
            Command::Collections(_) => "collections",
            Command::Token(_) => "token",
            Command::Users(_) => "users",
            Command::Whoami => "whoami",
            Command::Completions(_) => "completions",
        }
    }

    /// Whether it waits for an operation, and so looks after `--timeout` itself.
    pub fn waits(&self) -> bool {
        matches!(
            self,
            Command::Start(_)
                | Command::Stop(_)
                | Command::Kill(_)
                | Command::Restart(_)
                | Command::Killstart(_)
                | Command::Operations(_)
        )
    }
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Services to show [default: all, agents included]
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Stay, and show every change at once
    #[arg(long)]
    pub watch: bool,
    /// Exit with 1 unless all are active (6 if only agents are missing)
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
}

/// `machines`
#[derive(Debug, Args)]
pub struct MachinesArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<MachinesAction>,
}

/// What can be done with machines.
#[derive(Debug, Subcommand)]
pub enum MachinesAction {
    /// Show all machines
    List,
    /// Remove a machine from the grid, with the names of its services
    Remove {
        /// The machine
        name: String,
        /// Also one whose agent is linked
        #[arg(long)]
        force: bool,
    },
    /// Revoke a machine's agent: it is disconnected and never taken again
    Revoke {
        /// The machine
        name: String,
    },
}

/// `trigger-start`, `trigger-stop`, `trigger-kill`
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// Services to trigger
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
    /// Show only what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// `events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Stay, and show every event at once
    #[arg(short, long)]
    pub follow: bool,
    /// Show events after this one
    #[arg(long, value_name = "ID")]
    pub since: Option<String>,
    /// Show this many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Show only these kinds, such as trigger or machine.joined; `machine.` stands for all that begin so
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<String>,
    /// Show only what is about this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Show only what is about this machine and its services
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// Show only what this user or token did
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
}

/// `audit`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AuditArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<AuditAction>,
    /// What to show
    #[command(flatten)]
    pub list: AuditListArgs,
}

/// What can be done with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// Show who did what, and what was refused
    List(AuditListArgs),
    /// Check that no record was changed, removed, put in or moved
    Verify {
        /// A head that an earlier check showed: tells also whether the end was cut off
        #[arg(long, value_name = "SEQ:HASH")]
        expect: Option<String>,
    },
}

/// `audit list`
#[derive(Debug, Args)]
pub struct AuditListArgs {
    /// Show only what this user, token or machine did
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Show only this action, such as trigger-stop
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Show only what came out so, such as done or refused
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Option<String>,
    /// Show only what was done on this, such as a service's name
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
    /// Not before this time, such as 2026-01-31T08:00:00Z, or 24h ago
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Not after this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Show this many at most, the latest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// `tags`
#[derive(Debug, Args)]
pub struct TagsArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<TagsAction>,
}

/// What can be done with tags.
#[derive(Debug, Subcommand)]
pub enum TagsAction {
    /// Show all tags, and how much has them
    List,
    /// Tag services and machines; #TAG is then a target
    Add(TagWhat),
    /// Take tags off services and machines
    Remove(TagWhat),
}

/// Which tags, and of what.
#[derive(Debug, Args)]
pub struct TagWhat {
    /// The tags
    #[arg(value_name = "TAG", required = true)]
    pub tags: Vec<String>,
    /// The services, each for itself; @MACHINE are the instances that it has now
    #[arg(long, value_name = "TARGET", num_args = 1.., required_unless_present = "machine")]
    pub on: Vec<String>,
    /// The machines, with all their instances, now and later
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub machine: Vec<String>,
}

/// `completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("24h", Some(86_400)),
            ("7d", Some(604_800)),
            ("1h 30m", Some(5400)),
            ("soon", None),
            ("-1s", None),
        ] {
            assert_eq!(text.parse::<Span>().ok().map(|span| span.0.as_secs()), seconds, "{text}");
        }
    }

    #[test]
    fn moments_are_read() {
        let moment = |text: &str| text.parse::<Moment>().map(|moment| moment.0);
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(Timestamp::from_millis(1000)));
        assert_eq!(moment("1970-01-01T01:00:01+01:00"), Ok(Timestamp::from_millis(1000)));
        let hour = Timestamp::now().since(moment("1h").unwrap()).as_secs();
        assert!((3599..3700).contains(&hour), "{hour}");
        assert!(moment("yesterday").is_err());
    }
}
