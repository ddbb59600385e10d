//! What happens: the stream of events, for those who may see them.

use tokio::sync::broadcast::Receiver;

use super::{
    App, Result,
    journal::{Start, Told},
};
use crate::grid::{
    access::{Caller, Permission},
    event::{EventId, Topic},
    target::Target,
};

impl App {
    /// Begins to watch: after an event, or from now on.
    pub async fn watch(&self, caller: &Caller, since: Option<&str>) -> Result<(Start, Receiver<Told>)> {
        caller.may(Permission::Read)?;
        match since.map(str::parse::<EventId>) {
            None => Ok((Start::Resume(Vec::new()), self.journal.watch_live())),
            Some(Ok(since)) => Ok(self.journal.watch(since).await?),
            // An id that cannot be read is as unknown as any.
            Some(Err(_)) => Ok((Start::Reset, self.journal.watch_live())),
        }
    }

    /// Whether a caller may see what an event tells of.
    pub fn sees(&self, caller: &Caller, topic: &Topic) -> bool {
        if caller.role < Some(topic.seen_by) {
            return false;
        }
        let Some(targets) = &caller.targets else { return true };
        let Some(name) = &topic.service else { return false };
        let known = self.fleet().services(&[Target::Service(name.clone())]);
        match known.ok().and_then(|services| services.into_iter().next()) {
            Some(service) => caller.covers(&service),
            // What is gone can only be known by its name and its machine.
            None => targets.iter().any(|target| match target {
                Target::Service(covered) => covered == name,
                Target::Machine(machine) => topic.machine.as_ref() == Some(machine),
                Target::All => true,
                Target::Tag(_) | Target::Agents => false,
            }),
        }
    }

    /// Whether somebody who watches may go on, being now what `now` says.
    pub fn may_go_on_watching(&self, caller: &Caller, now: &Result<Option<Caller>>) -> bool {
        match now {
            Ok(now) => now.as_ref() == Some(caller),
            // Whoever was known stays so while the store cannot be asked.
            Err(error) => {
                tracing::warn!("cannot look again at who watches: {error:#}");
                true
            }
        }
    }
}
