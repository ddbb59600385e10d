//! Runs a hook where it belongs, and records its fate.

use std::{sync::Arc, time::Instant};

use protocol::{
    hook::{HookEnd, HookFate},
    name::{MachineName, ServiceName},
};
use serde_json::Value;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::telling;
use crate::{
    app::App,
    grid::{hooks::HookPlace, operation::HookNode},
};

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
    /// A future that is dropped abandons the run. A run of this id that a machine was asked for before is not begun
    /// again: its end is asked for. Of a run on the manager's host see [`App::hook_died_with_manager`].
    pub async fn run_hook(
        self: &Arc<Self>,
        hook: &HookNode,
        context: HookContext,
        told: impl FnMut(&str) + Send,
    ) -> HookEnd {
        let mut unfinished = Unfinished { app: self, hook, context: &context, begun: Some(Instant::now()) };
        let end = match hook.place {
            HookPlace::Machine => Box::pin(self.run_on_machine(hook, &context, told)).await,
            HookPlace::Manager => Box::pin(self.run_here(hook, &context, told)).await,
        };
        unfinished.begun = None;
        drop(unfinished);
        self.record_hook(hook, &context, &end).await;
        end
    }

    /// What became of a run that was begun by a manager that has ended since: `None` if its machine knows, and
    /// [`App::run_hook`] asks for it. What is left of one on the manager's host is killed, and its fate recorded.
    pub async fn hook_died_with_manager(&self, hook: &HookNode, context: &HookContext) -> Option<HookEnd> {
        if hook.place == HookPlace::Machine {
            return None;
        }
        let (begun, run) = (self.hooks.begun.clone(), context.run);
        // Nothing depends on it.
        let _cleared = tokio::task::spawn_blocking(move || begun.clear_up(run)).await;
        let why = "the manager ended while it ran, and what was left of it was killed".to_owned();
        let end = HookEnd { fate: HookFate::Unknown { why }, output: String::new(), dropped: 0, duration_ms: 0 };
        self.record_hook(hook, context, &end).await;
        Some(end)
    }

    /// Has killed what is left of all runs on this host that a manager which has ended began, and does not wait for it:
    /// nobody follows them any more, and it may be long until their operation is resumed, if it ever is.
    pub fn clear_up_hooks(&self) {
        let begun = self.hooks.begun.clone();
        // Looked at before there is any of this manager's own.
        match begun.left() {
            Ok(left) => {
                tokio::task::spawn_blocking(move || left.into_iter().for_each(|run| begun.clear_up(run)));
            }
            Err(error) => tracing::error!("what an earlier manager left of its hooks is not cleared up: {error}"),
        }
    }

    /// Records that a hook was not run; it is on disk soon.
    pub async fn record_skipped_hook(&self, hook: &HookNode, context: &HookContext, why: &str) {
        self.journal.record_soon(telling::draft(hook, context, &HookEnd::not_run(why))).await;
    }

    async fn record_hook(&self, hook: &HookNode, context: &HookContext, end: &HookEnd) {
        if let Err(error) = self.journal.record_grouped(telling::draft(hook, context, end)).await {
            tracing::error!("cannot record what became of the hook `{}`: {error}", hook.program);
        }
    }
}

/// A hook whose end has not come. One that is dropped is recorded as abandoned.
struct Unfinished<'a> {
    app: &'a Arc<App>,
    hook: &'a HookNode,
    context: &'a HookContext,
    begun: Option<Instant>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let (Some(begun), Ok(runtime)) = (self.begun, Handle::try_current()) else { return };
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let end = HookEnd { fate: HookFate::Abandoned {}, output: String::new(), dropped: 0, duration_ms };
        let (app, draft) = (self.app.clone(), telling::draft(self.hook, self.context, &end));
        runtime.spawn(async move {
            app.journal.record_soon(draft).await;
        });
    }
}
