//! Who leaves the grid: removing machines, revoking agents.

use protocol::{
    join::{Refusal, RefusalCode},
    name::MachineName,
    time::Timestamp,
};

use super::{App, AppError, Result, links::Close};
use crate::grid::{
    access::{Caller, Permission},
    audit::Deed,
    event::{Draft, Kind},
};

impl App {
    /// Revokes a machine's agent: its link ends at once, and its key is never taken again.
    pub async fn revoke_machine(&self, caller: &Caller, name: &MachineName) -> Result<()> {
        self.permit(caller, Permission::ManageMachines, "machine-revoke", name.as_str()).await?;
        self.fleet().machine(name)?;
        let now = Timestamp::now();
        let draft =
            Draft::new(Kind::MachineRevoked).machine(name).deed(Deed::of(caller, "machine-revoke", name.as_str()));
        let agent = self.carry_out(draft, async |event| self.store.revoke_machine(name, now, event).await).await?;
        self.change(|fleet, now| fleet.revoked(name, now));
        let message = format!("the agent of `{name}` was revoked by {}", caller.name);
        self.links.close(agent, Close::Refused(Refusal::new(RefusalCode::AgentRevoked, message)));
        Ok(())
    }

    /// Removes a machine, with the names of its services. One whose agent is linked is removed only by `force`.
    pub async fn remove_machine(&self, caller: &Caller, name: &MachineName, force: bool) -> Result<()> {
        self.permit(caller, Permission::ManageMachines, "machine-remove", name.as_str()).await?;
        let machine = self.fleet().machine(name)?;
        let deed = Deed::of(caller, "machine-remove", name.as_str());
        if machine.connected && !force {
            let why = format!(
                "the agent of `{name}` is linked, with {} instances: stop it first, or remove the machine with --force",
                machine.instances
            );
            self.record_deed(&deed.outcome("failed").detail(&why)).await;
            return Err(AppError::Conflict(why));
        }
        let draft = Draft::new(Kind::MachineRemoved).machine(name).deed(deed);
        let agent = self.carry_out(draft, async |event| self.store.remove_machine(name, event).await).await?;
        self.change(|fleet, _| fleet.removed(name));
        let message = format!("the machine `{name}` was removed from the grid by {}", caller.name);
        self.links.close(agent, Close::Refused(Refusal::new(RefusalCode::AgentUnknown, message)));
        if let Err(error) = self.store.forget_machine(agent).await {
            // It is removed all the same; what is left is forgotten with the next start.
            tracing::warn!(machine = %name, "cannot forget the last states of a machine that was removed: {error}");
        }
        Ok(())
    }
}
