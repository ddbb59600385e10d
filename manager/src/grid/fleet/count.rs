//! How many there are of what: for whoever keeps an eye on the grid as a whole.

use protocol::state::State;

use super::{Fleet, Link};
use crate::grid::view::ServiceType;

/// How many services are in each state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Each type with each state, those that no service is in among them.
    pub services: Vec<(ServiceType, State, u64)>,
    /// All machines.
    pub machines: u64,
    /// Machines whose agents are linked.
    pub linked: u64,
}

impl Fleet {
    /// Counts services and machines.
    pub fn count(&self) -> Counts {
        let each = |r#type| State::ALL.map(|state| (r#type, state, 0));
        let mut services: Vec<_> = [ServiceType::Instance, ServiceType::Agent].into_iter().flat_map(each).collect();
        let mut count = |r#type: ServiceType, state: State| {
            let found = services.iter_mut().find(|(known, of, _)| (*known, *of) == (r#type, state));
            if let Some((_, _, number)) = found {
                *number += 1;
            }
        };
        let mut linked = 0;
        for machine in self.machines.values() {
            let is_linked = matches!(machine.link, Link::Connected(_));
            linked += u64::from(is_linked);
            count(ServiceType::Agent, machine.agent_state());
            for instance in machine.instances.values() {
                count(ServiceType::Instance, if is_linked { instance.report.state } else { State::NotAvailable });
            }
        }
        Counts { services, machines: self.machines.len() as u64, linked }
    }
}
