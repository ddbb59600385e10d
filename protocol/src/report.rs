//! What an agent tells of its machine and of each instance: always the whole, never a difference.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    limits::{MAX_PATH, MAX_TEXT},
    name::ServiceName,
    state::State,
};

/// The longest name of a user, in bytes.
const MAX_USER: usize = 64;

/// The longest name of a unit, in bytes.
const MAX_UNIT: usize = 256;

/// The most ports of one instance.
const MAX_PORTS: usize = 64;

/// The most notes of one instance.
const MAX_NOTES: usize = 16;

/// The full status of one instance.
///
/// Ages are durations and not times of day, because the clock of a host may be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceReport {
    /// The real path of `CATALINA_BASE`: what identifies the instance on its machine.
    pub base: String,
    /// The name that the machine's own file gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_name: Option<ServiceName>,
    /// The state now.
    pub state: State,
    /// Why it is in that state, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it has been in that state, in milliseconds.
    pub age_ms: u64,
    /// The process, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The listening sockets of the process, or where it has none, the connectors of `server.xml`.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// How its last process ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<ExitReport>,
    /// `CATALINA_HOME`, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// The user that the process runs as, or would be started as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The systemd unit that the process belongs to, or would be started through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What an operator should know: what the agent cannot do here, what in the configuration could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitReport {
    /// How long ago, in milliseconds.
    pub age_ms: u64,
    /// The exit code, if it could be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it, if it could be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether somebody wanted it to end.
    pub wanted: bool,
    /// The same in words.
    pub how: String,
}

impl InstanceReport {
    /// Whether every text is within its bounds; names the first that is not.
    pub fn check(&self) -> Result<(), &'static str> {
        let long = |text: &Option<String>, max: usize| text.as_ref().is_some_and(|text| text.len() > max);
        // A character may take four bytes.
        let text = MAX_TEXT * 4 + 4;
        if self.base.len() > MAX_PATH || !self.base.starts_with('/') || self.base.contains('\0') {
            return Err("base");
        }
        if long(&self.home, MAX_PATH) {
            return Err("home");
        }
        if long(&self.reason, text) {
            return Err("reason");
        }
        if long(&self.user, MAX_USER) || long(&self.unit, MAX_UNIT) {
            return Err("user or unit");
        }
        if self.ports.len() > MAX_PORTS {
            return Err("ports");
        }
        if self.notes.len() > MAX_NOTES || self.notes.iter().any(|note| note.len() > text) {
            return Err("notes");
        }
        if self.last_exit.as_ref().is_some_and(|exit| exit.how.len() > text) {
            return Err("last_exit");
        }
        Ok(())
    }

    /// Cuts every text and list to the bounds that [`InstanceReport::check`] knows, as far as they can be cut.
    pub fn clip(&mut self) {
        let exit = self.last_exit.as_mut().map(|exit| &mut exit.how);
        self.notes.truncate(MAX_NOTES);
        for text in self.notes.iter_mut().chain(&mut self.reason).chain(exit) {
            *text = crate::limits::clip(text);
        }
        for (text, most) in [(&mut self.home, MAX_PATH), (&mut self.user, MAX_USER), (&mut self.unit, MAX_UNIT)] {
            if let Some(text) = text {
                text.truncate(text.floor_char_boundary(most));
            }
        }
        self.ports.truncate(MAX_PORTS);
    }

    /// Whether two reports say the same, ages aside.
    pub fn same_as(&self, other: &Self) -> bool {
        self.ageless() == other.ageless()
    }

    fn ageless(&self) -> Self {
        let mut report = self.clone();
        report.age_ms = 0;
        if let Some(exit) = &mut report.last_exit {
            exit.age_ms = 0;
        }
        report
    }
}

/// A fingerprint of reports, ages aside, by which both sides find out that they do not agree.
///
/// The reports must come in the order of their bases.
pub fn digest<'a>(reports: impl Iterator<Item = &'a InstanceReport>) -> String {
    let mut hash = Sha256::new();
    for report in reports {
        // A report is plain data, so it can always be written.
        hash.update(serde_json::to_vec(&report.ageless()).unwrap_or_default());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an agent tells of its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// The host name.
    #[serde(default)]
    pub hostname: String,
    /// The operating system, as it calls itself.
    #[serde(default)]
    pub os: String,
    /// The kernel's release.
    #[serde(default)]
    pub kernel: String,
    /// The processor's architecture.
    #[serde(default)]
    pub arch: String,
    /// The number of processors.
    #[serde(default)]
    pub cpus: u32,
    /// The memory, in bytes.
    #[serde(default)]
    pub memory: u64,
    /// Which boot of the machine this is.
    #[serde(default)]
    pub boot_id: String,
    /// The user that the agent runs as.
    #[serde(default)]
    pub user: String,
    /// Whether systemd runs the machine.
    #[serde(default)]
    pub systemd: bool,
    /// What the machine's own file lets managers do: `start`, `stop`, `kill`, `hooks`, `agent`; empty from agents that
    /// do not say.
    #[serde(default)]
    pub allow: Vec<String>,
    /// What an operator should know of the machine: directories that cannot be read, instances of other grids.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl MachineFacts {
    /// Cuts every text to its bounds.
    pub fn clip(&mut self) {
        for text in
            [&mut self.hostname, &mut self.os, &mut self.kernel, &mut self.arch, &mut self.boot_id, &mut self.user]
        {
            *text = crate::limits::clip(text);
        }
        self.allow.truncate(16);
        self.allow.iter_mut().for_each(|word| *word = crate::limits::clip(word));
        self.notes.truncate(32);
        for note in &mut self.notes {
            *note = crate::limits::clip(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(base: &str) -> InstanceReport {
        InstanceReport {
            base: base.to_owned(),
            declared_name: None,
            state: State::Active,
            reason: None,
            age_ms: 7,
            pid: Some(1),
            ports: vec![8080],
            last_exit: None,
            home: None,
            user: None,
            unit: None,
            notes: vec![],
        }
    }

    #[test]
    fn the_digest_ignores_ages_and_nothing_else() {
        let a = report("/srv/a");
        let older = InstanceReport { age_ms: 9, ..a.clone() };
        let other = InstanceReport { pid: Some(2), ..a.clone() };
        assert_eq!(digest([&a].into_iter()), digest([&older].into_iter()));
        assert_ne!(digest([&a].into_iter()), digest([&other].into_iter()));
        assert!(a.same_as(&older) && !a.same_as(&other));
    }

    #[test]
    fn texts_are_bounded() {
        assert_eq!(report("/srv/a").check(), Ok(()));
        assert_eq!(report("srv/a").check(), Err("base"));
        let long = InstanceReport { reason: Some("x".repeat(5000)), ..report("/srv/a") };
        assert_eq!(long.check(), Err("reason"));
        let many = InstanceReport { ports: vec![1; 65], ..report("/srv/a") };
        assert_eq!(many.check(), Err("ports"));
    }

    #[test]
    fn what_is_clipped_is_within_its_bounds() {
        let long = || "ä".repeat(5000);
        let mut odd = InstanceReport {
            reason: Some(long()),
            ports: vec![1; 100],
            last_exit: Some(ExitReport { age_ms: 0, code: None, signal: None, wanted: true, how: long() }),
            home: Some(long()),
            user: Some(format!("x{}", long())),
            unit: Some(long()),
            notes: vec![long(); 20],
            ..report("/srv/a")
        };
        odd.clip();
        assert_eq!(odd.check(), Ok(()));
        let mut plain = report("/srv/a");
        plain.clip();
        assert_eq!(plain, report("/srv/a"));
    }
}
