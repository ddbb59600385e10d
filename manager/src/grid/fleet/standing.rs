//! How a service stands: what those need who move it and wait for it.

use protocol::{
    name::{MachineName, ServiceName},
    state::State,
    time::Timestamp,
};
use uuid::Uuid;

use super::{Fleet, Machine};
use crate::grid::view::ServiceType;

/// How the reason of an instance begins whose agent is away; what follows is why it is.
pub const AWAY: &str = "its agent is away: ";

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
            linked: matches!(machine.link, super::Link::Connected(_)),
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
