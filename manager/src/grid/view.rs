//! The status of the grid as everybody sees it: `status -o json` and `GET /api/v1/status`.

use std::collections::BTreeMap;

use protocol::{
    name::{MachineName, ServiceName},
    report::MachineFacts,
    state::State,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{command::Command, config::Mode, schema, tags::Tag};

/// The whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The grid's name.
    pub grid: String,
    /// The manager that tells it.
    pub manager: ManagerView,
    /// The last event that it includes; see [`super::event::EventId`].
    pub seq: String,
    /// The machines, by name.
    pub machines: Vec<MachineView>,
    /// The services, by machine and name.
    pub services: Vec<ServiceView>,
    /// The collections that are named, or all if nothing is; by name.
    #[serde(default)]
    pub collections: Vec<CollectionView>,
    /// The services that are being worked on, and by whom.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, HeldBy>)]
    pub held: BTreeMap<ServiceName, HeldBy>,
}

/// The operation that holds a service. Who may see only some services learns that there is one, and nothing else of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldBy {
    /// Its id.
    pub operation: Option<Uuid>,
    /// Its command.
    pub command: Option<Command>,
    /// Its targets, as one text.
    pub targets: Option<String>,
    /// Who asked for it.
    pub actor: Option<String>,
}

/// A manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManagerView {
    /// The name of its host.
    pub name: String,
    /// `primary` or `secondary`.
    pub role: String,
    /// The epoch in which it is primary.
    pub epoch: u64,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What is wrong with it, in words.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineView {
    /// Its name.
    #[schema(value_type = schema::MachineName)]
    pub name: MachineName,
    /// Whether its agent is linked now.
    pub connected: bool,
    /// The version of its agent, as last told.
    pub agent_version: String,
    /// When its agent was last heard from; `null` if never, or now.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub last_heard: Option<Timestamp>,
    /// When it joined.
    #[schema(value_type = schema::Timestamp)]
    pub joined_at: Timestamp,
    /// When it was revoked.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub revoked_at: Option<Timestamp>,
    /// How many instances it has.
    pub instances: usize,
    /// What it is, as last told.
    #[schema(value_type = schema::MachineFacts)]
    pub facts: MachineFacts,
    /// Its tags, sorted.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// What kind of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceType {
    /// A Tomcat.
    Instance,
    /// A grid agent.
    Agent,
}

impl ServiceType {
    /// The type as tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceType::Instance => "instance",
            ServiceType::Agent => "agent",
        }
    }
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceView {
    /// Its name.
    #[schema(value_type = schema::ServiceName)]
    pub name: ServiceName,
    /// Its machine.
    #[schema(value_type = schema::MachineName)]
    pub machine: MachineName,
    /// What kind it is.
    pub r#type: ServiceType,
    /// Its state.
    #[schema(value_type = schema::State)]
    pub state: State,
    /// Its last known state, when nothing is known now.
    #[schema(value_type = Option<schema::State>)]
    pub last_state: Option<State>,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// How its last process ended.
    pub last_exit: Option<ExitView>,
    /// Since when it has been in its state.
    #[schema(value_type = schema::Timestamp)]
    pub since: Timestamp,
    /// Its process.
    pub pid: Option<u32>,
    /// Its `CATALINA_BASE`.
    pub catalina_base: Option<String>,
    /// Its `CATALINA_HOME`.
    #[serde(default)]
    pub catalina_home: Option<String>,
    /// Its ports.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// The user it runs as.
    #[serde(default)]
    pub user: Option<String>,
    /// The systemd unit it is driven through.
    #[serde(default)]
    pub unit: Option<String>,
    /// What an operator should know of it.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Its tags and those of its machine, sorted.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// The collections that hold it, at any depth, sorted.
    #[serde(default)]
    #[schema(value_type = Vec<schema::ServiceName>)]
    pub collections: Vec<ServiceName>,
}

/// The state of a collection: what those of its services amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CollectionState {
    /// All are active.
    Active,
    /// One is starting, and none is worse.
    Starting,
    /// One is stopping, and none is worse.
    Stopping,
    /// One is unresponsive.
    Unresponsive,
    /// All are stopped.
    Stopped,
    /// Of one nothing is known, and none is worse.
    NotAvailable,
    /// Some are active and the others stopped.
    Mixed,
    /// There are none.
    Empty,
}

