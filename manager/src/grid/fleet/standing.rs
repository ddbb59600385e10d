//! How a service stands: what those need who move it and wait for it.

use protocol::{
    name::{MachineName, ServiceName},
    state::State,
    time::Timestamp,
};
use uuid::Uuid;

use super::{Fleet, Link, Machine};
use crate::grid::view::ServiceType;

/// How the reason of an instance begins whose agent is away; what follows is why it is.
pub const AWAY: &str = "its agent is away: ";

/// How an agent came to be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The manager has just started, and the agent may come any moment.
    Awaited,
    /// Its link broke, or it was not heard from.
    Lost,
    /// It said goodbye: it comes back when somebody starts it.
    Ended,
}

/// How a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What kind it is.
    pub r#type: ServiceType,
    /// Its agent.
    pub agent: Uuid,
    /// Its machine.
    pub machine: MachineName,
    /// The base of an instance; nothing for an agent.
    pub base: String,
    /// Whether its agent is linked.
    pub linked: bool,
    /// If it is not, how that came to be.
    pub absence: Option<Absence>,
    /// The state.
    pub state: State,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// Since when it has been in its state.
    pub since: Timestamp,
    /// The number of its process, where that is known.
    pub pid: Option<u32>,
    /// When and how its last process ended.
    pub exit: Option<(Timestamp, String)>,
}

impl Fleet {
    /// How a service stands; `None` if it is not there.
    pub fn standing(&self, name: &ServiceName) -> Option<Standing> {
        let of = |machine: &Machine, view: crate::grid::view::ServiceView| Standing {
            r#type: view.r#type,
            agent: machine.id,
            machine: machine.name.clone(),
            base: view.catalina_base.unwrap_or_default(),
            linked: matches!(machine.link, Link::Connected(_)),
            absence: match machine.link {
                Link::Connected(_) => None,
                Link::Awaited => Some(Absence::Awaited),
                Link::Lost(_) => Some(Absence::Lost),
                Link::Ended(_) => Some(Absence::Ended),
            },
            state: view.state,
            reason: view.reason,
            since: view.since,
            pid: view.pid,
            exit: view.last_exit.map(|exit| (exit.at, exit.how)),
        };
        if let Some((machine, base)) = self.services.get(name) {
            let machine = self.machines.get(machine)?;
            return Some(of(machine, machine.instance_view(machine.instances.get(base)?)));
        }
        let machine = self.machines.get(&name.of_agent()?)?;
        Some(of(machine, machine.agent_view()))
    }
}
