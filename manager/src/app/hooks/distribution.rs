//! What machines should have: computed, sent, fetched by them; and what they tell of it.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::Arc,
    time::Duration,
};

use protocol::{
    desired::{Desired, Programs},
    limits::clip,
    link::ToAgent,
    name::MachineName,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Hooks, OnMachine, Stale};
use crate::{
    app::{App, AppError, Result, links::words},
    blobs::Blob,
    grid::{
        event::{Draft, Kind},
        fleet::ConnectionNumber,
        hooks::{desired::Wishes, program::MachineProgram},
        target::NoSuchTarget,
    },
};

/// How long is waited for more changes before something is computed.
const GATHER: Duration = Duration::from_millis(20);

/// Whether a machine has a program.
pub(super) enum Standing {
    /// The grid has no such program.
    NoProgram,
    /// It has it: the hash.
    Ready(String),
    /// It has it not: the hash, and why.
    Missing(String, String),
}

impl App {
    /// Computes what machines should have whenever that may have changed, and sends what is different.
    pub(in crate::app) async fn distribute(self: Arc<Self>) {
        let mut changes = self.configuration.changes();
        self.hooks.look_at_all();
        loop {
            tokio::select! {
                () = self.hooks.wake.notified() => {}
                changed = changes.changed() => match changed {
                    Ok(()) => self.hooks.look_at_all(),
                    Err(_) => return,
                },
            }
            tokio::time::sleep(GATHER).await;
            self.send_desired();
        }
    }

    fn send_desired(&self) {
        let (stale, programs) = {
            let mut inner = self.hooks.lock();
            (std::mem::take(&mut inner.stale), inner.programs.clone())
        };
        let config = self.configuration.current();
        let wishes = Wishes::new(&config, &programs);
        let machines: BTreeSet<MachineName> = match stale {
            Stale::None => return,
            Stale::Some(machines) => machines,
            Stale::All => {
                let all: BTreeSet<MachineName> = self.fleet().machine_names().into_iter().collect();
                self.hooks.lock().machines.retain(|machine, _| all.contains(machine));
                all
            }
        };
        for machine in machines {
            let (agent, services) = {
                let fleet = self.fleet();
                (fleet.agent_of(&machine), fleet.services_of(&machine))
            };
            let mut inner = self.hooks.lock();
            let Some(agent) = agent else {
                inner.machines.remove(&machine);
                continue;
            };
            let here = inner.machines.entry(machine).or_default();
            let desired = wishes.of(&services);
            if *here.wanted != desired {
                here.wanted = Arc::new(desired);
                here.sent_on = None;
                let OnMachine { wanted, told, .. } = here;
                told.retain(|hash, _| wanted.programs.iter().any(|program| program.hash == *hash));
            }
            let linked = self.links.connection(agent);
            if linked.is_some() && linked != here.sent_on {
                let message = ToAgent::Desired(Box::new(Desired::clone(&here.wanted)));
                here.sent_on = self.links.send_on(agent, message);
            }
        }
        // What was waited for may not be wanted any more.
        self.hooks.readiness.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// An agent tells which programs it has.
    pub fn programs_told(&self, machine: &MachineName, number: ConnectionNumber, told: &Programs) {
        if !self.fleet().is_current(machine, number) {
            return;
        }
        self.hooks.note_secrets(machine, told.secrets.as_deref());
        let ready: BTreeSet<&str> = told.ready.iter().map(String::as_str).collect();
        self.note_programs(machine, |hash| match told.missing.iter().find(|missing| missing.hash == hash) {
            _ if ready.contains(hash) => Some(None),
            Some(missing) => Some(Some(words(&missing.why))),
            None => None,
        });
    }

    /// An agent does not know what it was told to have.
    pub fn desired_not_understood(&self, machine: &MachineName) {
        let why = "its agent is of a version that knows no hooks: upgrade it";
        self.note_programs(machine, |_| Some(Some(why.to_owned())));
    }

    /// Notes of each program that a machine should have what is told of it: why it is not there, if it is not.
    fn note_programs(&self, machine: &MachineName, told_of: impl Fn(&str) -> Option<Option<String>>) {
        let mut inner = self.hooks.lock();
        let Some(here) = inner.machines.get_mut(machine) else { return };
        let mut changed = Vec::new();
        for program in &here.wanted.programs {
            let Some(why) = told_of(&program.hash) else { continue };
            if here.told.get(&program.hash) != Some(&why) {
                here.told.insert(program.hash.clone(), why.clone());
                changed.push((program.clone(), why));
            }
        }
        for (program, why) in &changed {
            let data = serde_json::json!({
                "program": program.name, "hash": program.hash, "machine": machine, "ready": why.is_none(), "why": why,
            });
            self.journal.tell(Draft::new(Kind::ProgramState).machine(machine).data(data));
        }
        drop(inner);
        if !changed.is_empty() {
            self.hooks.readiness.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// The file of a program for a machine that should have it. It holds one of a few places until it was checked.
    pub async fn blob_for(&self, machine: &MachineName, hash: &str) -> Result<Blob> {
        let is_wanted = {
            let inner = self.hooks.lock();
            let wanted = inner.machines.get(machine).map(|here| &here.wanted.programs);
            wanted.is_some_and(|programs| programs.iter().any(|program| program.hash == hash))
        };
        if !is_wanted {
            return Err(NoSuchTarget::new("program for this machine", &clip(hash), [].into_iter()).into());
        }
        let (blobs, hash, _place) = (self.hooks.blobs.clone(), hash.to_owned(), self.hooks.place().await);
        let got = tokio::task::spawn_blocking(move || (blobs.get(&hash), hash)).await;
        let (got, hash) = got.map_err(|error| AppError::Internal(error.into()))?;
        got.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidData => AppError::Internal(anyhow::anyhow!(
                "the file of the hook program {hash} cannot be used ({error}): `hooks add` it again"
            )),
            _ => AppError::Internal(error.into()),
        })
    }
}

impl Hooks {
    /// One of the few places for what takes memory or a disk's time.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.moving.clone().acquire_owned().await.ok()
    }

