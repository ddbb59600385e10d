//! What is: the status of the grid, its machines, and what is wrong with the manager.

use std::collections::HashMap;

use protocol::time::Timestamp;

use super::{App, Result};
use crate::{
    grid::{
        access::{Caller, Permission},
        fleet::{Fleet, Named},
        target::Target,
        view::{MachineView, ManagerView, Status},
    },
    store::Store,
};

impl App {
    /// The status of targets, or of everything.
    pub fn status(&self, caller: &Caller, targets: &[Target]) -> Result<Status> {
        caller.may(Permission::Read)?;
        // Taken before the fleet is read: an event that comes in between is told again, and changes nothing.
        let seq = self.journal.last().to_string();
        let fleet = self.fleet();
        let services = fleet.services(targets)?;
        let machines = if targets.is_empty() {
            fleet.machines()
        } else {
            let of_targets = |machine: &MachineView| services.iter().any(|service| service.machine == machine.name);
            fleet.machines().into_iter().filter(of_targets).collect()
        };
        drop(fleet);
        Ok(Status { grid: self.meta.grid_name.clone(), manager: self.manager_view(), seq, machines, services })
    }

    /// Every machine.
    pub fn machines(&self, caller: &Caller) -> Result<Vec<MachineView>> {
        caller.may(Permission::Read)?;
        Ok(self.fleet().machines())
    }

    /// This manager.
    pub fn manager_view(&self) -> ManagerView {
        ManagerView {
            name: self.host.clone(),
            role: "primary".to_owned(),
            epoch: self.meta.epoch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            problems: self.problems(),
        }
    }

    /// What is wrong with this manager, in words.
    pub fn problems(&self) -> Vec<String> {
        let full = "the manager's disk is full: nothing can be recorded or changed until there is room";
        self.journal.is_disk_full().then(|| full.to_owned()).into_iter().collect()
    }
}

/// Puts up what was last known of every registered machine.
pub(super) async fn restore(store: &Store, fleet: &mut Fleet) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let mut last: HashMap<_, Vec<_>> = HashMap::new();
    for status in store.last_statuses().await? {
        last.entry(status.machine).or_default().push((status.report, status.since));
    }
    for machine in store.machines().await? {
        let mut instances = Vec::new();
        for (report, since) in last.remove(&machine.id).unwrap_or_default() {
            let name = store.name_service(machine.id, &machine.name, &report.base, None).await?.name;
            instances.push((Named { name, note: None, report }, since));
        }
        fleet.restore(machine, instances, now);
    }
    Ok(())
}
