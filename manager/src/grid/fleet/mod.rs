//! The machines of the grid with their services and states, as the manager knows them at this moment.
//!
//! A cache: each agent's hello rebuilds its part. Every method that changes something returns what to tell.

mod collections;
mod count;
mod read;
mod restore;
mod standing;
mod tagging;
#[cfg(test)]
mod tests;
mod wishing;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use protocol::{
    name::{MachineName, ServiceName},
    report::{InstanceReport, MachineFacts, digest},
    state::State,
    time::Timestamp,
};
use uuid::Uuid;

pub use self::count::Counts;
use self::read::exit_view;
pub use self::{
    restore::{LastLink, Remembered},
    standing::{AWAY, Absence, Standing},
    tagging::TagError,
};
use super::{
    event::Change,
    tags::MachineTags,
    view::{ExitView, ServiceView},
};

/// How far the start of a state may differ between two reports and still be the same, in milliseconds.
const SAME_MOMENT: i64 = 2000;

/// The number of a connection; a later one of the same agent replaces an earlier one.
pub type ConnectionNumber = u64;

/// All machines.
#[derive(Debug, Default)]
pub struct Fleet {
    machines: BTreeMap<MachineName, Machine>,
    services: HashMap<ServiceName, (MachineName, String)>,
    collections: collections::Membership,
}

/// A machine.
#[derive(Debug)]
struct Machine {
    id: Uuid,
    name: MachineName,
    joined_at: Timestamp,
    revoked_at: Option<Timestamp>,
    agent_version: String,
    facts: MachineFacts,
    link: Link,
    since: Timestamp,
    last_heard: Option<Timestamp>,
    instances: BTreeMap<String, Instance>,
    tags: MachineTags,
}

/// Whether an agent is linked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Link {
    Connected(ConnectionNumber),
    /// It said goodbye.
    Ended(String),
    /// It is not heard from, for a reason in words.
    Lost(String),
    /// The manager has just started, and it is not heard from yet.
    Awaited,
}

/// An instance.
#[derive(Debug, Clone)]
struct Instance {
    name: ServiceName,
    report: InstanceReport,
    /// Since when it has been in the reported state, by the manager's clock.
    since: Timestamp,
    last_exit: Option<ExitView>,
    /// What is wrong with its name.
    name_note: Option<String>,
}

/// A machine as the store remembers it.
#[derive(Debug, Clone)]
pub struct KnownMachine {
    /// The agent's id.
    pub id: Uuid,
    /// Its name.
    pub name: MachineName,
    /// When it joined.
    pub joined_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The version of its agent.
    pub agent_version: String,
    /// What it is.
    pub facts: MachineFacts,
}

/// An instance as an agent reports it, with the name that the grid has for it.
#[derive(Debug, Clone)]
pub struct Named {
    /// The name.
    pub name: ServiceName,
    /// What is wrong with it.
    pub note: Option<String>,
    /// The report.
    pub report: InstanceReport,
}

/// Where an order goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The service.
    pub service: ServiceName,
    /// Its agent.
    pub agent: Uuid,
    /// The machine.
    pub machine: MachineName,
    /// The base of the instance.
    pub base: String,
    /// The state now.
    pub state: State,
}

impl Fleet {
    fn add(&mut self, machine: KnownMachine, now: Timestamp, link: Link) {
        let added = Machine {
            id: machine.id,
            name: machine.name.clone(),
            joined_at: machine.joined_at,
            revoked_at: machine.revoked_at,
            agent_version: machine.agent_version,
            facts: machine.facts,
            link,
            since: now,
            last_heard: None,
            instances: BTreeMap::new(),
            tags: MachineTags::default(),
        };
        self.machines.insert(machine.name, added);
    }

    fn insert(&mut self, machine: &MachineName, instance: Instance) {
        let base = instance.report.base.clone();
        self.services.insert(instance.name.clone(), (machine.clone(), base.clone()));
        if let Some(machine) = self.machines.get_mut(machine) {
            let replaced = machine.instances.insert(base.clone(), instance.clone());
            let machine = machine.name.clone();
            if let Some(replaced) = replaced.filter(|replaced| replaced.name != instance.name) {
                self.let_go(&replaced.name, &machine, &base);
            }
        }
    }

    /// Lets the name of an instance go, unless it is another's by now.
    fn let_go(&mut self, name: &ServiceName, machine: &MachineName, base: &str) {
        if self.services.get(name).is_some_and(|(whose, which)| whose == machine && which == base) {
            self.services.remove(name);
        }
    }

