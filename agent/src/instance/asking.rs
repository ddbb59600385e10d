//! Asking a process for its health, and noticing what becomes of its sockets.

use std::time::Duration;

use protocol::{desired::InstanceSettings, state::State};
use tokio::{task::JoinSet, time::Instant};

use super::{
    endpoint::{self, History, Survey},
    rules::{Answer, Sockets},
    task::Task,
};
use crate::{
    os::{
        process,
        sockets::{self, Owned},
    },
    tomcat::{command_line, probe, server_xml},
};

/// How often an instance that has not come up is asked.
const IMPATIENT: Duration = Duration::from_millis(50);

/// How often, in ticks, a healthy instance is asked.
const STEADY_TICKS: u64 = 5;

/// How often, in ticks, the sockets of a healthy instance are looked at again.
const SURVEY_TICKS: u64 = 60;

/// How long a healthy instance may take to answer. Two answers in a row must fail before it counts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one answer is awaited while an instance starts: a connector that is bound early accepts at once, and
/// answers when the applications are deployed.
const STARTING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the connectors of one instance may take to open one after the other.
const CONNECTORS_OPEN_WITHIN: Duration = Duration::from_secs(3);

impl Task {
    /// Looks at the sockets of the process and compares them with its configuration.
    pub(super) fn survey(&mut self) {
        self.read_configuration();
        let Some((survey, owned)) = self.look_at_sockets() else { return };
        self.apply(survey, owned);
    }

    /// Reads `server.xml` with the system properties of the process. They are known when it has become the JVM: until
    /// then it is the launcher, or a shell.
    fn read_configuration(&mut self) {
        let Some(process) = self.process.as_mut().filter(|process| !process.is_jvm) else { return };
        let arguments = process::command_line(process.watched.key.pid).unwrap_or_default();
        let found = command_line::recognise(&arguments);
        process.is_jvm = found.is_some();
        let properties = found.map(|found| found.properties).unwrap_or_default();
        process.server = server_xml::read(&self.setup.base, &properties);
    }

    fn look_at_sockets(&mut self) -> Option<(Survey, Vec<Owned>)> {
        let (held, has_answered) =
            self.remembered().map(|process| (process.held.clone(), process.has_answered)).unwrap_or_default();
        let process = self.process.as_mut()?;
        let pid = process.watched.key.pid;
        let all = sockets::listening((!process.same_network).then_some(pid)).ok()?;
        let connectors = &process.server.connectors;
        let mut owned = sockets::owned_by(pid, &all);
        // Other programs of the same user listen too: where it cannot be known whose a socket is, only the ports that
        // it should have count.
        owned.retain(|own| {
            let port = own.listener.address.port();
            let is_connector = held.contains(&port) || connectors.iter().any(|connector| connector.port == port);
            !own.is_assumed() || connectors.is_empty() || is_connector
        });
        let age = crate::os::clock::BootTime::from_ticks(process.watched.key.start_ticks).age();
        let history = History {
            held: &held,
            is_up: has_answered || age >= self.setup.start_timeout(),
            is_late: process.listening_since.is_some_and(|since| since.elapsed() >= CONNECTORS_OPEN_WITHIN),
        };
        let others: Vec<_> = all
            .iter()
            .filter(|listener| owned.iter().all(|own| own.listener.inode != listener.inode))
            .cloned()
            .collect();
        let known = &mut process.holder;
        let survey = endpoint::survey(&process.server, &others, &owned, history, |inode| match known {
            Some((of, words)) if *of == inode => words.clone(),
            _ => known.insert((inode, holder(inode))).1.clone(),
        });
        Some((survey, owned))
    }

    /// Puts in force what the manager wants to be set; what changes is asked for at once.
    pub(super) fn on_settings(&mut self, desired: Option<InstanceSettings>) {
        let before = self.setup.question();
        self.setup.desired = desired;
        if self.setup.question() == before {
            return;
        }
        // An answer to the old question says nothing about the new one.
        self.asking = JoinSet::new();
        if let Some(process) = &mut self.process {
            process.failing = false;
        }
        self.ask();
    }

