//! What is asked for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::grid::{
    command::Command,
    config::{Budget, Mode, OnFailure},
    schema,
    target::Target,
};

/// What is to be done, as the API takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationRequest {
    /// The command.
    pub command: Command,
    /// On what.
    #[schema(value_type = Vec<schema::Target>, min_items = 1, max_items = 1000)]
    pub targets: Vec<Target>,
    /// How what the call names is ordered. What is set counts also for a collection that is named alone; those inside of
    /// others, or named beside others, have an order of their own.
    #[serde(default)]
    pub order: Order,
    /// Say only what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// How what a call names is ordered: the several targets of one call, the services of `@MACHINE`, `#TAG`, `all` and
/// `agents`, and, where it is set, the members of a collection that is named alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// The order; one after the other unless set.
    pub mode: Option<Mode>,
    /// How many at a time, in parallel mode; `null` for all.
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub max_parallel: Option<std::num::NonZeroU32>,
    /// What happens at the first failure; no other is begun unless set.
    pub on_failure: Option<OnFailure>,
    /// How many services may fail before no other is begun.
    pub failure_budget: Option<Budget>,
}