    /// A machine has joined.
    pub fn joined(&mut self, machine: KnownMachine, now: Timestamp) -> Vec<Change> {
        let name = machine.name.clone();
        match self.machines.get_mut(&name) {
            Some(known) => {
                known.id = machine.id;
                known.revoked_at = None;
                known.facts = machine.facts;
            }
            None => self.add(machine, now, Link::Lost("it has joined, and has not linked yet".to_owned())),
        }
        self.changes_of(&name, [])
    }

    /// An agent is linked and has told everything.
    pub fn connected(
        &mut self,
        name: &MachineName,
        number: ConnectionNumber,
        version: &str,
        facts: MachineFacts,
        instances: Vec<Named>,
        now: Timestamp,
    ) -> Vec<Change> {
        let Some(machine) = self.machines.get_mut(name) else { return Vec::new() };
        machine.link = Link::Connected(number);
        machine.since = now;
        machine.last_heard = Some(now);
        machine.agent_version = version.to_owned();
        machine.facts = facts;
        // All of them were unknown until now, so all are told.
        self.replace_all(name, instances, now, true)
    }

    /// An agent has told all its instances again.
    pub fn reported(
        &mut self,
        name: &MachineName,
        number: ConnectionNumber,
        instances: Vec<Named>,
        now: Timestamp,
    ) -> Vec<Change> {
        if !self.is_current(name, number) {
            return Vec::new();
        }
        self.replace_all(name, instances, now, false)
    }

    fn replace_all(
        &mut self,
        name: &MachineName,
        instances: Vec<Named>,
        now: Timestamp,
        tell_all: bool,
    ) -> Vec<Change> {
        let reported: BTreeSet<String> = instances.iter().map(|named| named.report.base.clone()).collect();
        let mut gone = Vec::new();
        if let Some(machine) = self.machines.get_mut(name) {
            machine.instances.retain(|base, instance| {
                let stays = reported.contains(base);
                if !stays {
                    gone.push((base.clone(), instance.name.clone()));
                }
                stays
            });
        }
        let mut changes: Vec<Change> = Vec::new();
        for (base, gone) in gone {
            self.let_go(&gone, name, &base);
            changes.push(Change::ServiceGone(gone, name.clone()));
        }
        for named in instances {
            let base = named.report.base.clone();
            let changed = self.put(name, named, now);
            changes.extend(changed);
            if tell_all
                && !matches!(changes.last(), Some(Change::Service(view)) if view.catalina_base.as_ref() == Some(&base))
            {
                changes.extend(self.instance_view(name, &base).map(|view| Change::Service(Box::new(view))));
            }
        }
        let told = if tell_all { self.changes_of(name, []) } else { Vec::new() };
        told.into_iter().chain(changes).collect()
    }

    /// An agent has told of one instance.
    pub fn status(
        &mut self,
        name: &MachineName,
        number: ConnectionNumber,
        named: Named,
        now: Timestamp,
    ) -> Vec<Change> {
        if !self.is_current(name, number) {
            return Vec::new();
        }
        self.put(name, named, now)
    }

    fn put(&mut self, name: &MachineName, named: Named, now: Timestamp) -> Vec<Change> {
        let base = named.report.base.clone();
        let before = self.machines.get(name).and_then(|machine| machine.instances.get(&base)).cloned();
        let reported = now.before(std::time::Duration::from_millis(named.report.age_ms));
        let since = match &before {
            Some(before)
                if before.report.state == named.report.state
                    && before.report.pid == named.report.pid
                    && (before.since.as_millis() - reported.as_millis()).abs() <= SAME_MOMENT =>
            {
                before.since
            }
            _ => reported,
        };
        let known_exit = before.as_ref().and_then(|before| before.last_exit.clone());
        let instance = Instance {
            last_exit: exit_view(named.report.last_exit.as_ref(), now, known_exit),
            since,
            name: named.name,
            name_note: named.note,
            report: named.report,
        };
        let mut changes = Vec::new();
        let same = before.as_ref().is_some_and(|before| {
            before.report.same_as(&instance.report)
                && before.since == instance.since
                && before.name == instance.name
                && before.name_note == instance.name_note
        });
        if let Some(before) = before.filter(|before| before.name != instance.name) {
            changes.push(Change::ServiceGone(before.name, name.clone()));
        }
        self.insert(name, instance);
        if !same {
            changes.extend(self.instance_view(name, &base).map(|view| Change::Service(Box::new(view))));
        }
        changes
    }

