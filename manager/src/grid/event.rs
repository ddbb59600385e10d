//! What happened: one stream of numbered events for everybody who watches.

use std::{fmt, str::FromStr};

use protocol::{
    name::{MachineName, ServiceName},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    access::Role,
    audit::Deed,
    schema,
    view::{MachineView, ServiceView},
};

/// The id of an event, `EPOCH-SEQ`: sequence numbers are unique within an epoch and only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The manager's epoch.
    pub epoch: u64,
    /// The number.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('-').and_then(|(epoch, seq)| Some((epoch.parse().ok()?, seq.parse().ok()?)));
        let (epoch, seq) = parsed.ok_or_else(|| format!("`{text}` is no event id: one looks like `1-4711`"))?;
        Ok(Self { epoch, seq })
    }
}

/// What kind of thing happened, as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Kind {
    /// A service is in another state, or tells something new of itself.
    #[serde(rename = "service.state")]
    ServiceState,
    /// A service is no longer there.
    #[serde(rename = "service.gone")]
    ServiceGone,
    /// A machine joined, linked, was lost, or tells something new of itself.
    #[serde(rename = "machine.state")]
    MachineState,
    /// A machine joined the grid.
    #[serde(rename = "machine.joined")]
    MachineJoined,
    /// A machine was removed from the grid.
    #[serde(rename = "machine.removed")]
    MachineRemoved,
    /// A machine's agent was revoked.
    #[serde(rename = "machine.revoked")]
    MachineRevoked,
    /// An agent was turned away.
    #[serde(rename = "machine.refused")]
    MachineRefused,
    /// A token was made.
    #[serde(rename = "token.created")]
    TokenCreated,
    /// A token was revoked.
    #[serde(rename = "token.revoked")]
    TokenRevoked,
    /// A service was triggered.
    #[serde(rename = "trigger")]
    Trigger,
    /// Somebody logged in.
    #[serde(rename = "login")]
    Login,
    /// Somebody failed to log in.
    #[serde(rename = "login.failed")]
    LoginFailed,
    /// Somebody logged out, or was logged out.
    #[serde(rename = "logout")]
    Logout,
    /// A user was added.
    #[serde(rename = "user.created")]
    UserCreated,
    /// A user has another role or password.
    #[serde(rename = "user.changed")]
    UserChanged,
    /// A user was removed.
    #[serde(rename = "user.removed")]
    UserRemoved,
    /// Machines or services were tagged.
    #[serde(rename = "tags.changed")]
    TagsChanged,
    /// Somebody was not allowed to do something.
    #[serde(rename = "action.refused")]
    ActionRefused,
    /// Something is wrong with the manager, or is well again.
    #[serde(rename = "manager.state")]
    ManagerState,
    /// The manager started.
    #[serde(rename = "manager.started")]
    ManagerStarted,
    /// The configuration was changed.
    #[serde(rename = "config.applied")]
    ConfigApplied,
    /// A hook program was added or replaced.
    #[serde(rename = "program.added")]
    ProgramAdded,
    /// A hook program was removed.
    #[serde(rename = "program.removed")]
    ProgramRemoved,
    /// A machine has a hook program, or cannot get it.
    #[serde(rename = "program.state")]
    ProgramState,
    /// A hook ran, or was to run and did not.
    #[serde(rename = "hook.ran")]
    HookRan,
    /// An operation began, went on, or ended.
    #[serde(rename = "operation.state")]
    OperationState,
    /// A schedule was due and was not carried out.
    #[serde(rename = "schedule.missed")]
    ScheduleMissed,
    /// A kind of a later version.
    #[serde(rename = "unknown", other)]
    Unknown,
}

