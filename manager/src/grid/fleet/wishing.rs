//! What those need of the fleet who say what machines should have.

use protocol::name::MachineName;
use uuid::Uuid;

use super::{Fleet, Machine};
use crate::grid::view::ServiceView;

impl Fleet {
    /// The agent of a machine that was not revoked.
    pub fn agent_of(&self, machine: &MachineName) -> Option<Uuid> {
        self.machines.get(machine).filter(|machine| machine.revoked_at.is_none()).map(|machine| machine.id)
    }

    /// The names of all machines.
    pub fn machine_names(&self) -> Vec<MachineName> {
        self.machines.keys().cloned().collect()
    }

    /// The instances and the agent of a machine; nothing if it is not there, or was revoked.
    pub fn services_of(&self, machine: &MachineName) -> Vec<ServiceView> {
        let machine = self.machines.get(machine).filter(|machine| machine.revoked_at.is_none());
        let services = |machine: &Machine| {
            let instances = machine.instances.values().map(|instance| machine.instance_view(instance));
            instances.chain([machine.agent_view()]).collect()
        };
        machine.map(services).unwrap_or_default()
    }
}
