//! A hook of an operation is run, once.

use std::time::Duration;

use protocol::{
    hook::{HookEnd, HookFate},
    link::ToAgent,
    name::{MachineName, ServiceName},
};
use uuid::Uuid;

use super::{
    Ended, Run,
    output::{Output, not_kept},
};
use crate::{
    app::hooks::running::HookContext,
    grid::{
        config::HookFailure,
        hooks::HookPlace,
        operation::{HookNode, NodeKind, StepState},
    },
};

/// What a hook is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) service: Option<(&'a ServiceName, &'a MachineName)>,
    pub(super) collection: Option<&'a ServiceName>,
}

impl Run {
    /// Runs a hook; one that was begun before is asked for by its id. Its end is left to whoever called.
    pub(super) async fn run_hook(
        &self,
        number: u32,
        hook: &HookNode,
        about: About<'_>,
        result: Option<StepState>,
    ) -> Ended {
        let known = self.live.step(number).and_then(|step| step.order);
        let run = known.unwrap_or_else(Uuid::now_v7);
        if let Err(why) = self.begin_sending(number, run).await {
            return (StepState::Failed, why);
        }
        let view = self.live.view();
        let context = HookContext {
            run,
            command: hook.event.around.to_string(),
            service: about.service.map(|(service, machine)| (service.clone(), machine.clone())),
            collection: about.collection.cloned(),
            operation: Some((self.live.id, number)),
            actor: view.actor,
            result: result.map(|result| result.word().to_owned()),
            more: serde_json::Value::Null,
        };
        if known.is_some()
            && let Some(end) = self.app.hook_died_with_manager(hook, &context).await
        {
            return ended(&end);
        }
        let logged = match known {
            // What cannot be read is told again.
            Some(_) => self.app.store.logged_of(self.live.id, number).await.unwrap_or_default(),
            None => String::new(),
        };
        let mut output = Output::new(&self.recorder, &self.live, number, logged);
        let end = self.app.run_hook(hook, context, |text| output.push(text)).await;
        output.finish(&end.output, end.dropped).await;
        let (state, mut message) = ended(&end);
        if let Some(words) = not_kept(end.dropped) {
            message.push_str("; ");
            message.push_str(&words);
        }
        if state.is_failure() && hook.on_failure == HookFailure::Warn {
            message.push_str(" (only noted: `on_failure` is `warn`)");
        }
        (state, message)
    }
}

/// How long an agent that is away is waited for that is to end a hook.
const ABANDON: Duration = Duration::from_secs(60);

impl Run {
    /// What an operation that was interrupted had running among the hooks of a node is ended.
    pub(super) fn abandon_hooks(&self, number: u32, machine: Option<&MachineName>) {
        for &child in self.children(number) {
            self.abandon_hook(child, machine);
        }
    }

    /// What an operation that was interrupted had running is ended, if it is a hook.
    pub(super) fn abandon_hook(&self, number: u32, machine: Option<&MachineName>) {
        let NodeKind::Hook(hook) = self.kind(number) else { return };
        let order = self.live.step(number).and_then(|step| step.order);
        let Some(run) = order.filter(|_| self.state(number) == StepState::Running) else { return };
        let (app, hook, actor) = (self.app.clone(), hook.as_ref().clone(), self.live.view().actor);
        let (operation, machine) = ((self.live.id, number), machine.cloned());
        tokio::spawn(async move {
            match hook.place {
                HookPlace::Machine => {
                    let Some(agent) = machine.and_then(|machine| app.fleet().agent_of(&machine)) else { return };
                    // A manager that has just started may wait for its agents.
                    let told = async {
                        loop {
                            let entered = app.links.next_entered();
                            if app.links.send(agent, ToAgent::AbandonHook { run }) {
                                return;
                            }
                            entered.await;
                        }
                    };
                    if tokio::time::timeout(ABANDON, told).await.is_err() {
                        tracing::warn!("the hook {} could not be ended: its agent is away", hook.program);
                    }
                }
                HookPlace::Manager => {
                    let command = hook.event.around.to_string();
                    let context = HookContext {
                        run,
                        command,
                        service: None,
                        collection: None,
                        operation: Some(operation),
                        actor,
                        result: None,
                        more: serde_json::Value::Null,
                    };
                    let _ended = app.hook_died_with_manager(&hook, &context).await;
                }
            }
        });
    }
}

/// How a run ended, in words.
pub(in crate::app) fn ended(end: &HookEnd) -> (StepState, String) {
    match &end.fate {
        HookFate::Ran { exit_code: 0 } => (StepState::Done, "it ended with exit code 0".to_owned()),
        HookFate::Ran { exit_code } => (StepState::Failed, format!("it ended with exit code {exit_code}")),
        HookFate::Killed { signal } => (StepState::Failed, format!("signal {signal} ended it")),
        HookFate::TimedOut {} => {
            (StepState::TimedOut, format!("it was killed after {} ms: its time was up", end.duration_ms))
        }
        HookFate::Abandoned {} => (StepState::Cancelled, "it was abandoned, and killed".to_owned()),
        HookFate::NotRun { why } => (StepState::Failed, format!("it did not run: {why}")),
        HookFate::Unknown { why } => (StepState::Unknown, why.clone()),
    }
}