    /// Asks the process for its health, unless an answer is already awaited.
    pub(super) fn ask(&mut self) {
        self.ask_at = None;
        let question = self.setup.question();
        let impatient = self.is_impatient();
        let Some(process) = &mut self.process else { return };
        if !self.asking.is_empty() {
            return;
        }
        let Some(target) = process.target else {
            process.answer = Answer::NotAskable;
            return;
        };
        // Whoever holds its port is somebody else, and not to be bothered; the beat sees when the port is free.
        if matches!(process.sockets, Sockets::Held { .. }) {
            return;
        }
        let limit = if impatient { STARTING_TIMEOUT } else { ANSWER_TIMEOUT };
        self.asking.spawn(async move { tokio::time::timeout(limit, probe::ask(target, &question)).await.ok() });
    }

    /// Whether the process is coming up, so that its first answer is awaited.
    fn is_impatient(&self) -> bool {
        self.process.is_some() && self.judge().state == State::Starting
    }

    pub(super) async fn on_answer(&mut self, answer: Option<probe::Answer>) {
        let impatient = self.is_impatient();
        let good = answer == Some(probe::Answer::Good);
        // Anybody may answer on that port: the first good answer counts only if the process listens there itself.
        if good && self.process.as_ref().is_some_and(|process| process.sockets != Sockets::Open) {
            self.survey();
        }
        let Some(process) = &mut self.process else { return };
        // Until now, one that was let go on counted as frozen: whatever came of the question speaks for it from here.
        let frozen = process::stat(process.watched.key.pid).is_some_and(|stat| stat.is_frozen());
        let was_frozen = std::mem::replace(&mut process.frozen, frozen);
        if good && process.sockets == Sockets::Open {
            process.answer = Answer::Good;
            process.failing = false;
            self.note_good_answer().await;
            return;
        }
        let first_failure = !std::mem::replace(&mut process.failing, true);
        let answer = match answer {
            Some(probe::Answer::Bad(why)) => Answer::Bad(why),
            Some(probe::Answer::Refused) => Answer::Refused,
            Some(probe::Answer::Good) => Answer::None,
            None => Answer::Silent(ANSWER_TIMEOUT),
        };
        if impatient || was_frozen {
            process.answer = answer;
            if self.is_impatient() {
                self.ask_at = Some(Instant::now() + IMPATIENT);
            }
            return;
        }
        if first_failure {
            // Once is no proof: ask again at once, and judge by that.
            self.survey();
            self.ask();
            return;
        }
        if answer == Answer::Refused {
            self.survey();
        }
        if let Some(process) = &mut self.process {
            process.answer = answer;
        }
    }

    /// Notes what a good answer proves for good: that the process has come up, and that a stop which may have been
    /// sent was not.
    async fn note_good_answer(&mut self) {
        let Some(process) = &self.process else { return };
        let key = process.watched.key;
        let Some(remembered) = self.memory.of_process(key) else { return };
        if remembered.has_answered && !remembered.is_doubtful {
            return;
        }
        if std::mem::take(&mut remembered.is_doubtful) {
            remembered.signalled = None;
        }
        remembered.has_answered = true;
        remembered.hsperf = process::hsperf_file(key.pid);
        // Told before it is stored: this is what everybody is waiting for.
        self.publish().await;
        self.store().await;
    }

    pub(super) async fn on_tick(&mut self, tick: u64) {
        self.tick = tick;
        let Some(process) = &mut self.process else {
            self.check_launch();
            return;
        };
        let pid = process.watched.key.pid;
        let frozen = process::stat(pid).is_some_and(|stat| stat.is_frozen());
        let thawed = process.frozen && !frozen;
        // A process that was let go on counts as frozen until it has answered.
        process.frozen = frozen || (process.frozen && process.target.is_some());
        if frozen {
            return;
        }
        let lost = process.owned.iter().any(|own| !own.is_held_by(pid));
        let settled = process.sockets == Sockets::Open && process.answer == Answer::Good;
        let phase = self.setup.base.as_os_str().len() as u64;
        if lost || !settled || (tick + phase).is_multiple_of(SURVEY_TICKS) {
            self.survey();
        }
        let state = self.judge().state;
        let due = match state {
            State::Active => (tick + phase).is_multiple_of(STEADY_TICKS),
            State::Stopping | State::Stopped => false,
            State::Starting | State::Unresponsive | State::NotAvailable => true,
        };
        if due || thawed {
            self.ask();
        }
    }
}

/// Who holds a socket, in words.
fn holder(inode: u64) -> String {
    match sockets::holder(inode) {
        Some((pid, name)) => format!("another process ({pid}, {name})"),
        None => "another process".to_owned(),
    }
}
