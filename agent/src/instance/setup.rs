//! What is set for an instance: by the machine's own file, and by the manager.

use std::{path::PathBuf, sync::Arc, time::Duration};

use protocol::desired::InstanceSettings;

use crate::{
    config::{Health, Permission},
    desired,
    os::clock::ManagersClock,
    tomcat::probe,
};

/// What is set for an instance.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The real path of its base.
    pub base: PathBuf,
    /// What the machine's file declares of it.
    pub declared: Option<crate::config::Instance>,
    /// What holds for every instance.
    pub defaults: crate::config::TomcatDefaults,
    /// How long a start may take on this machine, where nothing is set for the instance.
    pub start_timeout: Duration,
    /// What the manager wants to be set for it. What is declared goes before.
    pub desired: Option<InstanceSettings>,
    /// What may be done.
    pub allow: Arc<[Permission]>,
    /// The agent's state directory.
    pub state_dir: PathBuf,
    /// The id of the grid, which names transient units.
    pub grid: uuid::Uuid,
    /// What the manager's clock shows.
    pub managers_clock: Arc<ManagersClock>,
    /// What an operator should know of it besides.
    pub notes: Vec<String>,
}

impl Setup {
    pub(super) fn question(&self) -> probe::Question {
        let declared = self.declared.as_ref().and_then(|declared| declared.health.clone());
        let declared = declared.map(|Health { path, expect }| (path, expect));
        let desired = self.desired.as_ref().and_then(|desired| desired.health.clone());
        match declared.or(desired.map(|health| (health.path, health.expect))) {
            Some((path, expected)) => match path.parse() {
                Ok(path) => probe::Question::Page { path, expected },
                Err(_) => probe::Question::Server,
            },
            None => probe::Question::Server,
        }
    }

    /// How long a start of it may take.
    pub(super) fn start_timeout(&self) -> Duration {
        let declared = self.declared.as_ref().and_then(|declared| declared.start_timeout);
        declared.or(self.desired.as_ref().and_then(desired::start_timeout)).unwrap_or(self.start_timeout)
    }

    /// What the machine's own file sets otherwise than the manager wants.
    pub(super) fn overruled(&self) -> Vec<String> {
        let (Some(declared), Some(desired)) = (&self.declared, &self.desired) else { return Vec::new() };
        let mut notes = Vec::new();
        if let (Some(own), Some(wanted)) = (&declared.health, &desired.health)
            && (&own.path, &own.expect) != (&wanted.path, &wanted.expect)
        {
            notes.push(format!(
                "the agent's own file asks {} for its health, and goes before the grid's {}",
                own.path, wanted.path
            ));
        }
        if let (Some(own), Some(wanted)) = (declared.start_timeout, desired::start_timeout(desired))
            && own != wanted
        {
            notes.push(format!(
                "the agent's own file gives a start {} s, and goes before the grid's {} s",
                own.as_secs(),
                wanted.as_secs()
            ));
        }
        notes
    }
}