    /// Whether a machine has a program.
    pub(super) fn standing(&self, machine: &MachineName, name: &str) -> Standing {
        let inner = self.lock();
        let Some(program) = inner.programs.get(name) else { return Standing::NoProgram };
        let hash = program.hash.clone();
        let Some(here) = inner.machines.get(machine).filter(|here| here.wants(&hash)) else {
            let why = format!("no hook of the configuration runs `{name}` on {machine}");
            return Standing::Missing(hash, why);
        };
        match here.told.get(&hash) {
            Some(None) => Standing::Ready(hash),
            Some(Some(why)) => Standing::Missing(hash, why.clone()),
            None => Standing::Missing(hash, ON_ITS_WAY.to_owned()),
        }
    }

    /// Of each program, by its hash, the machines that should have it, by name, and whether they have it. `linked` says
    /// whether a machine's agent is. With `only`, of this program alone.
    pub(super) fn machines_by_program(
        &self,
        only: Option<&str>,
        linked: impl Fn(&MachineName) -> bool,
    ) -> HashMap<String, Vec<MachineProgram>> {
        let mut machines: HashMap<String, Vec<MachineProgram>> = HashMap::new();
        for (machine, here) in &self.lock().machines {
            let wanted: BTreeSet<&str> = here.wanted.programs.iter().map(|program| program.hash.as_str()).collect();
            for hash in wanted.into_iter().filter(|hash| only.is_none_or(|only| only == *hash)) {
                let why = match here.told.get(hash) {
                    Some(why) => why.clone(),
                    None => Some(ON_ITS_WAY.to_owned()),
                };
                let program = MachineProgram { machine: machine.clone(), ready: why.is_none(), why };
                machines.entry(hash.to_owned()).or_default().push(program);
            }
        }
        let mut known: HashMap<MachineName, bool> = HashMap::new();
        for programs in machines.values_mut() {
            programs.sort_by(|a, b| a.machine.cmp(&b.machine));
            for program in programs {
                let is_linked = *known.entry(program.machine.clone()).or_insert_with_key(&linked);
                if !is_linked {
                    (program.ready, program.why) = (false, Some("its agent is not linked".to_owned()));
                }
            }
        }
        machines
    }
}

/// What is said of a program of which the agent has told nothing yet.
const ON_ITS_WAY: &str = "it is on its way";

impl OnMachine {
    fn wants(&self, hash: &str) -> bool {
        self.wanted.programs.iter().any(|program| program.hash == hash)
    }
}
