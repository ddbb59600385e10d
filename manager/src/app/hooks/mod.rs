//! Hooks: their programs, which machines have them, and their runs.
//!
//! What a machine should have is computed anew whenever something changes that it depends on (`distribution`), and sent
//! when it differs from what was sent on the link. Which programs are there is what the agents tell.

mod begun;
mod distribution;
mod here;
mod on_machine;
pub mod programs;
mod readiness;
pub mod running;
mod secrets;
pub(in crate::app) mod telling;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use begun::BegunRuns;
use protocol::{desired::Desired, name::MachineName};
use tokio::sync::{Notify, Semaphore, watch};

use crate::{
    blobs::Blobs,
    grid::{
        fleet::ConnectionNumber,
        hooks::{program::StoredProgram, secrets::OnHost},
    },
    store::Store,
};

/// How many hooks run on the manager's host at once.
const AT_ONCE_HERE: usize = 32;

/// How many programs are taken in or checked at once: each takes memory or a disk's time.
const AT_ONCE: usize = 4;

/// Hook programs, and which machines have them.
pub struct Hooks {
    blobs: Blobs,
    // Held for moments only, never across an await.
    inner: Mutex<Inner>,
    /// Held while the programs change: what a change was checked against must still be so when it is carried out.
    changing: tokio::sync::Mutex<()>,
    wake: Notify,
    /// Changes whenever a machine has another program than before.
    readiness: watch::Sender<u64>,
    here: Semaphore,
    begun: BegunRuns,
    moving: Arc<Semaphore>,
}

#[derive(Default)]
struct Inner {
    programs: BTreeMap<String, StoredProgram>,
    machines: HashMap<MachineName, OnMachine>,
    stale: Stale,
}

/// A machine, as far as hooks are concerned.
#[derive(Default)]
struct OnMachine {
    /// What it should have.
    wanted: Arc<Desired>,
    /// The connection on which that was sent.
    sent_on: Option<ConnectionNumber>,
    /// Of the programs that it should have, by hash: why each is not there, or nothing if it is.
    told: HashMap<String, Option<String>>,
    /// Its secrets; nothing if its agent does not tell.
    secrets: Option<Arc<OnHost>>,
}

/// Of which machines has to be computed anew what they should have.
#[derive(Default)]
enum Stale {
    #[default]
    None,
    Some(BTreeSet<MachineName>),
    All,
}

impl Hooks {
    /// Takes up what is stored.
    pub async fn open(data: &Path, store: &Store) -> anyhow::Result<Self> {
        let programs: BTreeMap<_, _> =
            store.programs().await?.into_iter().map(|program| (program.name.clone(), program)).collect();
        let blobs = Blobs::open(data)?;
        // What a manager that was killed had begun to take in.
        blobs.sweep(&programs.values().map(|program| program.hash.clone()).collect())?;
        Ok(Self {
            blobs,
            inner: Mutex::new(Inner { programs, ..Inner::default() }),
            changing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            readiness: watch::Sender::new(0),
            here: Semaphore::new(AT_ONCE_HERE),
            begun: BegunRuns::open(data)?,
            moving: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of all programs.
    pub fn names(&self) -> BTreeSet<String> {
        self.lock().programs.keys().cloned().collect()
    }

    /// Keeps the programs from changing, while a configuration that names them is checked and put in force.
    pub async fn unchanged(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Something changed that decides what a machine should have: its services, its link.
    pub fn look_at(&self, machine: &MachineName) {
        let mut inner = self.lock();
        match &mut inner.stale {
            Stale::None => inner.stale = Stale::Some([machine.clone()].into()),
            Stale::Some(machines) => {
                if !machines.contains(machine) {
                    machines.insert(machine.clone());
                }
            }
            Stale::All => {}
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Something changed that decides what all machines should have.
    pub fn look_at_all(&self) {
        self.lock().stale = Stale::All;
        self.wake.notify_one();
    }
}
