//! What is told of an instance: its status, its ports, and what an operator should know besides.

use protocol::{limits::clip, report::InstanceReport, state::State};

use super::{rules, task::Task};
use crate::os::users;

impl Task {
    pub(super) fn report(&self, verdict: rules::Verdict) -> InstanceReport {
        let process = self.process.as_ref();
        let user = match process {
            Some(process) => Some(users::shown(process.uid)),
            None => self.run_as().ok().map(|account| account.name),
        };
        InstanceReport {
            base: self.setup.base.display().to_string(),
            declared_name: self.setup.declared.as_ref().and_then(|declared| declared.name.clone()),
            state: verdict.state,
            reason: verdict.reason.map(|reason| clip(&reason)),
            age_ms: 0,
            pid: process.map(|process| process.watched.key.pid),
            ports: self.ports(),
            last_exit: self
                .memory
                .exit_report()
                .map(|exit| protocol::report::ExitReport { how: clip(&exit.how), ..exit }),
            home: self.home().map(|home| home.display().to_string()),
            user,
            unit: process.and_then(|process| process.unit.clone()).or_else(|| self.known_unit()),
            notes: self.notes(verdict.state),
        }
    }

    fn ports(&self) -> Vec<u16> {
        let owned = self.process.as_ref().map(|process| &process.owned[..]).unwrap_or_default();
        let mut ports: Vec<u16> = owned.iter().map(|own| own.listener.address.port()).collect();
        if ports.is_empty() {
            let configured = self.process.as_ref().map_or(self.configuration.last(), |process| &process.server);
            ports.extend(configured.connectors.iter().map(|connector| connector.port));
        }
        ports.sort_unstable();
        ports.dedup();
        ports.truncate(64);
        ports
    }

    fn notes(&self, state: State) -> Vec<String> {
        let mut notes = self.setup.notes.clone();
        notes.extend(self.setup.overruled());
        match &self.process {
            Some(process) => {
                notes.extend(process.server.problems.iter().cloned());
                notes.extend(process.note.clone());
                notes.extend(process.order_note.clone());
                if users::current() != 0 && users::current() != process.uid && process.unit.is_none() {
                    notes.push(format!(
                        "the agent runs as `{}` and can neither stop nor kill this process of `{}`",
                        users::shown(users::current()),
                        users::shown(process.uid)
                    ));
                }
            }
            None if state == State::Stopped => {
                notes.extend(self.configuration.last().problems.iter().cloned());
                if self.known_unit().is_none() {
                    match self.run_as() {
                        Err(why) => notes.push(format!("cannot be started: {why}")),
                        Ok(account) if users::current() != 0 && users::current() != account.uid => notes.push(format!(
                            "the agent runs as `{}` and cannot start this instance as `{}`",
                            users::shown(users::current()),
                            account.name
                        )),
                        Ok(_) => {}
                    }
                }
                if self.home().is_none() {
                    notes.push(
                        "cannot be started: CATALINA_HOME is not known; set `home` in the agent's configuration"
                            .to_owned(),
                    );
                }
            }
            None => {}
        }
        notes.truncate(16);
        notes.iter().map(|note| clip(note)).collect()
    }
}
