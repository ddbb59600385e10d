//! Operations: one command being carried out, as a tree of steps.
//!
//! Groups and services are the inner nodes, steps the leaves. The tree is flat, in the order in which a person would
//! read it; each node knows its parent.

pub mod limits;
pub mod looking;
pub mod needless;
pub mod outcome;
pub mod plan;
pub mod progress;
pub mod prune;
pub mod request;
pub mod view;

use std::collections::BTreeMap;

use protocol::{
    name::{MachineName, ServiceName},
    state::Action,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    command::Command,
    config::{HookFailure, Mode, OnFailure},
    hooks::{Around, HookEvent, HookPlace},
    schema,
    view::ServiceType,
};

/// A planned operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The nodes; the first is the root, and each comes after its parent. A node's number is its place.
    pub nodes: Vec<Node>,
}

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The number of its parent; only the root has none.
    pub parent: Option<u32>,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum NodeKind {
    /// Several members, in an order.
    Group(Group),
    /// One service: its children are steps, one after the other. It is claimed while they run.
    Service(ServiceNode),
    /// A hook.
    Hook(Box<HookNode>),
    /// A trigger is delivered.
    Signal(SignalNode),
    /// A state is waited for.
    Wait(WaitNode),
    /// A pause.
    Delay(DelayNode),
}

/// Several members, in an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// The collection; without one, what the command named.
    #[schema(value_type = Option<schema::ServiceName>)]
    pub collection: Option<ServiceName>,
    /// Whether it stands for the grid as a whole: the command named `all`.
    #[serde(default)]
    pub is_grid: bool,
    /// The order.
    pub mode: Mode,
    /// How many at a time, in parallel mode; `null` for all.
    pub max_parallel: Option<u32>,
    /// What happens at the first failure.
    pub on_failure: OnFailure,
    /// How many services in it may fail; more, and no other is begun.
    pub failure_budget: Option<u32>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceNode {
    /// The service.
    #[schema(value_type = schema::ServiceName)]
    pub service: ServiceName,
    /// Its machine.
    #[schema(value_type = schema::MachineName)]
    pub machine: MachineName,
    /// What kind it is.
    pub r#type: ServiceType,
    /// The collection through which it is reached.
    #[schema(value_type = Option<schema::ServiceName>)]
    pub collection: Option<ServiceName>,
    /// Why it cannot be done, if that is known before: the step is not begun, and ends as `not_available`.
    #[serde(default)]
    pub impossible: Option<String>,
    /// Whether there is no such service any more: no step of it is planned, and it ends as `gone`.
    #[serde(default)]
    pub gone: bool,
}

/// A hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HookNode {
    /// When.
    #[schema(value_type = String)]
    pub event: HookEvent,
    /// The program's name.
    pub program: String,
    /// Where it runs.
    pub place: HookPlace,
    /// How long it may run, in milliseconds.
    pub timeout_ms: u64,
    /// What its failure does.
    pub on_failure: HookFailure,
    /// The user to run it as.
    pub user: Option<String>,
    /// What it gets in its environment besides.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The names of the secrets that it gets.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// What it is on, as the configuration says it.
    pub target: String,
}

impl HookNode {
    /// Whether it stands around the kill that follows a stop which takes too long.
    pub fn is_of_automatic_kill(&self, command: Command) -> bool {
        let is_kill = self.event.around == Around::Trigger(Action::Kill);
        is_kill && !matches!(command, Command::Kill | Command::Killstart)
    }
}

/// A trigger is delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignalNode {
    /// What is delivered. An agent that is restarted gets one signal, `restart`.
    pub signal: Signal,
    /// Whether it is only for the case that the stop before it took too long.
    #[serde(default)]
    pub if_stop_timed_out: bool,
}

/// What is delivered to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Start the process.
    Start,
    /// Ask the process to end.
    Stop,
    /// End the process by force.
    Kill,
    /// Only for agents: begin anew.
    Restart,
}

impl From<Action> for Signal {
    fn from(action: Action) -> Self {
        match action {
            Action::Start => Signal::Start,
            Action::Stop => Signal::Stop,
            Action::Kill => Signal::Kill,
        }
    }
}

impl Signal {
    /// The signal as people write it.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Start => "start",
            Signal::Stop => "stop",
            Signal::Kill => "kill",
            Signal::Restart => "restart",
        }
    }
}

/// A state is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaitNode {
    /// Which: `active` or `stopped`.
    pub until: WaitFor,
    /// How long, in milliseconds, from the signal on.
    pub timeout_ms: u64,
    /// Whether it is only for the case that the stop before it took too long.
    #[serde(default)]
    pub if_stop_timed_out: bool,
}

/// The state that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// The service serves.
    Active,
    /// It has no process.
    Stopped,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DelayNode {
    /// How long, in milliseconds.
    pub delay_ms: u64,
}

/// How far a node is, as a stable word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    #[default]
    Planned,
    /// Begun.
    Running,
    /// Done.
    Done,
    /// There was no need.
    Ignored,
    /// It was not its turn: nothing made it necessary, or something before it failed.
    Skipped,
    /// It failed.
    Failed,
    /// Its time limit was up.
    TimedOut,
    /// Some of its members are done, and some are not.
    PartlyFailed,
    /// A hook stopped it.
    Vetoed,
    /// The machine's own file, or the caller's role, forbids it.
    Refused,
    /// The agent is not available.
    NotAvailable,
    /// Another operation holds the service.
    Conflict,
    /// The service is not there any more.
    Gone,
    /// A kill went before it.
    Superseded,
    /// It was cancelled.
    Cancelled,
    /// It was begun, and nobody can say what became of it.
    Unknown,
}

impl StepState {
    /// Every state.
    pub const ALL: [StepState; 16] = [
        StepState::Planned,
        StepState::Running,
        StepState::Done,
        StepState::Ignored,
        StepState::Skipped,
        StepState::Failed,
        StepState::TimedOut,
        StepState::PartlyFailed,
        StepState::Vetoed,
        StepState::Refused,
        StepState::NotAvailable,
        StepState::Conflict,
        StepState::Gone,
        StepState::Superseded,
        StepState::Cancelled,
        StepState::Unknown,
    ];

    /// The state as JSON and tables show it.
    pub fn word(self) -> &'static str {
        match self {
            StepState::Planned => "planned",
            StepState::Running => "running",
            StepState::Done => "done",
            StepState::Ignored => "ignored",
            StepState::Skipped => "skipped",
            StepState::Failed => "failed",
            StepState::TimedOut => "timed_out",
            StepState::PartlyFailed => "partly_failed",
            StepState::Vetoed => "vetoed",
            StepState::Refused => "refused",
            StepState::NotAvailable => "not_available",
            StepState::Conflict => "conflict",
            StepState::Gone => "gone",
            StepState::Superseded => "superseded",
            StepState::Cancelled => "cancelled",
            StepState::Unknown => "unknown",
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_ended(self) -> bool {
        !matches!(self, StepState::Planned | StepState::Running)
    }

    /// Whether what was asked for is so.
    pub fn is_good(self) -> bool {
        matches!(self, StepState::Done | StepState::Ignored)
    }

    /// Whether it ended, and what was asked for is not so.
    pub fn is_failure(self) -> bool {
        self.is_ended() && !self.is_good() && self != StepState::Skipped
    }
}
