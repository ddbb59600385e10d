//! Carrying out orders: start, stop and kill, each at most once by its id.

use std::{path::Path, process::ExitStatus, time::Duration};

use anyhow::{Result, anyhow};
use protocol::{
    link::{Order, Outcome},
    state::{Action, State},
};
use rustix::{
    io::Errno,
    process::{Pid, Signal},
};
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use super::{
    doubts::Way,
    starting::is_transient,
    task::{Process, Task},
};
use crate::{
    config::Permission,
    os::{files, process::ProcessKey, systemd, users},
    tomcat::{
        mark,
        start::{self, Launch, Mark, Started},
    },
};

/// How long a configured stop program is waited for before its output is left to itself.
const STOP_PROGRAM_TIMEOUT: Duration = Duration::from_secs(60);

/// What became of an instance's own stop program.
pub(super) struct Stopped {
    /// The process that it was to stop.
    key: ProcessKey,
    /// Its name.
    program: String,
    /// How it ended, if it did in time.
    status: Option<ExitStatus>,
}

impl Task {
    /// Carries out an order, or answers with what became of it if it was received before.
    pub(super) async fn carry_out(&mut self, order: Order, deadline: Instant, reply: oneshot::Sender<Outcome>) {
        let outcome = match self.memory.order(order.id) {
            Some(known) => match &known.outcome {
                Some(outcome) => outcome.clone(),
                None => return self.doubt(order, deadline, reply),
            },
            None if Instant::now() >= deadline => Outcome::Expired {},
            None if files::may_be_forgotten(order.id, self.lost, &self.setup.managers_clock) => Outcome::Unknown {
                message:
                    "what the agent remembered of the instance was damaged: whether this was done before is not known"
                        .to_owned(),
            },
            None => self.perform(&order).await,
        };
        // Whoever asked may have gone; the outcome is remembered.
        let _gone = reply.send(outcome);
    }

    /// Carries out an order that was never carried out.
    pub(super) async fn perform(&mut self, order: &Order) -> Outcome {
        // One that was started by hand a moment ago may not have been seen yet.
        self.look_for_process().await;
        let unsettled = if order.action == Action::Start { self.settle_starts(order.id).await } else { None };
        let needless = unsettled.or_else(|| self.needless(order.action));
        if let Some(outcome) =
            needless.or_else(|| self.forbidden(order.action)).or_else(|| self.powerless(order.action))
        {
            self.memory.begin_order(order.id, order.action, None, None);
            self.finish(order, &outcome).await;
            return outcome;
        }
        let unit = self.unit_to_drive().await;
        let way = self.way(order.action, unit.as_deref()).await;
        let process = self.process.as_ref().map(|process| process.watched.key);
        self.memory.begin_order(order.id, order.action, process, Some(way.clone()));
        // What was signalled must be known after a crash, so it is on disk before the signal is sent.
        let before = self.note_signal(order.action);
        let noted = match self.memory.store(&self.setup.state_dir).await {
            Ok(()) if way == (Way::Launcher {}) => self.make_mark(order.id).await.map(Some),
            Ok(()) => Ok(None),
            Err(error) => Err(error),
        };
        let mark = match noted {
            Ok(mark) => mark,
            Err(error) => {
                self.restore_signal(before);
                let message = format!("nothing was done, because it could not be remembered: {error:#}");
                let outcome = Outcome::Failed { message };
                self.finish(order, &outcome).await;
                return outcome;
            }
        };
        fail::fail_point!("order_noted", |_| std::process::abort());
        let result = match order.action {
            Action::Start => self.start(unit, mark).await,
            Action::Stop => self.stop(unit, mark).await,
            Action::Kill => self.kill(unit).await,
        };
        fail::fail_point!("order_signalled", |_| std::process::abort());
        let outcome = match result {
            Ok(message) => {
                self.confirm_signal(order.action);
                Outcome::Done { message }
            }
            Err(error) => {
                self.restore_signal(before);
                Outcome::Failed { message: protocol::limits::clip(&format!("{error:#}")) }
            }
        };
        tracing::info!(base = %self.setup.base.display(), action = %order.action, ?outcome, "order carried out");
        self.finish(order, &outcome).await;
        outcome
    }

    /// Notes the outcome of an order, and tells the status that came with it.
    pub(super) async fn finish(&mut self, order: &Order, outcome: &Outcome) {
        self.memory.end_order(order.id, outcome);
        self.publish().await;
        // Without its outcome on disk, only the mark tells the next agent what became of it.
        if self.store().await {
            mark::remove(&self.setup.state_dir, order.id);
        }
    }

    /// How an order is to be carried out.
    async fn way(&self, action: Action, unit: Option<&str>) -> Way {
        if let Some(unit) = unit {
            let invocation = systemd::run_of(unit).await.ok().map(|run| run.invocation);
            return Way::Unit { unit: unit.to_owned(), invocation };
        }
        match action {
            Action::Start => Way::Launcher {},
            Action::Stop if self.stop_program().is_some() => Way::Launcher {},
            Action::Stop | Action::Kill => Way::Signal {},
        }
    }

    async fn make_mark(&self, order: Uuid) -> Result<Mark> {
        let dir = self.setup.state_dir.clone();
        let path = tokio::task::spawn_blocking(move || mark::make(&dir, order)).await??;
        Ok(Mark { order, path })
    }

