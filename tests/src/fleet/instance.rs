//! A Tomcat in words only: its report, and how orders and time move it.

use std::time::{Duration, Instant};

use protocol::{
    link::Outcome,
    report::{ExitReport, InstanceReport},
    state::{Action, State},
};

/// How long a start takes.
pub const START: Duration = Duration::from_millis(900);

/// How long a stop takes.
pub const STOP: Duration = Duration::from_millis(600);

/// How an instance takes orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    /// As it should.
    Obeys,
    /// The machine's own file forbids all orders.
    Refuses,
    /// It crashes while it starts.
    Crashes,
    /// It does not end before it is killed.
    Hangs,
}

/// What comes by itself.
#[derive(Debug, Clone, Copy)]
enum Step {
    Up,
    Down,
    Crash,
}

/// An instance.
pub(super) struct Instance {
    pub(super) temper: Temper,
    report: InstanceReport,
    last_pid: u32,
    /// When it came into its state, and how old that was then.
    since: Instant,
    older: Duration,
    exited: Instant,
    next: Option<(Instant, Step)>,
}

impl Instance {
    /// An instance that is active and obeys.
    pub(super) fn new(name: &str, port: u16, pid: u32) -> Self {
        let report = InstanceReport {
            base: format!("/srv/tomcat/{name}"),
            declared_name: None,
            state: State::Active,
            reason: None,
            age_ms: 0,
            pid: Some(pid),
            ports: vec![port],
            last_exit: None,
            home: Some("/usr/share/tomcat10".to_owned()),
            user: Some("tomcat".to_owned()),
            unit: Some(format!("tomcat@{name}.service")),
            notes: Vec::new(),
        };
        let now = Instant::now();
        Self {
            temper: Temper::Obeys,
            report,
            last_pid: pid,
            since: now,
            older: Duration::ZERO,
            exited: now,
            next: None,
        }
    }

    /// Its `CATALINA_BASE`.
    pub(super) fn base(&self) -> &str {
        &self.report.base
    }

    /// Its state.
    pub(super) fn state(&self) -> State {
        self.report.state
    }

    /// Its status as it is told.
    pub(super) fn report(&self) -> InstanceReport {
        let mut report = self.report.clone();
        let age = |since: Instant| u64::try_from((since.elapsed() + self.older).as_millis()).unwrap_or(u64::MAX);
        report.age_ms = age(self.since);
        if let Some(exit) = &mut report.last_exit {
            exit.age_ms = age(self.exited);
        }
        report
    }

    /// Its state is older than it was told so far.
    pub(super) fn grow_old(&mut self, millis: u64) {
        self.older = Duration::from_millis(millis);
    }

    /// What an operator should know of it.
    pub(super) fn note(&mut self, note: &str) {
        self.report.notes.push(note.to_owned());
    }

    /// Comes into a state. What it would have done by itself it does no more.
    pub(super) fn set(&mut self, state: State, reason: Option<String>) {
        (self.since, self.older) = (Instant::now(), Duration::ZERO);
        (self.report.state, self.report.reason, self.next) = (state, reason, None);
        match (state, self.report.pid) {
            (State::Stopped, _) => self.report.pid = None,
            // Another process than before.
            (_, None) => {
                self.last_pid += 7;
                self.report.pid = Some(self.last_pid);
            }
            _ => {}
        }
    }

    /// Its process ends.
    pub(super) fn end(&mut self, wanted: bool, how: &str, code: Option<i32>) {
        self.set(State::Stopped, None);
        self.exited = self.since;
        let signal = code.is_none().then_some(9);
        self.report.last_exit = Some(ExitReport { age_ms: 0, code, signal, wanted, how: how.to_owned() });
    }

    /// When something comes by itself.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next.map(|(at, _)| at)
    }

    /// Does what is due; says whether it changed.
    pub(super) fn step(&mut self, now: Instant) -> bool {
        let Some((_, step)) = self.next.filter(|(at, _)| *at <= now) else { return false };
        match step {
            Step::Up => self.set(State::Active, None),
            Step::Down => self.end(true, "ended with exit code 143 after SIGTERM", Some(143)),
            Step::Crash => self.end(false, "ended with exit code 1 while it started", Some(1)),
        }
        true
    }

    /// Takes an order; what became of it is told, and the change, if there is one.
    pub(super) fn take(&mut self, action: Action) -> (Outcome, bool) {
        if self.temper == Temper::Refuses {
            let message =
                format!("`{action}` is not allowed here: `allow` in /etc/tomcat-grid-agent.toml lists `status`");
            return (Outcome::Refused { message }, false);
        }
        let ignored = |message: &str| (Outcome::Ignored { message: message.to_owned() }, false);
        let message = match (action, self.state()) {
            (Action::Start, State::Stopped) => {
                let step = if self.temper == Temper::Crashes { Step::Crash } else { Step::Up };
                self.set(State::Starting, None);
                self.next = Some((self.since + START, step));
                "started through systemd"
            }
            (Action::Start, _) => return ignored("it runs"),
            (Action::Stop | Action::Kill, State::Stopped) => return ignored("it is stopped"),
            (Action::Stop, State::Stopping) => return ignored("it is stopping"),
            (Action::Stop, _) => {
                self.set(State::Stopping, None);
                if self.temper != Temper::Hangs {
                    self.next = Some((self.since + STOP, Step::Down));
                }
                "SIGTERM was delivered"
            }
            (Action::Kill, _) => {
                self.end(true, "killed by signal 9", None);
                "SIGKILL was delivered"
            }
        };
        (Outcome::Done { message: message.to_owned() }, true)
    }
}