impl Kind {
    /// Every kind of this version.
    pub const ALL: [Kind; 27] = [
        Kind::ServiceState,
        Kind::ServiceGone,
        Kind::MachineState,
        Kind::MachineJoined,
        Kind::MachineRemoved,
        Kind::MachineRevoked,
        Kind::MachineRefused,
        Kind::TokenCreated,
        Kind::TokenRevoked,
        Kind::Trigger,
        Kind::Login,
        Kind::LoginFailed,
        Kind::Logout,
        Kind::UserCreated,
        Kind::UserChanged,
        Kind::UserRemoved,
        Kind::TagsChanged,
        Kind::ActionRefused,
        Kind::ManagerState,
        Kind::ManagerStarted,
        Kind::ConfigApplied,
        Kind::ProgramAdded,
        Kind::ProgramRemoved,
        Kind::ProgramState,
        Kind::HookRan,
        Kind::OperationState,
        Kind::ScheduleMissed,
    ];

    /// The kind as events name it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::ServiceState => "service.state",
            Kind::ServiceGone => "service.gone",
            Kind::MachineState => "machine.state",
            Kind::MachineJoined => "machine.joined",
            Kind::MachineRemoved => "machine.removed",
            Kind::MachineRevoked => "machine.revoked",
            Kind::MachineRefused => "machine.refused",
            Kind::TokenCreated => "token.created",
            Kind::TokenRevoked => "token.revoked",
            Kind::Trigger => "trigger",
            Kind::Login => "login",
            Kind::LoginFailed => "login.failed",
            Kind::Logout => "logout",
            Kind::UserCreated => "user.created",
            Kind::UserChanged => "user.changed",
            Kind::UserRemoved => "user.removed",
            Kind::TagsChanged => "tags.changed",
            Kind::ActionRefused => "action.refused",
            Kind::ManagerState => "manager.state",
            Kind::ManagerStarted => "manager.started",
            Kind::ConfigApplied => "config.applied",
            Kind::ProgramAdded => "program.added",
            Kind::ProgramRemoved => "program.removed",
            Kind::ProgramState => "program.state",
            Kind::HookRan => "hook.ran",
            Kind::OperationState => "operation.state",
            Kind::ScheduleMissed => "schedule.missed",
            Kind::Unknown => "unknown",
        }
    }

    /// The least role of those who may see it: who may do what is not everybody's business.
    pub fn seen_by(self) -> Role {
        match self {
            Kind::MachineRefused
            | Kind::TokenCreated
            | Kind::TokenRevoked
            | Kind::Login
            | Kind::LoginFailed
            | Kind::Logout
            | Kind::UserCreated
            | Kind::UserChanged
            | Kind::UserRemoved
            | Kind::ActionRefused
            | Kind::Unknown => Role::Admin,
            Kind::ServiceState
            | Kind::ServiceGone
            | Kind::MachineState
            | Kind::MachineJoined
            | Kind::MachineRemoved
            | Kind::MachineRevoked
            | Kind::Trigger
            | Kind::TagsChanged
            | Kind::ManagerState
            | Kind::ManagerStarted
            | Kind::ConfigApplied
            | Kind::ProgramAdded
            | Kind::ProgramRemoved
            | Kind::ProgramState
            | Kind::HookRan
            | Kind::OperationState
            | Kind::ScheduleMissed => Role::Viewer,
        }
    }
}

/// What an event is about, as far as it decides who may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// What kind of event it is.
    pub kind: Kind,
    /// The least role of those who may see it.
    pub seen_by: Role,
    /// The service.
    pub service: Option<ServiceName>,
    /// The machine.
    pub machine: Option<MachineName>,
    /// The operation, of an event that tells of one.
    pub operation: Option<Uuid>,
}

impl Topic {
    /// The topic of an event of a kind.
    pub fn of(kind: Kind, service: Option<ServiceName>, machine: Option<MachineName>) -> Self {
        Self { kind, seen_by: kind.seen_by(), service, machine, operation: None }
    }

