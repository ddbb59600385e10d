//! The steps of one service.

use std::time::Duration;

use protocol::{
    name::{MachineName, ServiceName},
    state::{Action, State},
};

use super::super::{DelayNode, NodeKind, Signal, SignalNode, WaitFor, WaitNode, limits::Effective};
use crate::grid::{
    command::Command,
    hooks::{Around, HookEvent, Phase, binding::Bindings, millis},
    view::{ServiceType, ServiceView},
};

/// What is to be done to a service for a command, in order.
pub(super) fn steps(
    command: Command,
    service: &ServiceView,
    limits: &Effective<'_>,
    hooks: &Bindings<'_>,
) -> Vec<NodeKind> {
    let mut steps = Steps { service, hooks, kinds: Vec::new() };
    let (start, stop, kill) = (limits.start_timeout.value, limits.stop_timeout.value, limits.kill_timeout.value);
    let auto_kill = limits.auto_kill.value && service.r#type == ServiceType::Instance;
    steps.hooks(Phase::Pre, Around::Command(command));
    match command {
        Command::Start => steps.trigger(Action::Start, start, false),
        Command::Stop => steps.stop(stop, kill, auto_kill),
        Command::Kill => steps.trigger(Action::Kill, kill, false),
        Command::Restart if service.r#type == ServiceType::Agent => {
            steps.signal(Signal::Restart, false);
            steps.wait(WaitFor::Active, start, false);
        }
        Command::Restart => {
            steps.stop(stop, kill, auto_kill);
            steps.delay(limits.restart_delay.value);
            steps.trigger(Action::Start, start, false);
        }
        Command::Killstart => {
            steps.trigger(Action::Kill, kill, false);
            steps.delay(limits.restart_delay.value);
            steps.trigger(Action::Start, start, false);
        }
    }
    steps.hooks(Phase::Post, Around::Command(command));
    steps.kinds
}

struct Steps<'a> {
    service: &'a ServiceView,
    hooks: &'a Bindings<'a>,
    kinds: Vec<NodeKind>,
}

impl Steps<'_> {
    fn stop(&mut self, stop: Duration, kill: Duration, auto_kill: bool) {
        self.trigger(Action::Stop, stop, false);
        if auto_kill {
            self.trigger(Action::Kill, kill, true);
        }
    }

    /// A trigger between its hooks, and the wait for what it is to bring about.
    fn trigger(&mut self, action: Action, timeout: Duration, if_stop_timed_out: bool) {
        self.hooks(Phase::Pre, Around::Trigger(action));
        self.signal(action.into(), if_stop_timed_out);
        self.hooks(Phase::Post, Around::Trigger(action));
        let until = if action == Action::Start { WaitFor::Active } else { WaitFor::Stopped };
        self.wait(until, timeout, if_stop_timed_out);
    }

    fn hooks(&mut self, phase: Phase, around: Around) {
        let hooks = self.hooks.of_service(HookEvent { phase, around }, self.service);
        self.kinds.extend(hooks.into_iter().map(|hook| NodeKind::Hook(Box::new(hook))));
    }

    fn signal(&mut self, signal: Signal, if_stop_timed_out: bool) {
        self.kinds.push(NodeKind::Signal(SignalNode { signal, if_stop_timed_out }));
    }

    fn wait(&mut self, until: WaitFor, timeout: Duration, if_stop_timed_out: bool) {
        self.kinds.push(NodeKind::Wait(WaitNode { until, timeout_ms: millis(timeout), if_stop_timed_out }));
    }

    fn delay(&mut self, delay: Duration) {
        if !delay.is_zero() {
            self.kinds.push(NodeKind::Delay(DelayNode { delay_ms: millis(delay) }));
        }
    }
}

/// Why a command cannot be done to a service, where that is known before it is tried.
pub(super) fn impossible(command: Command, service: &ServiceView, collection: Option<&ServiceName>) -> Option<String> {
    if service.r#type == ServiceType::Instance {
        return None;
    }
    if let Some(collection) = collection {
        let name = &service.name;
        return Some(format!("agents are not commanded through a collection (`{collection}`): name `{name}` itself"));
    }
    match command {
        Command::Start if service.state != State::Active => {
            Some(format!("only its host can start an agent that is down: {}", on_the_host("start", &service.machine)))
        }
        Command::Killstart => Some(format!(
            "an agent that is killed cannot be told to start; `restart {}` begins it anew; where it hangs, {}",
            service.name,
            on_the_host("restart", &service.machine)
        )),
        _ => None,
    }
}

/// What to do on a host whose agent cannot be reached.
pub fn on_the_host(verb: &str, machine: &MachineName) -> String {
    format!("`systemctl {verb} tomcat-grid-agent` on {machine}")
}
