//! Which secrets there are, so that it can be said before a hook needs one.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
    sync::Arc,
};

use protocol::{
    desired::{MAX_SECRETS, ToldSecret},
    name::MachineName,
};

use super::{Hooks, here};
use crate::{
    app::{App, links::words},
    grid::hooks::{
        program::ProgramView,
        secrets::{OnHost, Places, Secrets},
    },
};

impl App {
    /// Which secrets there are, as far as that is known. Reads the manager's own; blocks for moments.
    pub(in crate::app) fn secrets(&self) -> Secrets {
        Secrets { here: secrets_in(&self.host.data.join("secrets")).map(Arc::new), machines: self.hooks.secrets() }
    }

    /// Marks the machines on which a program is, and cannot run for want of a secret.
    pub(super) fn mark_without_secrets(&self, programs: &mut [ProgramView], secrets: &Secrets) {
        let config = self.configuration.current();
        if config.hooks.iter().all(|hook| hook.secrets.is_empty()) {
            return;
        }
        let services = self.fleet().services(&[]).unwrap_or_default();
        let mut without: HashMap<(&str, MachineName), String> = HashMap::new();
        for hook in config.hooks.iter().filter(|hook| !hook.secrets.is_empty()) {
            for machine in Places::of(hook, &config, &services).machines {
                if let Some(why) = secrets.why_not(&hook.secrets, Some(&machine)) {
                    without.entry((&hook.program, machine)).or_insert(why);
                }
            }
        }
        for program in programs {
            for on in program.machines.iter_mut().filter(|on| on.ready) {
                if let Some(why) = without.get(&(program.name.as_str(), on.machine.clone())) {
                    (on.ready, on.why) = (false, Some(why.clone()));
                }
            }
        }
    }
}

impl Hooks {
    /// An agent tells which secrets its machine has.
    pub(super) fn note_secrets(&self, machine: &MachineName, told: Option<&[ToldSecret]>) {
        let secret = |secret: &ToldSecret| (words(&secret.name), secret.why.as_deref().map(words));
        let told = told.map(|told| Arc::new(told.iter().take(MAX_SECRETS).map(secret).collect()));
        if let Some(here) = self.lock().machines.get_mut(machine) {
            here.secrets = told;
        }
    }

    /// Those of all machines that tell.
    pub(super) fn secrets(&self) -> BTreeMap<MachineName, Arc<OnHost>> {
        let inner = self.lock();
        let of = inner.machines.iter();
        of.filter_map(|(machine, on)| Some((machine.clone(), on.secrets.clone()?))).collect()
    }

    /// Those of one machine.
    pub(super) fn secrets_of(&self, machine: &MachineName) -> Option<Arc<OnHost>> {
        self.lock().machines.get(machine)?.secrets.clone()
    }
}

/// The secrets of a directory; `None` if nobody knows, or there are too many.
fn secrets_in(dir: &Path) -> Option<OnHost> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(OnHost::new()),
        Err(_) => return None,
    };
    let mut found = OnHost::new();
    for entry in entries.take(MAX_SECRETS + 1) {
        let Ok(name) = entry.ok()?.file_name().into_string() else { continue };
        let why = here::read_secret(dir, &name).err().map(|error| here::no_secret(&name, dir, &error));
        found.insert(name, why);
    }
    (found.len() <= MAX_SECRETS).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_tells_names_and_why_a_secret_is_none() {
        let dir = tempfile::tempdir().unwrap();
        for (name, mode) in [("KEY", 0o600), ("OPEN", 0o644)] {
            std::fs::write(dir.path().join(name), "hunter2").unwrap();
            std::fs::set_permissions(dir.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let found = secrets_in(dir.path()).unwrap();
        assert_eq!(found["KEY"], None);
        assert!(found["OPEN"].as_ref().is_some_and(|why| why.contains("chmod 600") && !why.contains("hunter")));
        assert_eq!((found.len(), secrets_in(&dir.path().join("none"))), (2, Some(OnHost::new())));
        for number in 0..MAX_SECRETS {
            std::fs::write(dir.path().join(format!("N{number}")), "x").unwrap();
        }
        assert_eq!(secrets_in(dir.path()), None, "too many");
    }
}