impl CollectionState {
    /// What states amount to: one if all are of it, else the worst.
    pub fn of(states: impl IntoIterator<Item = State>) -> Self {
        let rank = |state| match state {
            State::Active => (0, CollectionState::Active),
            State::Stopped => (1, CollectionState::Stopped),
            State::Starting => (3, CollectionState::Starting),
            State::Stopping => (4, CollectionState::Stopping),
            State::NotAvailable => (5, CollectionState::NotAvailable),
            State::Unresponsive => (6, CollectionState::Unresponsive),
        };
        let mixed = (2, CollectionState::Mixed);
        let worse = |a: (u8, Self), b: (u8, Self)| match (a.0, b.0) {
            (0, 1 | 2) | (1 | 2, 0) => mixed,
            (a_rank, b_rank) if a_rank >= b_rank => a,
            _ => b,
        };
        states.into_iter().map(rank).reduce(worse).map_or(CollectionState::Empty, |(_, state)| state)
    }

    /// The state as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            CollectionState::Active => "active",
            CollectionState::Starting => "starting",
            CollectionState::Stopping => "stopping",
            CollectionState::Unresponsive => "unresponsive",
            CollectionState::Stopped => "stopped",
            CollectionState::NotAvailable => "not_available",
            CollectionState::Mixed => "mixed",
            CollectionState::Empty => "empty",
        }
    }
}

/// A collection, as far as its services are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectionView {
    /// Its name.
    #[schema(value_type = schema::ServiceName)]
    pub name: ServiceName,
    /// In what order its members are worked on.
    pub mode: Mode,
    /// What the states of its services amount to.
    pub state: CollectionState,
    /// How many services it holds now, at any depth.
    pub services: usize,
    /// How many of them are in each state.
    #[schema(value_type = BTreeMap<String, usize>)]
    pub states: BTreeMap<State, usize>,
    /// How many services it names that are not there.
    #[serde(default)]
    pub missing: usize,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExitView {
    /// When.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// The exit code, if it could be known.
    pub code: Option<i32>,
    /// The signal, if it could be known.
    pub signal: Option<i32>,
    /// Whether somebody wanted it to end.
    pub wanted: bool,
    /// The same in words.
    pub how: String,
}

/// What became of a trigger on one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TriggerResult {
    /// The service.
    #[schema(value_type = schema::ServiceName)]
    pub service: ServiceName,
    /// What became of it.
    pub outcome: TriggerOutcome,
    /// How, or why not.
    pub message: String,
}

/// What became of a trigger, as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerOutcome {
    /// The signal was delivered.
    Done,
    /// There was no need.
    Ignored,
    /// The machine's own file or permissions forbid it.
    Refused,
    /// It could not be done.
    Failed,
    /// The agent is not linked, so nothing was sent.
    NotAvailable,
    /// It was sent, and nobody can say what became of it.
    Unknown,
    /// An operation holds the service.
    Conflict,
    /// A hook stopped it.
    Vetoed,
    /// It would be sent (a dry run).
    Planned,
}

impl TriggerOutcome {
    /// The outcome as tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            TriggerOutcome::Done => "done",
            TriggerOutcome::Ignored => "ignored",
            TriggerOutcome::Refused => "refused",
            TriggerOutcome::Failed => "failed",
            TriggerOutcome::NotAvailable => "not_available",
            TriggerOutcome::Unknown => "unknown",
            TriggerOutcome::Conflict => "conflict",
            TriggerOutcome::Vetoed => "vetoed",
            TriggerOutcome::Planned => "planned",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_what_states_amount_to() {
        use State::{Active, NotAvailable, Starting, Stopped, Stopping, Unresponsive};
        for (states, expected) in [
            (&[][..], "empty"),
            (&[Active, Active], "active"),
            (&[Stopped, Stopped], "stopped"),
            (&[Active, Stopped], "mixed"),
            (&[Stopped, Active, Stopped, Active], "mixed"),
            (&[Starting, Active, Stopped], "starting"),
            (&[Stopping, Starting], "stopping"),
            (&[Stopping, NotAvailable], "not_available"),
            (&[NotAvailable, Unresponsive, Active], "unresponsive"),
            (&[Unresponsive], "unresponsive"),
        ] {
            // In whatever order they come.
            let all: Vec<State> = states.to_vec();
            for turn in 0..all.len().max(1) {
                let mut turned = all.clone();
                turned.rotate_left(turn.min(all.len()));
                assert_eq!(CollectionState::of(turned).as_str(), expected, "{states:?}");
            }
        }
        let word = serde_json::to_value(CollectionState::NotAvailable).unwrap();
        assert_eq!(word, CollectionState::NotAvailable.as_str());
    }
}
