//! Hooks that run on a machine: its agent is asked, and asked again by the same id when its link broke in between.

use std::time::Duration;

use protocol::{
    hook::{HookAbout, HookEnd, HookFate, HookRun},
    link::ToAgent,
    name::MachineName,
};
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::{distribution::Standing, here::no_program, running::HookContext, telling};
use crate::{
    app::{App, links::Links},
    grid::{
        operation::HookNode,
        view::{ServiceType, ServiceView},
    },
};

/// The longest that a run waits for a place among those of its machine; agents wait no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How much longer than the hook's own time its end may take to come: the program is ended, and the agent may be away
/// for a moment.
const GRACE: Duration = Duration::from_secs(15);

/// How long an agent may take to say what it knows of a run that it is not to begin.
const ASK: Duration = Duration::from_secs(5);

/// A hook that cannot be begun.
struct NotReady {
    hash: String,
    /// Why, in words.
    why: String,
}

/// What a service is to its agent; `None` if it is not there any more.
fn about(service: Option<&ServiceView>) -> Option<HookAbout> {
    match service? {
        ServiceView { r#type: ServiceType::Agent, .. } => Some(HookAbout::Agent),
        ServiceView { catalina_base, .. } => catalina_base.as_ref().map(|_| HookAbout::Instance),
    }
}

impl App {
    pub(super) async fn run_on_machine(
        &self,
        hook: &HookNode,
        context: &HookContext,
        mut told: impl FnMut(&str) + Send,
    ) -> HookEnd {
        let Some((service, machine)) = &context.service else {
            return HookEnd::not_run("a hook that runs on a machine is about a service");
        };
        let Some(agent) = self.fleet().agent_of(machine) else {
            return HookEnd::not_run(format!("the machine {machine} is not there any more"));
        };
        let limit = Duration::from_millis(hook.timeout_ms);
        let ready = match self.wait_ready(machine, &hook.program, limit).await {
            // Without its instance it would be a hook about the agent, and run as another user.
            Ok(_) if about(telling::service_of(self, context).as_ref()).is_none() => {
                Err(NotReady { hash: String::new(), why: format!("{service} is gone") })
            }
            Ok(ready) => ready,
            Err(why) => return HookEnd::not_run(why),
        };
        let Some(mut news) = self.links.expect_run(agent, context.run) else {
            return HookEnd::not_run("somebody waits for this run already, or too many runs are waited for");
        };
        let mut waiting = Waiting { links: &self.links, agent, run: context.run, is_ended: false };
        // A program that is not there is not begun, but a run that ended before may be known.
        let patience = if ready.is_ok() { limit + GRACE } else { ASK };
        let (begun, mut sent_on) = (Instant::now(), None);
        let mut deadline = begun + patience;
        // Known when it is sent for the first time.
        let mut begin_by = None;
        let end = loop {
            let mut entered = std::pin::pin!(self.links.next_entered());
            entered.as_mut().enable();
            let linked = self.links.connection(agent);
            if linked.is_some() && linked != sent_on {
                let mut order = self.order_of(hook, context, &ready);
                // Without an instance, an agent that does not know what it is about would run it about itself.
                let is_worth_it = ready.is_ok() && (order.about == Some(HookAbout::Agent) || order.base.is_some());
                let (by, until) = begin_by.unwrap_or_else(|| times(Instant::now(), limit));
                let left = by.saturating_duration_since(Instant::now());
                order.ttl_ms = if is_worth_it { u64::try_from(left.as_millis()).unwrap_or(u64::MAX) } else { 0 };
                sent_on = self.links.send_on(agent, ToAgent::Hook(Box::new(order))).or(sent_on);
                if sent_on.is_some() && begin_by.is_none() && is_worth_it {
                    (begin_by, deadline) = (Some((by, until)), until);
                }
            }
            tokio::select! {
                biased;
                Some(text) = news.output.recv() => told(&text),
                end = &mut news.ended => break end.ok(),
                () = entered => {}
                () = sleep_until(deadline) => break None,
            }
        };
        while let Ok(text) = news.output.try_recv() {
            told(&text);
        }
        let is_linked = self.links.connection(agent).is_some();
        match (end, ready) {
            (Some(end), Err(NotReady { why, .. })) if matches!(end.fate, HookFate::NotRun { .. }) => {
                waiting.is_ended = true;
                HookEnd::not_run(why)
            }
            (Some(end), _) => {
                waiting.is_ended = true;
                end
            }
            (None, Err(NotReady { why, .. })) => HookEnd::not_run(why),
            (None, Ok(_)) if sent_on.is_none() => {
                HookEnd::not_run(format!("the agent of {machine} is not linked: nothing was sent"))
            }
            (None, Ok(_)) => {
                let why = match is_linked {
                    true => format!("the agent of {machine} did not say how it ended"),
                    false => format!("the agent of {machine} went away, and did not come back in time"),
                };
                let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                HookEnd { fate: HookFate::Unknown { why }, output: String::new(), dropped: 0, duration_ms }
            }
        }
    }

    /// Waits until a machine has a program, for as long as the hook may take; an error in words if there is none to wait
    /// for.
    async fn wait_ready(
        &self,
        machine: &MachineName,
        name: &str,
        limit: Duration,
    ) -> Result<Result<String, NotReady>, String> {
        let deadline = Instant::now() + limit;
        let mut news = self.hooks.readiness.subscribe();
        loop {
            let (hash, why) = match self.hooks.standing(machine, name) {
                Standing::NoProgram => return Err(no_program(name)),
                Standing::Ready(hash) => return Ok(Ok(hash)),
                Standing::Missing(hash, why) => (hash, why),
            };
            if !matches!(timeout_at(deadline, news.changed()).await, Ok(Ok(()))) {
                return Ok(Err(NotReady { hash, why: not_ready(machine, name, &why) }));
            }
        }
    }

    /// The order of a run; how long it is worth beginning is for the caller to say.
    fn order_of(&self, hook: &HookNode, context: &HookContext, ready: &Result<String, NotReady>) -> HookRun {
        let service = telling::service_of(self, context);
        let program = match ready {
            Ok(hash) | Err(NotReady { hash, .. }) => hash.clone(),
        };
        HookRun {
            id: context.run,
            program,
            name: hook.program.clone(),
            // An agent that is told nothing of the base of an instance refuses.
            about: Some(about(service.as_ref()).unwrap_or(HookAbout::Instance)),
            base: service.as_ref().and_then(|service| service.catalina_base.clone()),
            user: hook.user.clone(),
            environment: telling::environment(self, hook, context, service.as_ref()),
            secrets: hook.secrets.clone(),
            input: telling::input(self, hook, context, service.as_ref()),
            timeout_ms: hook.timeout_ms,
            ttl_ms: 0,
        }
    }
}

fn not_ready(machine: &MachineName, program: &str, why: &str) -> String {
    format!("{machine} does not have the program `{program}`: {why}")
}

/// Until when a run that is sent now is worth beginning, and until when its end is waited for: it may have to wait for a
/// place on its machine, and its own time counts from when it has one.
fn times(now: Instant, limit: Duration) -> (Instant, Instant) {
    let begin_by = now + limit.min(LONGEST_WAIT);
    (begin_by, begin_by + limit + GRACE)
}

/// Somebody waits for a run. Whoever stops waiting before its end abandons it.
struct Waiting<'a> {
    links: &'a Links,
    agent: Uuid,
    run: Uuid,
    is_ended: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.links.forget_run(self.run);
        if !self.is_ended {
            self.links.send(self.agent, ToAgent::AbandonHook { run: self.run });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_times() {
        let (now, grace) = (Instant::now(), GRACE.as_secs());
        // The hook's own time, how long it is worth beginning, how long its end is waited for, in seconds.
        for (limit, worth, until) in [(30, 30, 60 + grace), (3600, 600, 600 + 3600 + grace)] {
            let expected = [worth, until].map(|seconds| now + Duration::from_secs(seconds));
            assert_eq!(<[_; 2]>::from(times(now, Duration::from_secs(limit))), expected, "{limit}");
        }
    }
}
