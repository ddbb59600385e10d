//! Starting an instance, through its unit or without one, and watching over a start that has no process yet.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use protocol::state::Action;
use tokio::{process::Child, time::Instant};

use super::{
    exit::Evidence,
    following::{Lost, unit_result},
    memory::ProcessMemory,
    task::Task,
};
use crate::{
    os::{process::ProcessKey, systemd, users},
    tomcat::start::{self, Launch, Mark, Started},
};

/// The prefix of the units that the agent makes for instances it starts.
const TRANSIENT_PREFIX: &str = "tomcat-grid-instance-";

/// Whether it is a unit that the agent has made.
pub(super) fn is_transient(unit: &str) -> bool {
    unit.starts_with(TRANSIENT_PREFIX)
}

/// A start that was triggered.
pub(super) struct Launching {
    /// The unit that was told to start.
    unit: Option<String>,
    since: Instant,
}

/// What systemd says of a unit that was told to start.
pub(super) struct Launched {
    /// Whether it has come to rest without a process.
    is_over: bool,
    /// How, in a word of systemd.
    result: String,
}

impl Task {
    pub(super) async fn start(&mut self, unit: Option<String>, mark: Option<Mark>) -> Result<String> {
        self.start_failure = None;
        self.launching = Some(Launching { unit: None, since: Instant::now() });
        self.publish().await;
        let started = self.launch(unit, mark).await;
        match started {
            Ok(message) => Ok(message),
            Err(error) => {
                self.fail_start(format!("the start failed: {error:#}"));
                Err(error)
            }
        }
    }

    fn fail_start(&mut self, why: String) {
        self.launching = None;
        self.start_failure = Some(why);
    }

    async fn launch(&mut self, unit: Option<String>, mark: Option<Mark>) -> Result<String> {
        if let Some(unit) = unit {
            systemd::start(&unit).await?;
            self.launching = Some(Launching { unit: Some(unit.clone()), since: Instant::now() });
            return Ok(format!("start queued for the unit {unit}"));
        }
        let base = self.setup.base.clone();
        let user = self.run_as().map_err(|why| anyhow!("{why}"))?;
        let home = self.home().ok_or_else(|| {
            anyhow!("CATALINA_HOME is not known: no bin/catalina.sh in the base or the usual places; set `home` in the agent's configuration")
        })?;
        let launch = Launch { mark, ..Launch::of(&base, &home, &user, &self.environment()) };
        let Started { key, child } = if systemd::is_running() && users::current() == 0 {
            start::as_transient_unit(&launch, &self.transient_unit(), &self.setup.state_dir).await?
        } else {
            start::as_child(&launch).await?
        };
        fail::fail_point!("launch_marked", |_| std::process::abort());
        match self.take_up(key, child).await {
            Ok(()) => {}
            Err(Lost::Ended(child)) => return Err(anyhow!(self.ended_at_once(key, child).await)),
            Err(Lost::Unwatchable(error)) => return Err(anyhow!("process {} cannot be watched: {error}", key.pid)),
        }
        if let Some(remembered) = self.memory.of_process(key) {
            remembered.signalled = Some(Action::Start);
        }
        Ok(format!("started as process {} of `{}`", key.pid, user.name))
    }

    /// Notes the end of a process that has ended before it could be followed, and says how it ended.
    async fn ended_at_once(&mut self, key: ProcessKey, child: Option<Child>) -> String {
        let evidence = match child {
            Some(mut child) => child.wait().await.map(Evidence::of_status).unwrap_or_default(),
            None => {
                let unit = self.transient_unit();
                let evidence = unit_result(&unit).await;
                systemd::reset_failed(&unit).await;
                evidence
            }
        };
        self.memory.process = Some(ProcessMemory::new(key));
        self.memory.boot_id = crate::os::clock::boot_id();
        self.note_end(evidence);
        self.memory.last_exit.as_ref().map(|exit| exit.how.clone()).unwrap_or_default()
    }

    /// Has systemd asked what became of a unit that was told to start, as long as no process of it was found.
    pub(super) fn check_launch(&mut self) {
        let Some(Launching { unit: Some(unit), since }) = &self.launching else { return };
        let limit = self.setup.start_timeout();
        if since.elapsed() >= limit {
            let why = format!("the start failed: no process of the unit {unit} within {} s", limit.as_secs());
            self.fail_start(why);
        } else if self.checking.is_empty() {
            let unit = unit.clone();
            self.checking.spawn(async move { launched(&unit).await });
        }
    }

    pub(super) fn on_launch_checked(&mut self, launched: Option<Launched>) {
        let Some(Launching { unit: Some(unit), .. }) = &self.launching else { return };
        if let Some(Launched { is_over: true, result }) = launched {
            let why = format!("the start failed: the unit {unit} has ended ({result}): see `journalctl -u {unit}`");
            self.fail_start(why);
        }
    }

    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.setup.defaults.environment.clone();
        environment.extend(self.setup.declared.iter().flat_map(|declared| declared.environment.clone()));
        environment
    }

    /// The name of the unit that systemd runs the instance in when the agent starts it.
    fn transient_unit(&self) -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        let base = self.setup.base.display().to_string();
        let base: String = base.trim_start_matches('/').chars().map(allowed).collect();
        let grid = self.setup.grid.simple().to_string();
        format!("{TRANSIENT_PREFIX}{}-{}.service", &grid[..8], base.chars().take(150).collect::<String>())
    }
}

/// Asks systemd what became of a unit that was told to start.
async fn launched(unit: &str) -> Option<Launched> {
    let found = systemd::show(unit, &["ActiveState", "Job", "Result"]).await.ok()?;
    let get = |name: &str| found.get(name).map_or("", String::as_str);
    let has_job = !matches!(get("Job"), "" | "0");
    let is_over = !has_job && matches!(get("ActiveState"), "failed" | "inactive");
    Some(Launched { is_over, result: get("Result").to_owned() })
}
