//! Claims: no two operations move the same service at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::name::ServiceName;
use tokio::sync::watch;
use uuid::Uuid;

use crate::grid::{command::Command, view::HeldBy};

/// What somebody is told of a holder who may not see what else it is about.
pub const ANOTHER: &str = "held by another operation";

/// Who holds a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The operation.
    pub operation: Uuid,
    /// Its command.
    pub command: Command,
    /// Its targets, as one text.
    pub targets: String,
    /// Who asked for it.
    pub actor: String,
}

impl Holder {
    /// The holder in words, for somebody who may not see everything.
    pub fn words_for(&self, is_limited: bool) -> String {
        if is_limited { ANOTHER.to_owned() } else { self.words() }
    }

    /// The holder as status shows it, for somebody who may not see everything.
    pub fn view_for(self, is_limited: bool) -> HeldBy {
        if is_limited {
            return HeldBy::default();
        }
        let Self { operation, command, targets, actor } = self;
        HeldBy { operation: Some(operation), command: Some(command), targets: Some(targets), actor: Some(actor) }
    }

    /// The holder in words.
    pub fn words(&self) -> String {
        format!("held by operation {} ({} {}, by {})", self.operation, self.command, self.targets, self.actor)
    }
}

/// The services that are held now. It holds no more than the operations in hand have services.
#[derive(Debug, Clone, Default)]
pub struct Claims(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    held: HashMap<ServiceName, Held>,
    serial: u64,
}

#[derive(Debug)]
struct Held {
    serial: u64,
    holder: Holder,
    superseded: watch::Sender<Option<String>>,
}

/// A service that is held until this is dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    service: ServiceName,
    serial: u64,
    superseded: watch::Receiver<Option<String>>,
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a service; whoever holds it already stands in the way, or is superseded where the claim is `by_force`.
    pub fn claim(&self, service: &ServiceName, holder: Holder, by_force: bool) -> Result<Claim, Holder> {
        let mut inner = self.lock();
        if let Some(held) = inner.held.get(service) {
            if !by_force {
                return Err(held.holder.clone());
            }
            held.superseded.send_replace(Some(format!("superseded by {}", by(&holder))));
        }
        inner.serial += 1;
        let serial = inner.serial;
        let (sender, superseded) = watch::channel(None);
        inner.held.insert(service.clone(), Held { serial, holder, superseded: sender });
        drop(inner);
        Ok(Claim { claims: self.clone(), service: service.clone(), serial, superseded })
    }

    /// Who holds a service.
    pub fn holder(&self, service: &ServiceName) -> Option<Holder> {
        self.lock().held.get(service).map(|held| held.holder.clone())
    }

    /// Takes a service from whoever holds it, because somebody kills it without an operation.
    pub fn supersede(&self, service: &ServiceName, by: &str) {
        if let Some(held) = self.lock().held.remove(service) {
            held.superseded.send_replace(Some(format!("superseded by {by}")));
        }
    }

    /// Who holds which of some services.
    pub fn holders<'a>(&self, of: impl Iterator<Item = &'a ServiceName>) -> Vec<(ServiceName, Holder)> {
        let inner = self.lock();
        if inner.held.is_empty() {
            return Vec::new();
        }
        of.filter_map(|service| Some((service.clone(), inner.held.get(service)?.holder.clone()))).collect()
    }

    /// How many services are held.
    pub fn count(&self) -> usize {
        self.lock().held.len()
    }
}

fn by(holder: &Holder) -> String {
    format!("operation {} ({} {}, by {})", holder.operation, holder.command, holder.targets, holder.actor)
}

impl Claim {
    /// Waits until somebody supersedes it; returns who.
    pub async fn superseded(&self) -> String {
        let mut superseded = self.superseded.clone();
        let told = superseded.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match told {
            Some(why) => why,
            // Whoever held the other end is this claim's entry, which goes with the claim only.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = self.claims.lock();
        if inner.held.get(&self.service).is_some_and(|held| held.serial == self.serial) {
            inner.held.remove(&self.service);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(operation: u128, command: Command) -> Holder {
        let (targets, actor) = ("front".to_owned(), "anna".to_owned());
        Holder { operation: Uuid::from_u128(operation), command, targets, actor }
    }

    fn service() -> ServiceName {
        "a@web-1".parse().unwrap()
    }

    #[test]
    fn a_second_claim_is_told_of_the_first_until_that_is_dropped() {
        let claims = Claims::default();
        let first = claims.claim(&service(), holder(1, Command::Restart), false).unwrap();
        let conflict = claims.claim(&service(), holder(2, Command::Stop), false).unwrap_err();
        assert_eq!(conflict, holder(1, Command::Restart));
        assert!(conflict.words().ends_with("(restart front, by anna)"), "{}", conflict.words());
        drop(first);
        let _second = claims.claim(&service(), holder(2, Command::Stop), false).unwrap();
        assert_eq!(claims.holder(&service()), Some(holder(2, Command::Stop)));
    }

    #[tokio::test]
    async fn a_kill_supersedes_and_is_not_freed_by_whom_it_superseded() {
        let claims = Claims::default();
        let first = claims.claim(&service(), holder(1, Command::Stop), false).unwrap();
        let kill = claims.claim(&service(), holder(2, Command::Kill), true).unwrap();
        assert!(first.superseded().await.contains("(kill front, by anna)"));
        drop(first);
        assert_eq!(claims.holder(&service()), Some(holder(2, Command::Kill)));
        claims.supersede(&service(), "trigger-kill by bob");
        assert_eq!(kill.superseded().await, "superseded by trigger-kill by bob");
        assert_eq!(claims.count(), 0);
    }
}