    fn stop_program(&self) -> Option<Vec<String>> {
        let program = self.setup.declared.as_ref().and_then(|declared| declared.stop.clone());
        program.filter(|words| !words.is_empty())
    }

    /// Notes what is about to be signalled, and returns what was before.
    fn note_signal(&mut self, action: Action) -> Option<(Option<Action>, bool)> {
        let process = self.process.as_mut().filter(|_| action != Action::Start)?;
        process.order_note = None;
        let remembered = self.memory.of_process(process.watched.key)?;
        let before = (remembered.signalled, remembered.is_doubtful);
        (remembered.signalled, remembered.is_doubtful) = (Some(action), true);
        Some(before)
    }

    /// Nothing was signalled: what was before is so still.
    fn restore_signal(&mut self, before: Option<(Option<Action>, bool)>) {
        let Some((key, before)) = self.process.as_ref().map(|process| process.watched.key).zip(before) else { return };
        if let Some(remembered) = self.memory.of_process(key) {
            (remembered.signalled, remembered.is_doubtful) = before;
        }
    }

    /// It was signalled.
    pub(super) fn confirm_signal(&mut self, action: Action) {
        if action == Action::Start {
            return;
        }
        let Some(process) = &self.process else {
            // What was to be started was stopped before its process came.
            self.launching = None;
            return;
        };
        let key = process.watched.key;
        if let Some(remembered) = self.memory.of_process(key) {
            remembered.is_doubtful = false;
        }
    }

    /// The answer to an order that there is no need for.
    fn needless(&self, action: Action) -> Option<Outcome> {
        let state = self.judge().state;
        let message = match (action, state) {
            (Action::Start, State::Stopped) => return None,
            (Action::Start, _) if self.process.is_none() => format!("it is {state}: a start was triggered before"),
            (Action::Start, _) => format!("it is {state}: a process exists"),
            (Action::Stop | Action::Kill, State::Stopped) => "it is stopped: there is no process".to_owned(),
            (Action::Stop, _) => {
                self.remembered().filter(|process| process.is_told_to_end())?;
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

    /// The unit through which the instance is started, stopped and killed: that of its process, the declared one,
    /// that of the last process, or one that names the base.
    pub(super) async fn unit_to_drive(&self) -> Option<String> {
        if let Some(process) = &self.process {
            return process.unit.clone().filter(|unit| !is_transient(unit));
        }
        match self.known_unit() {
            Some(unit) if systemd::is_running() => Some(unit),
            _ => systemd::unit_for_base(&self.setup.base).await,
        }
    }

    async fn stop(&mut self, unit: Option<String>, mark: Option<Mark>) -> Result<String> {
        if let Some(unit) = unit {
            systemd::stop(&unit).await?;
            return Ok(format!("stop queued for the unit {unit}"));
        }
        if let Some(words) = self.stop_program() {
            return self.run_stop_program(words, mark).await;
        }
        self.signal(Signal::TERM).map(|pid| format!("SIGTERM sent to process {pid}"))
    }

    async fn kill(&mut self, unit: Option<String>) -> Result<String> {
        if let Some(unit) = unit {
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
    async fn run_stop_program(&mut self, words: Vec<String>, mark: Option<Mark>) -> Result<String> {
        let process = self.process.as_ref().ok_or_else(|| anyhow!("there is no process"))?;
        let key = process.watched.key;
        let user =
            users::by_uid(process.uid).ok_or_else(|| anyhow!("the user {} of the process has no name", process.uid))?;
        let home = self.home().unwrap_or_else(|| self.setup.base.clone());
        let mut launch = Launch::of(&self.setup.base, &home, &user, &self.environment());
        let [program, arguments @ ..] = words.as_slice() else { return Err(anyhow!("the stop program is empty")) };
        launch.program = self.setup.base.join(Path::new(program));
        launch.arguments = arguments.to_vec();
        launch.mark = mark;
        launch.environment.insert("TOMCAT_GRID_PID".to_owned(), key.pid.to_string());
        let Started { child, .. } = start::as_child(&launch).await?;
        if let Some(mut child) = child {
            let program = program.clone();
            self.stopping.spawn(async move {
                let ended = tokio::time::timeout(STOP_PROGRAM_TIMEOUT, child.wait()).await;
                Stopped { key, program, status: ended.ok().and_then(Result::ok) }
            });
        }
        Ok(format!("{program} was run"))
    }

    /// A stop program has ended. Whether the instance ends is seen by its process alone; but one that failed has not
    /// told it to.
    pub(super) async fn on_stop_program(&mut self, stopped: Option<Stopped>) {
        let Some(Stopped { key, program, status: Some(status) }) = stopped else { return };
        let Some(process) = self.process.as_mut().filter(|process| process.watched.key == key) else { return };
        let Some(remembered) = self.memory.of_process(key) else { return };
        if status.success() || remembered.signalled != Some(Action::Stop) {
            return;
        }
        remembered.signalled = None;
        let note = format!("the stop program {program} failed ({status}): see logs/catalina.out");
        tracing::warn!(base = %self.setup.base.display(), "{note}");
        process.order_note = Some(note);
        self.publish().await;
        self.store().await;
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
