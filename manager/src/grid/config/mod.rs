//! The grid's configuration, `grid.toml`, as it is in force.

pub mod check;
pub mod diff;
pub mod edit;
pub mod members;
pub mod mistake;
pub mod parse;
pub mod read;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, num::NonZeroU32, time::Duration};

use protocol::{health::Health, name::ServiceName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    command::Command,
    hooks::HookEvent,
    target::{Target, TargetError},
};

/// How often the progress of a waiting command is told where nothing else is set.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GridConfig {
    /// How often the progress of a waiting command is told.
    pub progress_interval: Option<Duration>,
    /// What holds for every service.
    pub defaults: Limits,
    /// What is set for single services.
    pub services: BTreeMap<ServiceName, ServiceSettings>,
    /// The collections, by name.
    pub collections: BTreeMap<ServiceName, Collection>,
    /// The hooks, in the order in which they run.
    pub hooks: Vec<Hook>,
    /// The schedules, by name.
    pub schedules: BTreeMap<String, Schedule>,
}

/// The limits that can be set for the grid, a collection or a service; the nearest wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long a start may take.
    pub start_timeout: Option<Duration>,
    /// How long a stop may take.
    pub stop_timeout: Option<Duration>,
    /// How long a kill may take.
    pub kill_timeout: Option<Duration>,
    /// Whether a stop that takes too long is followed by a kill.
    pub auto_kill: Option<bool>,
    /// The pause between stop and start.
    pub restart_delay: Option<Duration>,
}

/// What is set for one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Its limits.
    pub limits: Limits,
    /// How its health is asked for.
    pub health: Option<Health>,
}

/// In what order members are worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The next member begins when the one before has fully completed.
    #[default]
    Sequential,
    /// All at once, or a set number at a time.
    Parallel,
}

/// What happens at the first failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Members in hand are finished, and no other is begun.
    #[default]
    Stop,
    /// The others go on.
    Continue,
}

/// How many services of a whole tree may fail before no other is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// So many.
    Count(u32),
    /// So many of a hundred, rounded down.
    Percent(u8),
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Budget::Count(count) => write!(f, "{count}"),
            Budget::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl std::str::FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let budget = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|percent| *percent <= 100).map(Budget::Percent),
            None => text.parse().ok().map(Budget::Count),
        };
        let shown: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
        budget.ok_or_else(|| format!("`{shown}` is no budget: write a count like 3, or a share like \"10%\""))
    }
}

/// A named group of services and other collections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// The limits of its members.
    pub limits: Limits,
    /// In what order they are worked on.
    pub mode: Mode,
    /// How many at a time, in parallel mode.
    pub max_parallel: Option<NonZeroU32>,
    /// What happens at the first failure.
    pub on_failure: OnFailure,
    /// How many services in it, at any depth, may fail.
    pub failure_budget: Option<Budget>,
    /// Its members, in order: services and collections.
    pub members: Vec<ServiceName>,
}

/// What a hook is on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HookTarget {
    /// The grid as a whole: around each command on `all`.
    Grid,
    /// A collection as a whole, by its name, or each of the services of a target.
    Target(Target),
}

impl fmt::Display for HookTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookTarget::Grid => f.write_str("grid"),
            HookTarget::Target(target) => target.fmt(f),
        }
    }
}

impl std::str::FromStr for HookTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text == "grid" { Ok(HookTarget::Grid) } else { text.parse().map(HookTarget::Target) }
    }
}

/// What a failing hook does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HookFailure {
    /// A `pre-` hook stops the command; a `post-` hook makes it count as failed.
    #[default]
    Abort,
    /// It is only noted.
    Warn,
}

/// A program that is run at an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When.
    pub event: HookEvent,
    /// On what.
    pub targets: Vec<HookTarget>,
    /// The program, by the name under which it was added.
    pub program: String,
    /// How long it may run.
    pub timeout: Duration,
    /// What its failure does.
    pub on_failure: HookFailure,
    /// The user to run it as.
    pub user: Option<String>,
    /// What it gets in its environment besides.
    pub environment: BTreeMap<String, String>,
    /// The names of secrets of the host that it gets in its environment, and which its output must not show.
    pub secrets: Vec<String>,
}

/// A command that is given by the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When, as a cron expression of five fields.
    pub cron: String,
    /// In which time zone, by its IANA name.
    pub timezone: String,
    /// What.
    pub command: Command,
    /// On what.
    pub targets: Vec<Target>,
    /// Whether it runs.
    pub enabled: bool,
}
