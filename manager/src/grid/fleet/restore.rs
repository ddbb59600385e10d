//! What the fleet knows over a restart of the manager, before the agents have come back.

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fleet, Instance, KnownMachine, Link, Machine, Named, read::exit_view};
use crate::grid::event::Change;

/// What is remembered of an agent's link over a restart of the manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LastLink {
    /// It was linked.
    Linked {
        /// When it was known to be.
        heard: Timestamp,
    },
    /// It said goodbye.
    Ended {
        /// Why.
        why: String,
        /// When.
        since: Timestamp,
    },
    /// It was not heard from any more.
    Lost {
        /// Why.
        why: String,
        /// Since when.
        since: Timestamp,
    },
}

/// An instance as it was last reported before the manager's start.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// The report, with its name.
    pub named: Named,
    /// When it was reported.
    pub at: Timestamp,
    /// Since when it was so.
    pub since: Timestamp,
}

impl Fleet {
    /// Puts up a machine that is registered, with what was last known of its link and its instances. Nothing is told:
    /// silence just after the manager's start is no event.
    pub fn restore(
        &mut self,
        machine: KnownMachine,
        last: Option<LastLink>,
        instances: Vec<Remembered>,
        now: Timestamp,
    ) {
        let name = machine.name.clone();
        let reported = instances.iter().map(|instance| instance.at).max();
        let (link, heard) = match last {
            Some(LastLink::Ended { why, since }) => (Link::Ended(why), Some(since)),
            Some(LastLink::Lost { why, since }) => (Link::Lost(why), Some(since)),
            Some(LastLink::Linked { heard }) => (Link::Awaited, Some(heard).max(reported)),
            None => (Link::Awaited, reported),
        };
        self.add(machine, heard.unwrap_or(now), link);
        if let Some(machine) = self.machines.get_mut(&name) {
            machine.last_heard = heard;
        }
        for Remembered { named, at, since } in instances {
            let instance = Instance {
                last_exit: exit_view(named.report.last_exit.as_ref(), at, None),
                since,
                name: named.name,
                name_note: named.note,
                report: named.report,
            };
            self.insert(&name, instance);
        }
    }

    /// The manager has waited long enough after its start: who has not come is lost.
    pub fn stop_waiting(&mut self) -> Vec<Change> {
        let awaited = |machine: &&mut Machine| machine.link == Link::Awaited;
        let mut late = Vec::new();
        for machine in self.machines.values_mut().filter(awaited) {
            machine.link = Link::Lost("it was not heard from since the manager's start".to_owned());
            late.push(machine.name.clone());
        }
        late.iter().flat_map(|name| self.changes_of_all(name)).collect()
    }
}