    /// The topic of an event that is written down. One that cannot be read is for those who may see everything.
    pub fn of_body(body: &str) -> Self {
        #[derive(Deserialize)]
        struct About {
            kind: Kind,
            #[serde(default)]
            service: Option<ServiceName>,
            #[serde(default)]
            machine: Option<MachineName>,
        }
        #[derive(Deserialize)]
        struct OfOperation {
            data: Id,
        }
        #[derive(Deserialize)]
        struct Id {
            id: Uuid,
        }
        match serde_json::from_str::<About>(body) {
            Ok(About { kind: Kind::OperationState, .. }) => {
                let of = serde_json::from_str::<OfOperation>(body).ok().map(|of| of.data.id);
                Self { operation: of, ..Self::of(Kind::OperationState, None, None) }
            }
            Ok(About { kind, service, machine }) => Self::of(kind, service, machine),
            Err(_) => Self::of(Kind::Unknown, None, None),
        }
    }
}

/// Something that happened, before it has its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Draft {
    /// What kind.
    pub kind: Kind,
    /// The service it is about.
    #[serde(default)]
    #[schema(value_type = Option<schema::ServiceName>)]
    pub service: Option<ServiceName>,
    /// The machine it is about.
    #[serde(default)]
    #[schema(value_type = Option<schema::MachineName>)]
    pub machine: Option<MachineName>,
    /// Who did it.
    #[serde(default)]
    pub actor: Option<String>,
    /// The whole of what it is about, never a difference.
    #[serde(default)]
    pub data: Value,
    /// What the audit says of it; stored with the event, and not part of it.
    #[serde(skip)]
    pub deed: Option<Box<Deed>>,
}

impl Draft {
    /// An event of a kind, about nothing yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, service: None, machine: None, actor: None, data: Value::Null, deed: None }
    }

    /// Who may see it.
    pub fn topic(&self) -> Topic {
        let id = || self.data.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let operation = (self.kind == Kind::OperationState).then(id).flatten();
        Topic { operation, ..Topic::of(self.kind, self.service.clone(), self.machine.clone()) }
    }

    /// Done by somebody, as the audit says it. Only events that are recorded reach the audit.
    pub fn deed(mut self, deed: Deed) -> Self {
        self.actor = Some(deed.actor.clone());
        self.deed = Some(Box::new(deed));
        self
    }

    /// About a machine.
    pub fn machine(mut self, machine: &MachineName) -> Self {
        self.machine = Some(machine.clone());
        self
    }

    /// About a service.
    pub fn service(mut self, service: &ServiceName) -> Self {
        self.service = Some(service.clone());
        self
    }

    /// Done by somebody.
    pub fn actor(mut self, actor: &str) -> Self {
        self.actor = Some(actor.to_owned());
        self
    }

    /// With what it is about.
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its id, `EPOCH-SEQ`.
    pub id: String,
    /// When.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// The rest.
    #[serde(flatten)]
    pub draft: Draft,
}

/// A change that the fleet tells of.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A service is new or different.
    Service(Box<ServiceView>),
    /// A service is gone.
    ServiceGone(ServiceName, MachineName),
    /// A machine is new or different.
    Machine(Box<MachineView>),
}

impl From<Change> for Draft {
    fn from(change: Change) -> Self {
        // Views are plain data, so they can always be written.
        let value = |view: Result<Value, serde_json::Error>| view.unwrap_or(Value::Null);
        match change {
            Change::Service(view) => Draft::new(Kind::ServiceState)
                .machine(&view.machine)
                .service(&view.name)
                .data(value(serde_json::to_value(view))),
            Change::ServiceGone(name, machine) => Draft::new(Kind::ServiceGone).machine(&machine).service(&name),
            Change::Machine(view) => {
                Draft::new(Kind::MachineState).machine(&view.name).data(value(serde_json::to_value(view)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_written() {
        let id = EventId { epoch: 1, seq: 4711 };
        assert_eq!(id.to_string(), "1-4711");
        assert_eq!("1-4711".parse(), Ok(id));
        for text in ["", "1", "-", "a-b", "1-", "1-2-3"] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let draft = Draft::new(Kind::ManagerStarted).actor("me");
        let event = Event { id: "1-2".to_owned(), at: Timestamp::from_millis(0), draft };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["kind"], "manager.started");
        assert_eq!(json["id"], "1-2");
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
