//! An explanation as everybody sees it.

use protocol::{
    name::{MachineName, ServiceName},
    state::State,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::grid::{
    access::Role,
    command::Command,
    config::HookFailure,
    hooks::{HookEvent, HookPlace},
    operation::{Group, StepState},
    schema,
    view::ServiceType,
};

/// What a command would do now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The command.
    pub command: Command,
    /// The targets, as they were given.
    pub targets: Vec<String>,
    /// Whether who asks may do it.
    pub permission: PermissionView,
    /// The groups in the order of the plan; the first is the whole.
    pub groups: Vec<GroupExplanation>,
    /// The services in the order of the plan.
    pub services: Vec<ServiceExplanation>,
}

/// Whether who asks may do it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PermissionView {
    /// Who asks.
    pub caller: String,
    /// The role; `null` for none.
    pub role: Option<Role>,
    /// The role that it takes.
    pub needs: Role,
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why not.
    pub why: Option<String>,
}

/// A group, and the hooks around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupExplanation {
    /// Its number in the plan.
    pub step: u32,
    /// The number of the group that it is in; `null` for the whole.
    pub parent: Option<u32>,
    /// What it is, and its order.
    #[serde(flatten)]
    pub group: Group,
    /// How many services are in it, at any depth.
    pub services: u32,
    /// Its hooks, in order. They run on the manager's host.
    pub hooks: Vec<HookExplanation>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceExplanation {
    /// Its number in the plan.
    pub step: u32,
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
    /// Its state now; `null` if there is no such service any more.
    #[schema(value_type = Option<schema::State>)]
    pub state: Option<State>,
    /// What would become of it: `planned` if it would be done, `ignored` if there is no need, or why it would not be.
    pub would: StepState,
    /// The same in words.
    pub message: String,
    /// What else to know before.
    pub notes: Vec<String>,
    /// The limits that apply.
    pub limits: Vec<LimitView>,
    /// Its hooks, in order.
    pub hooks: Vec<HookExplanation>,
    /// Who holds it now.
    pub claim: Option<ClaimView>,
    /// What the machine's own file allows; `null` if it does not say.
    pub allow: Option<Vec<String>>,
}

/// A limit, and where it was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitView {
    /// Its key in `grid.toml`.
    pub name: String,
    /// Its value, as `grid.toml` has it.
    pub value: String,
    /// Where it was set: the part of `grid.toml`, such as `[collection.front]`, or `built in`.
    pub from: String,
}

/// A hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HookExplanation {
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
    /// The user to run it as; `null` for the one of the instance.
    pub user: Option<String>,
    /// What it is on, as the configuration says it.
    pub target: String,
    /// Whether it runs only if the stop takes too long, around the automatic kill.
    pub only_if_late: bool,
    /// Whether its program and its secrets are there; `null` if nothing is known of it.
    pub ready: Option<bool>,
    /// Why they are not.
    pub why: Option<String>,
}

/// Who holds a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimView {
    /// The operation.
    pub operation: Uuid,
    /// Its command and targets.
    pub command: String,
    /// Who asked for it.
    pub actor: String,
}
