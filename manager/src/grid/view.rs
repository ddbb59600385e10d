//! The status of the grid as everybody sees it: `status -o json` and `GET /api/v1/status`.

use protocol::{
    name::{MachineName, ServiceName},
    report::MachineFacts,
    state::State,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;

use super::tags::Tag;

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
            TriggerOutcome::Planned => "planned",
        }
    }
}
