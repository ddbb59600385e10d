//! A trigger of one service: hooks, the order, and what became of it.

use std::{sync::Arc, time::Duration};

use protocol::{
    link::Outcome,
    name::{MachineName, ServiceName},
    state::{Action, State},
};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::{OUTCOME, WORTH, word};
use crate::{
    app::{
        App,
        hooks::running::HookContext,
        orders::{away, ends_link, order},
    },
    grid::{
        access::Caller,
        audit::Deed,
        config::HookFailure,
        event::{Draft, Kind},
        fleet::Standing,
        hooks::{
            Phase,
            rules::{self, Scope, Situation, Verdict},
        },
        operation::{HookNode, Signal, StepState, needless::needless},
        view::{ServiceType, TriggerOutcome, TriggerResult},
    },
};

/// What is to be triggered.
pub(super) struct One {
    pub(super) action: Action,
    pub(super) service: ServiceName,
    pub(super) machine: MachineName,
    /// The hooks before and after.
    pub(super) pre: Vec<HookNode>,
    pub(super) post: Vec<HookNode>,
}

/// What became of it, and in words.
type Told = (TriggerOutcome, String);

impl App {
    /// What a trigger would come to, as things are.
    pub(super) fn planned(&self, caller: &Caller, one: &One) -> TriggerResult {
        let standing = self.fleet().standing(&one.service);
        let (outcome, message) = match &standing {
            None => (TriggerOutcome::NotAvailable, gone(&one.service)),
            Some(standing) => self.in_the_way(caller, one, standing).unwrap_or_else(|| {
                let (state, verb) = (standing.state, one.action);
                match needless(verb.into(), standing.r#type, state) {
                    Some(why) => (TriggerOutcome::Ignored, why),
                    None if verb == Action::Start => (TriggerOutcome::Planned, "would be started".to_owned()),
                    None if verb == Action::Stop => {
                        (TriggerOutcome::Planned, format!("is {state}, would be told to stop"))
                    }
                    None => (TriggerOutcome::Planned, format!("is {state}, would be killed")),
                }
            }),
        };
        let warnings = match (outcome, &standing) {
            (TriggerOutcome::Planned, Some(standing)) if standing.r#type == ServiceType::Agent => {
                self.needed_by(&one.machine, None, caller.targets.is_some())
            }
            _ => Vec::new(),
        };
        let message = [vec![message], warnings].concat().join("; ");
        TriggerResult { service: one.service.clone(), outcome, message }
    }

    /// What keeps a trigger from being delivered at all.
    fn in_the_way(&self, caller: &Caller, one: &One, standing: &Standing) -> Option<Told> {
        let signal = Signal::from(one.action);
        let is_needless = needless(signal, standing.r#type, standing.state).is_some();
        if let Some(holder) = self.operations.claims.holder(&one.service).filter(|_| one.action != Action::Kill) {
            return Some((TriggerOutcome::Conflict, holder.words_for(caller.targets.is_some())));
        }
        // The start of an agent that is down is heard by nobody.
        let is_heard = standing.linked && order(Uuid::nil(), signal, standing, 0).is_some();
        (!is_heard && !is_needless).then(|| (TriggerOutcome::NotAvailable, away(signal, standing)))
    }

    /// Delivers a trigger between its hooks; returns what became of it, and what is to be recorded.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        caller: &Caller,
        one: One,
        ttl: Duration,
        deadline: Instant,
    ) -> (TriggerResult, Draft) {
        let (outcome, message) = self.delivered(caller, &one, ttl, deadline).await;
        let One { action, service, machine, .. } = one;
        let deed = Deed::of(caller, word(action), service.as_str());
        let result = TriggerResult { service, outcome, message };
        self.triggers.count(action, outcome);
        let draft = Draft::new(Kind::Trigger)
            .service(&result.service)
            .machine(&machine)
            .deed(deed.outcome(result.outcome.as_str()).detail(&result.message))
            .data(serde_json::json!({"action": action, "outcome": result.outcome, "message": result.message}));
        (result, draft)
    }

    async fn delivered(self: &Arc<Self>, caller: &Caller, one: &One, ttl: Duration, deadline: Instant) -> Told {
        let standing = self.fleet().standing(&one.service);
        let Some(standing) = standing else { return (TriggerOutcome::NotAvailable, gone(&one.service)) };
        if let Some(told) = self.in_the_way(caller, one, &standing) {
            return told;
        }
        if one.pre.is_empty() && one.post.is_empty() && standing.linked {
            return self.sent(caller, one, &standing, ttl, deadline).await;
        }
        let (mut situation, mut told) = (Situation::Expected, (TriggerOutcome::Vetoed, String::new()));
        if let Some(why) = needless(one.action.into(), standing.r#type, standing.state) {
            (situation, told) = (Situation::TriggerNotNeeded, (TriggerOutcome::Ignored, why));
        }
        for hook in &one.pre {
            if let Some(why) = self.hooked(caller, one, hook, situation).await {
                (situation, told) = (Situation::Vetoed, (TriggerOutcome::Vetoed, format!("vetoed by {why}")));
            }
        }
        if situation == Situation::Expected {
            // Hooks take their time, and an operation may have begun meanwhile.
            let standing = self.fleet().standing(&one.service).unwrap_or(standing);
            told = match self.in_the_way(caller, one, &standing) {
                Some(told) => told,
                None => self.sent(caller, one, &standing, WORTH, Instant::now() + OUTCOME).await,
            };
            situation = match told.0 {
                TriggerOutcome::Done => Situation::Expected,
                TriggerOutcome::Ignored => Situation::TriggerNotNeeded,
                _ => Situation::SignalNotDelivered,
            };
        }
        for hook in &one.post {
            if let Some(why) = self.hooked(caller, one, hook, situation).await {
                told = (TriggerOutcome::Failed, format!("{}; but {why}", told.1));
                situation = Situation::PostFailed;
            }
        }
        told
    }

    /// Sends the order; a kill that is needed takes the service from whoever works on it.
    async fn sent(&self, caller: &Caller, one: &One, standing: &Standing, ttl: Duration, deadline: Instant) -> Told {
        let take = || {
            self.operations.claims.supersede(&one.service, &format!("a {} by {}", word(one.action), caller.name));
        };
        let is_needed = needless(one.action.into(), standing.r#type, standing.state).is_none();
        if one.action == Action::Kill && is_needed {
            take();
        }
        let told = self.ordered(one, standing, ttl, deadline).await;
        // The agent knows better what runs there.
        if one.action == Action::Kill && !is_needed && told.0 == TriggerOutcome::Done {
            take();
        }
        told
    }

    fn context(&self, caller: &Caller, one: &One, hook: &HookNode, result: Option<StepState>) -> HookContext {
        HookContext {
            run: Uuid::now_v7(),
            command: hook.event.around.to_string(),
            service: Some((one.service.clone(), one.machine.clone())),
            collection: None,
            operation: None,
            actor: caller.name.clone(),
            result: result.map(|result| result.word().to_owned()),
            more: Value::Null,
        }
    }

    /// Runs a hook, or records why it does not run; returns what failed, if that matters.
    async fn hooked(
        self: &Arc<Self>,
        caller: &Caller,
        one: &One,
        hook: &HookNode,
        situation: Situation,
    ) -> Option<String> {
        let phase = hook.event.phase;
        if let Verdict::Skip(why) = rules::verdict(phase, Scope::Trigger, situation) {
            let context = self.context(caller, one, hook, None);
            self.record_skipped_hook(hook, &context, why).await;
            return None;
        }
        let result = (phase == Phase::Post).then_some(StepState::Done);
        let end = self.run_hook(hook, self.context(caller, one, hook, result), |_| {}).await;
        let (state, message) = crate::app::operations::hook_ended(&end);
        let matters = state.is_failure() && hook.on_failure == HookFailure::Abort;
        matters.then(|| format!("the hook {} ({}): {message}", hook.program, hook.event))
    }

    /// Sends the order, and waits for its outcome.
    async fn ordered(&self, one: &One, standing: &Standing, ttl: Duration, deadline: Instant) -> Told {
        let (id, signal) = (Uuid::now_v7(), Signal::from(one.action));
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if standing.state == State::NotAvailable {
            return (TriggerOutcome::NotAvailable, away(signal, standing));
        }
        let message = match order(id, signal, standing, ttl_ms) {
            Some(message) => message,
            // Only the start of an agent is none, and of one that is linked there is no need.
            None => {
                let why = needless(signal, standing.r#type, standing.state);
                return (TriggerOutcome::Ignored, why.unwrap_or_default());
            }
        };
        let Some(reply) = self.links.ask(standing.agent, id, message) else {
            return (TriggerOutcome::NotAvailable, away(signal, standing));
        };
        match tokio::time::timeout_at(deadline, reply).await {
            Ok(Ok(outcome)) => told(outcome),
            Ok(Err(_)) if ends_link(signal, standing) => {
                (TriggerOutcome::Done, "its link ended before it could answer".to_owned())
            }
            Ok(Err(_)) => (
                TriggerOutcome::Unknown,
                "the link to the agent ended before it answered; `status` shows what became of it".to_owned(),
            ),
            Err(_) => {
                self.links.give_up(id);
                let seconds = OUTCOME.as_secs();
                let message = format!("the agent did not answer in {seconds} s; `status` shows what became of it");
                (TriggerOutcome::Unknown, message)
            }
        }
    }
}

fn told(outcome: Outcome) -> Told {
    match outcome {
        Outcome::Done { message } => (TriggerOutcome::Done, message),
        Outcome::Ignored { message } => (TriggerOutcome::Ignored, message),
        Outcome::Refused { message } => (TriggerOutcome::Refused, message),
        Outcome::Failed { message } => (TriggerOutcome::Failed, message),
        Outcome::Expired {} => {
            (TriggerOutcome::Failed, "it reached the service too late, and was not carried out".to_owned())
        }
        Outcome::Unknown { message } => (TriggerOutcome::Unknown, message),
    }
}

fn gone(service: &ServiceName) -> String {
    format!("there is no service `{service}` any more")
}
