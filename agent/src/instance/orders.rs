//! Carrying out orders: start, stop and kill, each at most once by its id.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, anyhow};
use protocol::{
    link::{Order, Outcome},
    state::{Action, State},
};
use rustix::{
    io::Errno,
    process::{Pid, Signal},
};
use tokio::time::Instant;

use super::{
    following::TRANSIENT_PREFIX,
    task::{Process, Task},
};
use crate::{
    config::Permission,
    os::{systemd, users},
    tomcat::start::{self, Launch, Started},
};

/// How long a configured stop program is waited for before its output is left to itself.
const STOP_PROGRAM_TIMEOUT: Duration = Duration::from_secs(60);

impl Task {
    /// Carries out an order, or answers with what became of it if it was received before.
    pub(super) async fn carry_out(&mut self, order: Order, deadline: Instant) -> Outcome {
        if let Some(outcome) = self.memory.outcome_of(order.id) {
            return outcome;
        }
        if Instant::now() >= deadline {
            return Outcome::Expired {};
        }
        if order.action == Action::Start {
            // One that was started by hand a moment ago may not have been seen yet.
            self.look_for_process().await;
        }
        self.memory.begin_order(order.id, order.action);
        let needless = self.needless(order.action);
        if let Some(outcome) =
            needless.or_else(|| self.forbidden(order.action)).or_else(|| self.powerless(order.action))
        {
            self.memory.end_order(order.id, &outcome);
            self.store().await;
            return outcome;
        }
        if order.action != Action::Start
            && let Some(process) = &self.process
        {
            let key = process.watched.key;
            if let Some(remembered) = self.memory.of_process(key) {
                remembered.signalled = Some(order.action);
            }
        }
        // What was signalled must be known after a crash, so it is on disk before the signal is sent.
        if let Err(error) = self.memory.store(&self.setup.state_dir).await {
            self.forget_signal();
            return Outcome::Failed {
                message: format!("nothing was done, because it could not be remembered: {error:#}"),
            };
        }
        fail::fail_point!("order_noted", |_| std::process::abort());
        self.publish().await;
        let result = match order.action {
            Action::Start => self.start().await,
            Action::Stop => self.stop().await,
            Action::Kill => self.kill().await,
        };
        fail::fail_point!("order_signalled", |_| std::process::abort());
        let outcome = match result {
            Ok(message) => Outcome::Done { message },
            Err(error) => {
                self.forget_signal();
                Outcome::Failed { message: protocol::limits::clip(&format!("{error:#}")) }
            }
        };
        tracing::info!(base = %self.setup.base.display(), action = %order.action, ?outcome, "order carried out");
        self.memory.end_order(order.id, &outcome);
        self.publish().await;
        self.store().await;
        outcome
    }

    fn forget_signal(&mut self) {
        let Some(key) = self.process.as_ref().map(|process| process.watched.key) else { return };
        if let Some(remembered) = self.memory.of_process(key) {
            remembered.signalled = None;
        }
    }

    /// The answer to an order that there is no need for.
    fn needless(&self, action: Action) -> Option<Outcome> {
        let state = self.judge().state;
        let message = match (action, state) {
            (Action::Start, State::Stopped) => return None,
            (Action::Start, _) => format!("it is {state}: a process exists"),
            (Action::Stop | Action::Kill, State::Stopped) => "it is stopped: there is no process".to_owned(),
            (Action::Stop, _) => {
                self.remembered().and_then(|process| process.signalled).filter(|&action| action != Action::Start)?;
                "it is stopping: it was signalled before".to_owned()
            }
            (Action::Kill, _) => return None,
        };
        Some(Outcome::Ignored { message })
    }

    /// The answer to an order that the machine's own file forbids.
    fn forbidden(&self, action: Action) -> Option<Outcome> {
        let permission = match action {
            Action::Start => Permission::Start,
            Action::Stop => Permission::Stop,
            Action::Kill => Permission::Kill,
        };
        let message = format!("the agent's own configuration does not allow `{action}` (see `allow` there)");
        (!self.setup.allow.contains(&permission)).then_some(Outcome::Refused { message })
    }

    /// The answer to an order whose signal the kernel would not let through: it is not even begun.
    fn powerless(&self, action: Action) -> Option<Outcome> {
        let process = self.process.as_ref().filter(|process| action != Action::Start && process.unit.is_none())?;
        let pid = i32::try_from(process.watched.key.pid).ok().and_then(Pid::from_raw)?;
        let denied = rustix::process::test_kill_process(pid) == Err(Errno::PERM);
        denied.then(|| Outcome::Failed { message: may_not_signal(process) })
    }

    async fn start(&mut self) -> Result<String> {
        self.start_failure = None;
        self.launching = true;
        self.publish().await;
        let started = self.launch().await;
        self.launching = false;
        match started {
            Ok(message) => Ok(message),
            Err(error) => {
                self.start_failure = Some(format!("the start failed: {error:#}"));
                Err(error)
            }
        }
    }