    /// An instance is no longer on its machine.
    pub fn gone(&mut self, name: &MachineName, number: ConnectionNumber, base: &str) -> Vec<Change> {
        if !self.is_current(name, number) {
            return Vec::new();
        }
        let removed = self.machines.get_mut(name).and_then(|machine| machine.instances.remove(base));
        let Some(removed) = removed else { return Vec::new() };
        self.let_go(&removed.name, name, base);
        let told = Change::ServiceGone(removed.name, name.clone());
        self.changes_of(name, []).into_iter().chain([told]).collect()
    }

    /// The facts of a machine have changed.
    pub fn facts(&mut self, name: &MachineName, number: ConnectionNumber, facts: MachineFacts) -> Vec<Change> {
        if !self.is_current(name, number) {
            return Vec::new();
        }
        let Some(machine) = self.machines.get_mut(name).filter(|machine| machine.facts != facts) else {
            return Vec::new();
        };
        machine.facts = facts;
        self.changes_of(name, [])
    }

    /// An agent has said that it ends.
    pub fn goodbye(&mut self, name: &MachineName, number: ConnectionNumber, why: &str, now: Timestamp) -> Vec<Change> {
        self.lose(name, number, Link::Ended(why.to_owned()), now)
    }

    /// An agent is not heard from any more. A connection that was replaced changes nothing.
    pub fn lost(&mut self, name: &MachineName, number: ConnectionNumber, why: &str, now: Timestamp) -> Vec<Change> {
        self.lose(name, number, Link::Lost(why.to_owned()), now)
    }

    fn lose(&mut self, name: &MachineName, number: ConnectionNumber, link: Link, now: Timestamp) -> Vec<Change> {
        if !self.is_current(name, number) {
            return Vec::new();
        }
        let Some(machine) = self.machines.get_mut(name) else { return Vec::new() };
        machine.link = link;
        machine.since = now;
        machine.last_heard = Some(now);
        self.changes_of_all(name)
    }

    /// A machine's agent was revoked.
    pub fn revoked(&mut self, name: &MachineName, now: Timestamp) -> Vec<Change> {
        if let Some(machine) = self.machines.get_mut(name) {
            machine.revoked_at = Some(now);
        }
        self.changes_of(name, [])
    }

    /// A machine was removed.
    pub fn removed(&mut self, name: &MachineName) -> Vec<Change> {
        let Some(machine) = self.machines.remove(name) else { return Vec::new() };
        let agent = ServiceName::agent(name);
        for (base, instance) in &machine.instances {
            self.let_go(&instance.name, name, base);
        }
        let names = machine.instances.into_values().map(|instance| instance.name).chain([agent]);
        names.map(|service| Change::ServiceGone(service, name.clone())).collect()
    }

    /// Whether a connection is the one that a machine's agent is heard on.
    pub fn is_current(&self, name: &MachineName, number: ConnectionNumber) -> bool {
        self.machines.get(name).is_some_and(|machine| machine.link == Link::Connected(number))
    }

    /// Whether a fingerprint of statuses is that of what is known here.
    pub fn agrees(&self, name: &MachineName, theirs: &str) -> bool {
        let Some(machine) = self.machines.get(name) else { return false };
        digest(machine.instances.values().map(|instance| &instance.report)) == theirs
    }

    fn changes_of<'a>(&self, name: &MachineName, bases: impl IntoIterator<Item = &'a str>) -> Vec<Change> {
        let Some(machine) = self.machines.get(name) else { return Vec::new() };
        let mut changes =
            vec![Change::Machine(Box::new(machine.view())), Change::Service(Box::new(machine.agent_view()))];
        let views = bases.into_iter().filter_map(|base| self.instance_view(name, base));
        changes.extend(views.map(|view| Change::Service(Box::new(view))));
        changes
    }

    fn changes_of_all(&self, name: &MachineName) -> Vec<Change> {
        let bases: Vec<String> = self.bases(name).map(str::to_owned).collect();
        self.changes_of(name, bases.iter().map(String::as_str))
    }

    /// The bases of a machine's instances.
    pub fn bases(&self, name: &MachineName) -> impl Iterator<Item = &str> {
        self.machines.get(name).into_iter().flat_map(|machine| machine.instances.keys().map(String::as_str))
    }

    /// The names of a machine's instances.
    pub fn names(&self, name: &MachineName) -> impl Iterator<Item = &ServiceName> {
        self.machines
            .get(name)
            .into_iter()
            .flat_map(|machine| machine.instances.values().map(|instance| &instance.name))
    }

    fn instance_view(&self, name: &MachineName, base: &str) -> Option<ServiceView> {
        let machine = self.machines.get(name)?;
        let view = machine.instance_view(machine.instances.get(base)?);
        Some(ServiceView { collections: self.collections.holders(&view.name).to_vec(), ..view })
    }
}
