//! What the fleet shows: machines, services, the services of targets, and where an order goes.

use std::collections::{BTreeSet, HashSet};

use protocol::{
    name::{MachineName, ServiceName},
    report::ExitReport,
    state::State,
    time::Timestamp,
};

use super::{AWAY, Destination, Fleet, Instance, Link, Machine, SAME_MOMENT};
use crate::grid::{
    target::{NoSuchTarget, Target},
    view::{ExitView, MachineView, ServiceType, ServiceView},
};

/// What stands for the base of an agent, which has none.
const AGENT: &str = "";

impl Fleet {
    /// Every machine.
    pub fn machines(&self) -> Vec<MachineView> {
        self.machines.values().map(Machine::view).collect()
    }

    /// One machine.
    pub fn machine(&self, name: &MachineName) -> Result<MachineView, NoSuchTarget> {
        self.machines.get(name).map(Machine::view).ok_or_else(|| self.no_machine(name))
    }

    pub(super) fn no_machine(&self, name: &MachineName) -> NoSuchTarget {
        NoSuchTarget::new("machine", name.as_str(), self.machines.keys().map(MachineName::as_str))
    }

    /// The services of targets, each once, by machine and name; without targets all, agents included.
    pub fn services(&self, targets: &[Target]) -> Result<Vec<ServiceView>, NoSuchTarget> {
        let mut wanted: BTreeSet<(MachineName, String)> = BTreeSet::new();
        let agents = self.machines.keys().map(|name| (name.clone(), AGENT.to_owned()));
        let all = || self.services.values().cloned();
        let mut seen = HashSet::new();
        for target in targets.iter().filter(|target| seen.insert(*target)) {
            match target {
                Target::All => wanted.extend(all()),
                Target::Agents => wanted.extend(agents.clone()),
                Target::Machine(name) => {
                    let machine = self.machines.get(name).ok_or_else(|| self.no_machine(name))?;
                    wanted.extend(machine.instances.keys().map(|base| (name.clone(), base.clone())));
                }
                Target::Tag(tag) => wanted.extend(self.tagged(tag)?),
                Target::Service(name) => match self.collections.services(name) {
                    Some(services) => {
                        wanted.extend(services.iter().filter_map(|name| self.services.get(name)).cloned())
                    }
                    None => {
                        wanted.insert(self.locate(name)?);
                    }
                },
            }
        }
        if targets.is_empty() {
            wanted.extend(all().chain(agents));
        }
        let mut views: Vec<ServiceView> = wanted
            .iter()
            .filter_map(|(machine, base)| {
                if base == AGENT {
                    return self.machines.get(machine).map(Machine::agent_view);
                }
                self.instance_view(machine, base)
            })
            .collect();
        views.sort_by(|a, b| (&a.machine, a.r#type.as_str(), &a.name).cmp(&(&b.machine, b.r#type.as_str(), &b.name)));
        Ok(views)
    }

    /// Whether a service is among those of targets; `None` if there is no such service. Asked for each event and each
    /// watcher, so it makes no views.
    pub fn covers(&self, name: &ServiceName, targets: &[Target]) -> Option<bool> {
        let Some((machine, base)) = self.services.get(name) else {
            self.machines.get(&name.of_agent()?)?;
            let covers = |target: &Target| match target {
                Target::Service(covered) => covered == name,
                Target::Agents => true,
                Target::Machine(_) | Target::Tag(_) | Target::All => false,
            };
            return Some(targets.iter().any(covers));
        };
        let machine = self.machines.get(machine)?;
        Some(targets.iter().any(|target| match target {
            Target::Service(covered) => covered == name || self.collections.holds(covered, name),
            Target::Machine(covered) => *covered == machine.name,
            Target::Tag(tag) => machine.tags.has(base, tag),
            Target::All => true,
            Target::Agents => false,
        }))
    }

    pub(super) fn locate(&self, name: &ServiceName) -> Result<(MachineName, String), NoSuchTarget> {
        if let Some(found) = self.services.get(name) {
            return Ok(found.clone());
        }
        if let Some(machine) = name.of_agent().filter(|machine| self.machines.contains_key(machine)) {
            return Ok((machine, AGENT.to_owned()));
        }
        let known = self.services.keys().chain(self.collections.names()).map(ServiceName::as_str);
        let what = if self.collections.names().next().is_some() { "service or collection" } else { "service" };
        Err(NoSuchTarget::new(what, name.as_str(), known))
    }

    /// Where an order for an instance goes; `None` for an agent.
    pub fn destination(&self, name: &ServiceName) -> Option<Destination> {
        let (machine, base) = self.services.get(name)?;
        let machine = self.machines.get(machine)?;
        let instance = machine.instances.get(base)?;
        let connected = matches!(machine.link, Link::Connected(_));
        Some(Destination {
            service: name.clone(),
            agent: machine.id,
            machine: machine.name.clone(),
            base: base.clone(),
            state: if connected { instance.report.state } else { State::NotAvailable },
        })
    }
}

impl Machine {
    pub(super) fn view(&self) -> MachineView {
        let connected = matches!(self.link, Link::Connected(_));
        MachineView {
            name: self.name.clone(),
            connected,
            agent_version: self.agent_version.clone(),
            last_heard: self.last_heard.filter(|_| !connected),
            joined_at: self.joined_at,
            revoked_at: self.revoked_at,
            instances: self.instances.len(),
            facts: self.facts.clone(),
            tags: self.tags.of_machine(),
        }
    }

    fn why_away(&self) -> Option<&str> {
        match &self.link {
            Link::Connected(_) => None,
            Link::Ended(why) | Link::Lost(why) => Some(why),
            Link::Awaited => Some("the manager has just started and waits for this agent"),
        }
    }

    pub(super) fn agent_state(&self) -> State {
        match self.link {
            Link::Connected(_) => State::Active,
            Link::Ended(_) => State::Stopped,
            Link::Lost(_) | Link::Awaited => State::NotAvailable,
        }
    }

    pub(super) fn agent_view(&self) -> ServiceView {
        let state = self.agent_state();
        let revoked = self.revoked_at.map(|_| "it was revoked: `machines remove` lets its name go".to_owned());
        ServiceView {
            name: ServiceName::agent(&self.name),
            machine: self.name.clone(),
            r#type: ServiceType::Agent,
            state,
            last_state: None,
            reason: revoked.or_else(|| self.why_away().map(str::to_owned)),
            last_exit: None,
            since: self.since,
            pid: None,
            catalina_base: None,
            catalina_home: None,
            ports: Vec::new(),
            user: (!self.facts.user.is_empty()).then(|| self.facts.user.clone()),
            unit: None,
            notes: self.facts.notes.clone(),
            tags: self.tags.of_machine(),
            collections: Vec::new(),
        }
    }

    pub(super) fn instance_view(&self, instance: &Instance) -> ServiceView {
        let report = &instance.report;
        let away = self.why_away();
        let reason = match away {
            Some(why) => Some(format!("{AWAY}{why}")),
            None => report.reason.clone(),
        };
        ServiceView {
            name: instance.name.clone(),
            machine: self.name.clone(),
            r#type: ServiceType::Instance,
            state: if away.is_some() { State::NotAvailable } else { report.state },
            last_state: away.map(|_| report.state),
            reason,
            last_exit: instance.last_exit.clone(),
            since: if away.is_some() { self.since } else { instance.since },
            pid: report.pid.filter(|_| away.is_none()),
            catalina_base: Some(report.base.clone()),
            catalina_home: report.home.clone(),
            ports: report.ports.clone(),
            user: report.user.clone(),
            unit: report.unit.clone(),
            notes: instance.name_note.iter().chain(&report.notes).cloned().collect(),
            tags: self.tags.of_service(&report.base),
            collections: Vec::new(),
        }
    }
}

/// The last exit with its time by the manager's clock, which stays the same for the same exit.
pub(super) fn exit_view(exit: Option<&ExitReport>, now: Timestamp, known: Option<ExitView>) -> Option<ExitView> {
    let exit = exit?;
    let at = now.before(std::time::Duration::from_millis(exit.age_ms));
    let same = known.filter(|known| {
        (known.at.as_millis() - at.as_millis()).abs() <= SAME_MOMENT
            && (known.code, known.signal, known.wanted) == (exit.code, exit.signal, exit.wanted)
    });
    let at = same.map_or(at, |known| known.at);
    Some(ExitView { at, code: exit.code, signal: exit.signal, wanted: exit.wanted, how: exit.how.clone() })
}
