//! What is: the status of the grid, its machines, and what is wrong with the manager.

use std::{collections::HashMap, sync::Arc};

use protocol::{
    name::{MachineName, ServiceName},
    report::MachineFacts,
    time::Timestamp,
};

use super::{App, AppError, Result};
use crate::{
    grid::{
        access::{Caller, Permission},
        event::{Draft, Kind},
        fleet::{Fleet, Named, Remembered},
        target::{MAX_TARGETS, Target},
        view::{CollectionView, MachineView, ManagerView, ServiceType, ServiceView, Status},
    },
    store::{Store, events::LastStatus},
};

impl App {
    /// The status of targets, or of everything.
    pub fn status(&self, caller: &Caller, targets: &[Target]) -> Result<Status> {
        caller.may(Permission::Read)?;
        bounded(targets)?;
        // Taken before the fleet is read: an event that comes in between is told again, and changes nothing.
        let seq = self.journal.last().to_string();
        let services = self.services_for(caller, targets)?;
        let mut machines = self.fleet().machines();
        if !targets.is_empty() || caller.targets.is_some() {
            let mut counts: HashMap<&MachineName, usize> = HashMap::new();
            for service in &services {
                *counts.entry(&service.machine).or_default() += usize::from(service.r#type == ServiceType::Instance);
            }
            machines.retain(|machine| counts.contains_key(&machine.name));
            if caller.targets.is_some() {
                machines.iter_mut().for_each(|machine| narrow(machine, counts[&machine.name]));
            }
        }
        let collections = self.collections_for(caller, targets);
        let held = self.operations.claims.holders(services.iter().map(|service| &service.name));
        let is_limited = caller.targets.is_some();
        let held = held.into_iter().map(|(service, holder)| (service, holder.view_for(is_limited))).collect();
        Ok(Status {
            grid: self.meta.grid_name.clone(),
            manager: self.manager_view(),
            seq,
            machines,
            services,
            collections,
            held,
        })
    }

    /// The collections of targets, or all, as far as a caller may see their services.
    fn collections_for(&self, caller: &Caller, targets: &[Target]) -> Vec<CollectionView> {
        let fleet = self.fleet();
        let mut collections = match &caller.targets {
            None => fleet.collections(|_| true),
            Some(theirs) => {
                let mut seen = fleet.collections(|service| fleet.covers(service, theirs) == Some(true));
                seen.retain(|collection| collection.services > 0);
                seen
            }
        };
        let is_named =
            |name: &ServiceName| targets.iter().any(|target| matches!(target, Target::Service(named) if named == name));
        collections.retain(|collection| targets.is_empty() || is_named(&collection.name));
        collections
    }

    /// The services of targets, or all, as far as a caller may see them and act on them.
    pub(super) fn services_for(&self, caller: &Caller, targets: &[Target]) -> Result<Vec<ServiceView>> {
        if caller.targets.is_none() {
            return Ok(self.fleet().services(targets)?);
        }
        let mut services = self.fleet().services(&[])?;
        services.retain(|service| caller.covers(service));
        // What is outside is refused whether it is there or not: the answer tells nothing of it.
        let outside = |target: &&Target| match target {
            Target::Service(_) => !services.iter().any(|service| target.covers(service)),
            _ => false,
        };
        if let Some(target) = targets.iter().find(outside) {
            return Err(caller.outside(target.to_string()).into());
        }
        if !targets.is_empty() {
            services.retain(|service| targets.iter().any(|target| target.covers(service)));
        }
        Ok(services)
    }

    /// Every machine.
    pub fn machines(&self, caller: &Caller) -> Result<Vec<MachineView>> {
        caller.may(Permission::Read)?;
        if caller.targets.is_some() {
            return Err(caller.outside("the list of machines").into());
        }
        Ok(self.fleet().machines())
    }

    /// This manager.
    pub fn manager_view(&self) -> ManagerView {
        ManagerView {
            name: self.host.name.clone(),
            role: "primary".to_owned(),
            epoch: self.meta.epoch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            problems: self.problems(),
        }
    }

    /// Tells whoever watches what is wrong with this manager, whenever that is different.
    pub(super) async fn tell_problems(self: Arc<Self>) {
        loop {
            self.journal.disk_changed().await;
            // A view is plain data, so it can always be written.
            let view = serde_json::to_value(self.manager_view()).unwrap_or_default();
            self.journal.tell(Draft::new(Kind::ManagerState).data(view));
        }
    }

    /// What is wrong with this manager, in words.
    pub fn problems(&self) -> Vec<String> {
        let full = "the manager's disk is full: nothing can be recorded or changed until there is room";
        self.journal.is_disk_full().then(|| full.to_owned()).into_iter().collect()
    }
}

/// Leaves of a machine what those may know who are concerned with some of its services.
pub(super) fn narrow(machine: &mut MachineView, instances: usize) {
    machine.instances = instances;
    machine.facts = MachineFacts::default();
}

/// Checks that a call names no more targets than anybody needs.
pub(super) fn bounded(targets: &[Target]) -> Result<()> {
    if targets.len() > MAX_TARGETS {
        return Err(AppError::Invalid(format!("name at most {MAX_TARGETS} targets; `all` and `@MACHINE` name many")));
    }
    Ok(())
}

/// Puts up what was last known of every registered machine.
pub(super) async fn restore(store: &Store, fleet: &mut Fleet) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let mut last: HashMap<_, Vec<_>> = HashMap::new();
    for status in store.last_statuses().await? {
        last.entry(status.machine).or_default().push(status);
    }
    let mut tags = store.tags().await?;
    let mut links: HashMap<_, _> = store.last_links().await?.into_iter().collect();
    for machine in store.machines().await? {
        let mut instances = Vec::new();
        for LastStatus { at, since, report, .. } in last.remove(&machine.id).unwrap_or_default() {
            let name = store.name_service(machine.id, &machine.name, &report.base, None, Vec::new).await?;
            instances.push(Remembered { named: Named { name, note: None, report }, at, since });
        }
        fleet.restore(machine.clone(), links.remove(&machine.id), instances, now);
        fleet.restore_tags(&machine.name, tags.remove(&machine.name).unwrap_or_default());
    }
    for removed in last.into_keys().chain(links.into_keys()) {
        store.forget_machine(removed).await?;
    }
    Ok(())
}
