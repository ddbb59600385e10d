//! Runs a hook where it belongs, and records its fate.

use std::sync::Arc;

use protocol::{
    hook::HookEnd,
    name::{MachineName, ServiceName},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{app::App, grid::operation::HookNode};

/// What a hook is run for.
#[derive(Debug, Clone)]
pub struct HookContext {
    /// The id of the run: it happens at most once.
    pub run: Uuid,
    /// The command or trigger in hand, such as `restart` or `trigger-stop`.
    pub command: String,
    /// The service that it is about, and its machine.
    pub service: Option<(ServiceName, MachineName)>,
    /// The collection that it is about, or through which the service is reached.
    pub collection: Option<ServiceName>,
    /// The operation and the number of the step; a trigger has none.
    pub operation: Option<(Uuid, u32)>,
    /// Who asked.
    pub actor: String,
    /// For a `post-` hook: how that went which it stands behind, as a stable word of a step's state.
    pub result: Option<String>,
    /// What else the program reads on its standard input.
    pub more: Value,
}

impl App {
    /// Runs a hook, and records its fate; returns when it has ended. `told` gets what it writes while it runs, masked.
    /// A future that is dropped abandons the run. A run of this id that was begun before is not begun again: its end is
    /// asked for.
    pub async fn run_hook(
        self: &Arc<Self>,
        _hook: &HookNode,
        _context: HookContext,
        _told: impl FnMut(&str) + Send,
    ) -> HookEnd {
        HookEnd::not_run("hooks are not built yet")
    }
}
