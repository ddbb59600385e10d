//! Following a process: taking it up, asking for its health, noticing what becomes of its sockets and of itself.

use std::time::Duration;

use protocol::state::State;
use tokio::{task::JoinSet, time::Instant};

use super::{
    endpoint::{self, History, Survey},
    exit::{self, Evidence},
    memory::{ExitMemory, Moment, ProcessMemory},
    rules::{Answer, Sockets},
    task::{Found, Process, Task},
};
use crate::{
    os::{
        process::{self, ProcessKey, Watched},
        sockets::{self, Owned},
        sweep, systemd,
    },
    tomcat::{
        command_line, installation, probe,
        server_xml::{self, ServerXml},
    },
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
    /// Takes up the process that was followed before the agent's own restart, or notes that it ended meanwhile.
    pub(super) async fn find_remembered(&mut self) {
        let Some(remembered) = self.memory.process.clone() else { return };
        if self.memory.same_boot() && remembered.key.is_alive() {
            self.take_up(remembered.key, None).await;
            return;
        }
        // A unit that has failed is kept by systemd, and tells how its process ended while nobody looked.
        let evidence = match self.memory.same_boot() && systemd::is_running() {
            true => unit_result(&self.memory.last_unit.clone().unwrap_or_else(|| self.transient_unit())).await,
            false => Evidence::default(),
        };
        self.note_end(evidence);
        self.store().await;
    }

    /// Looks now, and not only with the next beat, whether a process of this base runs.
    pub(super) async fn look_for_process(&mut self) {
        if self.process.is_some() {
            return;
        }
        let configured = self.setup.declared.as_ref().and_then(|declared| declared.user.clone());
        let configured = configured.or_else(|| self.setup.defaults.user.clone());
        let trusted = installation::trusted_users(&self.setup.base, configured.as_deref());
        let mut found = None;
        sweep::look_once(|pid, arguments| {
            let recognised = command_line::recognise(arguments)
                .filter(|found| std::fs::canonicalize(&found.base).is_ok_and(|base| base == self.setup.base));
            if let (Some(command_line), Some(uid), Some(key)) = (recognised, process::uid(pid), ProcessKey::of(pid))
                && trusted.contains(&uid)
            {
                found = Some(Found { key, uid, command_line });
            }
        });
        if let Some(found) = found {
            self.on_appeared(found).await;
        }
    }

    pub(super) async fn on_appeared(&mut self, found: Found) {
        if let Some(process) = &self.process {
            if process.watched.key == found.key {
                return;
            }
            let note = format!("a second process ({}) runs on this base; only the first is followed", found.key.pid);
            if process.note.as_deref() != Some(note.as_str()) {
                tracing::warn!(base = %self.setup.base.display(), "{note}");
            }
            if let Some(process) = &mut self.process {
                process.note = Some(note);
            }
            return;
        }
        self.memory.last_home = found.command_line.home.as_ref().map(Into::into).or(self.memory.last_home.take());
        self.take_up(found.key, None).await;
    }

    /// Begins to follow a process.
    pub(super) async fn take_up(&mut self, key: ProcessKey, child: Option<tokio::process::Child>) {
        let watched = match Watched::open(key) {
            Ok(Some(watched)) => watched,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(pid = key.pid, "cannot watch the process: {error}");
                return;
            }
        };
        let uid = process::uid(key.pid).unwrap_or(0);
        let unit = main_unit_of(key.pid).await;
        if self.memory.of_process(key).is_none() {
            let fresh = ProcessMemory { key, signalled: None, has_answered: false, has_listened: false, hsperf: None };
            self.memory.process = Some(fresh);
            self.memory.boot_id = crate::os::clock::boot_id();
        }
        self.memory.last_user = Some(uid).filter(|&uid| uid != 0).or(self.memory.last_user);
        self.memory.last_unit = unit.clone().filter(|unit| !is_transient(unit));
        self.start_failure = None;
        self.process = Some(Process {
            watched,
            child,
            uid,
            server: ServerXml::default(),
            is_jvm: false,
            sockets: Sockets::NotYet,
            owned: Vec::new(),
            target: None,
            same_network: sockets::same_network(key.pid),
            frozen: process::stat(key.pid).is_some_and(|stat| stat.is_frozen()),
            answer: Answer::None,
            failing: false,
            listening_since: None,
            unit,
            note: None,
        });
        self.survey();
        self.store().await;
        self.ask();
    }

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

    fn look_at_sockets(&self) -> Option<(Survey, Vec<Owned>)> {
        let process = self.process.as_ref()?;
        let pid = process.watched.key.pid;
        let all = sockets::listening((!process.same_network).then_some(pid)).ok()?;
        let connectors = &process.server.connectors;
        let mut owned = sockets::owned_by(pid, &all);
        // Other programs of the same user listen too: where it cannot be known whose a socket is, only the ports that
        // it should have count.
        owned.retain(|own| {
            let port = own.listener.address.port();
            !own.is_assumed() || connectors.is_empty() || connectors.iter().any(|connector| connector.port == port)
        });
        let remembered = self.remembered();
        let age = crate::os::clock::BootTime::from_ticks(process.watched.key.start_ticks).age();
        let history = History {
            has_listened: remembered.is_some_and(|process| process.has_listened),
            is_up: remembered.is_some_and(|process| process.has_answered) || age >= self.setup.start_timeout,
            is_late: process.listening_since.is_some_and(|since| since.elapsed() >= CONNECTORS_OPEN_WITHIN),
        };
        let others: Vec<_> = all
            .iter()
            .filter(|listener| owned.iter().all(|own| own.listener.inode != listener.inode))
            .cloned()
            .collect();
        let survey =
            endpoint::survey(&process.server, &others, &owned, history, |inode| match sockets::holder(inode) {
                Some((pid, name)) => format!("another process ({pid}, {name})"),
                None => "another process".to_owned(),
            });
        Some((survey, owned))
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
        let limit = if impatient { STARTING_TIMEOUT } else { ANSWER_TIMEOUT };
        self.asking.spawn(async move { tokio::time::timeout(limit, probe::ask(target, &question)).await.ok() });
    }

    /// Whether the process is coming up, so that its first answer is awaited.
    fn is_impatient(&self) -> bool {
        self.remembered().is_some_and(|process| !process.has_answered && process.signalled.is_none_or(is_start))
            && self.process.as_ref().is_some_and(|process| !process.frozen)
    }

    pub(super) async fn on_answer(&mut self, answer: Option<probe::Answer>) {
        let impatient = self.is_impatient();
        let good = answer == Some(probe::Answer::Good);
        // Anybody may answer on that port: the first good answer counts only if the process listens there itself.
        if good && self.process.as_ref().is_some_and(|process| process.sockets != Sockets::Open) {
            self.survey();
        }
        let Some(process) = &mut self.process else { return };
        if good && process.sockets == Sockets::Open {
            process.answer = Answer::Good;
            process.failing = false;
            process.frozen = false;
            self.note_first_answer().await;
            return;
        }
        let first_failure = !std::mem::replace(&mut process.failing, true);
        let answer = match answer {
            Some(probe::Answer::Bad(why)) => Answer::Bad(why),
            Some(probe::Answer::Refused) => Answer::Refused,
            Some(probe::Answer::Good) => Answer::None,
            None => Answer::Silent(ANSWER_TIMEOUT),
        };
        if impatient {
            process.answer = answer;
            self.ask_at = Some(Instant::now() + IMPATIENT);
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

    async fn note_first_answer(&mut self) {
        let Some(process) = &self.process else { return };
        let key = process.watched.key;
        let first = self.memory.of_process(key).is_some_and(|remembered| !remembered.has_answered);
        if first && let Some(remembered) = self.memory.of_process(key) {
            remembered.has_answered = true;
            remembered.hsperf = process::hsperf_file(key.pid);
            // Told before it is stored: this is what everybody is waiting for.
            self.publish().await;
            self.store().await;
        }
    }

    pub(super) async fn on_tick(&mut self, tick: u64) {
        self.tick = tick;
        let Some(process) = &mut self.process else { return };
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

    /// The process has ended.
    pub(super) async fn on_ended(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        self.asking = JoinSet::new();
        self.ask_at = None;
        let mut evidence = Evidence::default();
        if let Some(child) = &mut process.child
            && let Ok(status) = child.wait().await
        {
            use std::os::unix::process::ExitStatusExt;
            evidence.code = status.code();
            evidence.signal = status.signal();
        } else if let Some(unit) = &process.unit {
            evidence = unit_result(unit).await;
            if is_transient(unit) {
                // systemd keeps a unit that has failed, to tell how its process ended: that is known now.
                let unit = unit.clone();
                tokio::spawn(async move { systemd::reset_failed(&unit).await });
            }
        }
        self.note_end(evidence);
        // Told before it is stored: the state is on its way while the disk takes its time.
        self.publish().await;
        self.store().await;
    }

    /// Notes how the process ended.
    fn note_end(&mut self, mut evidence: Evidence) {
        let same_boot = self.memory.same_boot();
        let Some(remembered) = self.memory.process.take() else { return };
        evidence.signalled = remembered.signalled.filter(|&action| !is_start(action));
        evidence.has_answered = remembered.has_answered;
        if same_boot {
            evidence.orderly = evidence.orderly.or(remembered.hsperf.map(|file| !file.exists()));
        }
        let ending = exit::describe(evidence);
        tracing::info!(base = %self.setup.base.display(), pid = remembered.key.pid, "the process has ended: {}", ending.how);
        self.memory.last_exit = Some(ExitMemory {
            at: Moment::now(),
            code: evidence.code,
            signal: evidence.signal,
            wanted: ending.wanted,
            how: ending.how,
        });
    }
}

fn is_start(action: protocol::state::Action) -> bool {
    action == protocol::state::Action::Start
}

/// The prefix of the units that the agent makes for instances it starts.
pub(super) const TRANSIENT_PREFIX: &str = "tomcat-grid-instance-";

fn is_transient(unit: &str) -> bool {
    unit.starts_with(TRANSIENT_PREFIX)
}

/// The unit whose main process this is. A process that merely lives in a unit's cgroup is not driven through it: the
/// unit may be the agent's own, or that of a login.
async fn main_unit_of(pid: u32) -> Option<String> {
    let unit = systemd::unit_of(pid)?;
    let main = systemd::show(&unit, &["MainPID"]).await.ok()?;
    (main.get("MainPID")?.parse() == Ok(pid)).then_some(unit)
}

/// How a unit's last main process ended.
async fn unit_result(unit: &str) -> Evidence {
    const EXITED: &str = "1";
    let Ok(found) = systemd::show(unit, &["ActiveState", "ExecMainCode", "ExecMainStatus"]).await else {
        return Evidence::default();
    };
    let get = |name: &str| found.get(name).map_or("", String::as_str);
    let status = get("ExecMainStatus").parse().ok();
    match get("ExecMainCode") {
        EXITED => Evidence { code: status, ..Default::default() },
        "2" | "3" => Evidence { signal: status, ..Default::default() },
        // A unit that nothing refers to is forgotten when it has ended, unless it has failed.
        _ => Evidence { orderly: (get("ActiveState") == "inactive").then_some(true), ..Default::default() },
    }
}