    async fn launch(&mut self) -> Result<String> {
        if let Some(unit) = self.unit_to_drive().await {
            systemd::start(&unit).await?;
            return Ok(format!("start queued for the unit {unit}"));
        }
        let base = self.setup.base.clone();
        let user = self.run_as(None).map_err(|why| anyhow!("{why}"))?;
        let home = self.home().ok_or_else(|| {
            anyhow!("CATALINA_HOME is not known: no bin/catalina.sh in the base or the usual places; set `home` in the agent's configuration")
        })?;
        let launch = Launch::of(&base, &home, &user, &self.environment());
        let Started { key, child } = if systemd::is_running() && users::current() == 0 {
            start::as_transient_unit(&launch, &self.transient_unit(), &self.setup.state_dir).await?
        } else {
            start::as_child(&launch).await?
        };
        self.take_up(key, child).await;
        if let Some(remembered) = self.memory.of_process(key) {
            remembered.signalled = Some(Action::Start);
        }
        Ok(format!("started as process {} of `{}`", key.pid, user.name))
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.setup.defaults.environment.clone();
        environment.extend(self.setup.declared.iter().flat_map(|declared| declared.environment.clone()));
        environment
    }

    /// The name of the unit that systemd runs the instance in when the agent starts it.
    pub(super) fn transient_unit(&self) -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        let base = self.setup.base.display().to_string();
        let base: String = base.trim_start_matches('/').chars().map(allowed).collect();
        let grid = self.setup.grid.simple().to_string();
        format!("{TRANSIENT_PREFIX}{}-{}.service", &grid[..8], base.chars().take(150).collect::<String>())
    }

    /// The unit through which the instance is started, stopped and killed: that of its process, the declared one,
    /// that of the last process, or one that names the base.
    async fn unit_to_drive(&self) -> Option<String> {
        if let Some(process) = &self.process {
            return process.unit.clone().filter(|unit| !unit.starts_with(TRANSIENT_PREFIX));
        }
        match self.known_unit() {
            Some(unit) if systemd::is_running() => Some(unit),
            _ => systemd::unit_for_base(&self.setup.base).await,
        }
    }

    async fn stop(&mut self) -> Result<String> {
        if let Some(unit) = self.unit_to_drive().await {
            systemd::stop(&unit).await?;
            return Ok(format!("stop queued for the unit {unit}"));
        }
        let program = self.setup.declared.as_ref().and_then(|declared| declared.stop.clone());
        if let Some(words) = program.filter(|words| !words.is_empty()) {
            return self.run_stop_program(words).await;
        }
        self.signal(Signal::TERM).map(|pid| format!("SIGTERM sent to process {pid}"))
    }

    async fn kill(&mut self) -> Result<String> {
        if let Some(unit) = self.unit_to_drive().await {
            systemd::kill(&unit).await?;
            return Ok(format!("stop queued for the unit {unit}, and SIGKILL sent to it"));
        }
        self.signal(Signal::KILL).map(|pid| format!("SIGKILL sent to process {pid}"))
    }

    fn signal(&self, signal: Signal) -> Result<u32> {
        let process = self.process.as_ref().ok_or_else(|| anyhow!("there is no process"))?;
        let pid = process.watched.key.pid;
        process.watched.signal(signal).map_err(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => anyhow!(may_not_signal(process)),
            _ => anyhow!("cannot signal process {pid}: {error}"),
        })?;
        Ok(pid)
    }

    /// Runs the instance's own stop program as its user, with its output in `logs/catalina.out`.
    async fn run_stop_program(&self, words: Vec<String>) -> Result<String> {
        let process = self.process.as_ref().ok_or_else(|| anyhow!("there is no process"))?;
        let user =
            users::by_uid(process.uid).ok_or_else(|| anyhow!("the user {} of the process has no name", process.uid))?;
        let home = self.home().unwrap_or_else(|| self.setup.base.clone());
        let mut launch = Launch::of(&self.setup.base, &home, &user, &self.environment());
        let [program, arguments @ ..] = words.as_slice() else { return Err(anyhow!("the stop program is empty")) };
        launch.program = self.setup.base.join(Path::new(program));
        launch.arguments = arguments.to_vec();
        launch.environment.insert("TOMCAT_GRID_PID".to_owned(), process.watched.key.pid.to_string());
        let Started { child, .. } = start::as_child(&launch).await?;
        if let Some(mut child) = child {
            // It is reaped in the background: whether the instance ends is seen by its process alone.
            tokio::spawn(async move { tokio::time::timeout(STOP_PROGRAM_TIMEOUT, child.wait()).await });
        }
        Ok(format!("{program} was run"))
    }
}

fn may_not_signal(process: &Process) -> String {
    format!(
        "the agent runs as `{}` and may not signal process {} of `{}`",
        users::shown(users::current()),
        process.watched.key.pid,
        users::shown(process.uid)
    )
}
