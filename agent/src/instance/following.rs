//! Following a process: taking it up, and noticing its end.

use protocol::state::State;
use tokio::{process::Child, task::JoinSet};

use super::{
    exit::{self, Evidence},
    memory::{ExitMemory, Moment, ProcessMemory},
    rules::{Answer, Sockets},
    starting::is_transient,
    task::{Found, Process, Task},
};
use crate::{
    os::{
        children,
        process::{self, ProcessKey, Watched},
        sockets, sweep, systemd,
    },
    tomcat::{command_line, installation, server_xml::ServerXml},
};

/// A process that cannot be followed.
pub(super) enum Lost {
    /// It has ended already.
    Ended(Option<Child>),
    /// It cannot be watched.
    Unwatchable(std::io::Error),
}

impl Task {
    /// Takes up the process that was followed before the agent's own restart, or notes that it ended meanwhile.
    pub(super) async fn find_remembered(&mut self) {
        let Some(remembered) = self.memory.process.clone() else { return };
        let same_boot = self.memory.same_boot();
        // It may end between the look and the taking up, and then its end is noted like any other.
        if same_boot
            && remembered.key.is_alive()
            && !matches!(self.take_up(remembered.key, None).await, Err(Lost::Ended(_)))
        {
            return;
        }
        // A unit that has failed is kept by systemd, and tells how its process ended while nobody looked.
        let evidence = match &remembered.unit {
            Some(unit) if same_boot && systemd::is_running() => unit_result(unit).await,
            _ => Evidence::default(),
        };
        self.note_end(Evidence { away: true, rebooted: !same_boot, ..evidence });
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
                && process::same_root(pid)
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
        // One that has gone already was never seen to live.
        let _gone = self.take_up(found.key, None).await;
    }

    /// Begins to follow a process.
    pub(super) async fn take_up(&mut self, key: ProcessKey, child: Option<Child>) -> Result<(), Lost> {
        let watched = match Watched::open(key) {
            Ok(Some(watched)) => watched,
            Ok(None) => return Err(Lost::Ended(child)),
            Err(error) => {
                tracing::error!(pid = key.pid, "cannot watch the process: {error}");
                return Err(Lost::Unwatchable(error));
            }
        };
        let uid = process::uid(key.pid).unwrap_or(0);
        // Who hangs does so across the agent's own restart, until an answer proves otherwise.
        let hung = self.memory.of_process(key).is_some_and(|known| known.has_answered)
            && matches!(self.memory.state, Some((State::Unresponsive, _)));
        let answer = match &self.memory.reason {
            Some(why) if hung => Answer::Bad(why.clone()),
            _ => Answer::None,
        };
        if self.memory.of_process(key).is_none() {
            self.memory.process = Some(ProcessMemory::new(key));
            self.memory.boot_id = crate::os::clock::boot_id();
        }
        self.memory.last_user = Some(uid).filter(|&uid| uid != 0).or(self.memory.last_user);
        self.start_failure = None;
        self.launching = None;
        // What the cgroup says is believed of a unit that is known, until systemd has confirmed it.
        let likely = systemd::unit_of(key.pid)
            .filter(|unit| is_transient(unit) || self.memory.last_unit.as_deref() == Some(unit));
        self.process = Some(Process {
            watched,
            child,
            uid,
            server: ServerXml::default(),
            is_jvm: false,
            sockets: Sockets::NotYet,
            owned: Vec::new(),
            holder: None,
            target: None,
            same_network: sockets::same_network(key.pid),
            frozen: process::stat(key.pid).is_some_and(|stat| stat.is_frozen()),
            answer,
            failing: false,
            listening_since: None,
            unit: likely,
            note: None,
            order_note: None,
        });
        self.survey();
        self.ask();
        self.publish().await;
        let unit = main_unit_of(key.pid).await;
        self.memory.last_unit = unit.clone().filter(|unit| !is_transient(unit));
        if let Some(remembered) = self.memory.of_process(key) {
            remembered.unit.clone_from(&unit);
        }
        if let Some(process) = &mut self.process {
            process.unit = unit;
        }
        self.store().await;
        Ok(())
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
            evidence = Evidence::of_status(status);
        } else if process.child.is_none()
            && let Some(status) = children::reap(process.watched.key.pid)
        {
            // Started before the agent executed itself anew.
            evidence = Evidence::of_status(status);
        } else if let Some(unit) = &process.unit {
            // Told at once: that it has ended is known, and systemd may take its time to say how.
            self.memory.last_exit = self.ending_by_the_grid();
            self.publish().await;
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

    /// The end of a process that was told to end, which needs no evidence.
    fn ending_by_the_grid(&self) -> Option<ExitMemory> {
        let remembered = self.memory.process.as_ref()?;
        let signalled = remembered.signalled.filter(|&action| !is_start(action))?;
        let ending = exit::describe(Evidence { signalled: Some(signalled), ..Default::default() });
        Some(ExitMemory { at: Moment::now(), code: None, signal: None, wanted: ending.wanted, how: ending.how })
    }

    /// Notes how the process ended.
    pub(super) fn note_end(&mut self, mut evidence: Evidence) {
        let same_boot = self.memory.same_boot();
        let Some(remembered) = self.memory.process.take() else { return };
        evidence.signalled = remembered.signalled.filter(|&action| !is_start(action));
        evidence.has_answered = remembered.has_answered;
        if same_boot {
            let tidied = remembered.hsperf.map(|file| !file.exists());
            // Another JVM of that user may have tidied up instead, while nobody looked.
            evidence.orderly = evidence.orderly.or(tidied.filter(|&tidied| !(tidied && evidence.away)));
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

/// The unit whose main process this is. A process that merely lives in a unit's cgroup is not driven through it: the
/// unit may be the agent's own, or that of a login.
async fn main_unit_of(pid: u32) -> Option<String> {
    let unit = systemd::unit_of(pid)?;
    let main = systemd::show(&unit, &["MainPID"]).await.ok()?;
    (main.get("MainPID")?.parse() == Ok(pid)).then_some(unit)
}

/// How a unit's last main process ended.
pub(super) async fn unit_result(unit: &str) -> Evidence {
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
