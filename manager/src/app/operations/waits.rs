//! Who waits for a service is woken by each change of it, and by nothing else.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use protocol::{name::ServiceName, time::Timestamp};
use tokio::{sync::watch, time::Instant};

use crate::grid::fleet::{Absence, Standing};

/// How long an agent that was lost may take to come back, before what was not begun yet is given up.
const BACK: Duration = Duration::from_secs(15);

/// Until when an agent may come back that was there a moment ago, or that the manager waits for after its own start;
/// `None` if it is there, or was away before, or has said goodbye.
pub fn back_until(standing: &Standing) -> Option<Instant> {
    let left = match standing.absence? {
        Absence::Awaited => BACK,
        Absence::Lost => BACK.checked_sub(Timestamp::now().since(standing.since)).filter(|left| !left.is_zero())?,
        Absence::Ended => return None,
    };
    Some(Instant::now() + left)
}

/// The services that somebody waits for.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    // Looked at with every change of the fleet; most of the time nobody waits.
    count: AtomicUsize,
    // Held for moments only, never across an await.
    services: Mutex<HashMap<ServiceName, watch::Sender<u64>>>,
}

/// A place for somebody who waits; what changes from its making on wakes them.
#[derive(Debug)]
pub struct Wake {
    waits: Waits,
    service: ServiceName,
    changes: Option<watch::Receiver<u64>>,
}

impl Waits {
    fn lock(&self) -> MutexGuard<'_, HashMap<ServiceName, watch::Sender<u64>>> {
        self.0.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for changes of a service.
    pub fn watch(&self, service: &ServiceName) -> Wake {
        let mut services = self.lock();
        let changes = services.entry(service.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe();
        self.0.count.store(services.len(), Ordering::Release);
        drop(services);
        Wake { waits: self.clone(), service: service.clone(), changes: Some(changes) }
    }

    /// A service has changed, or is gone.
    pub fn wake(&self, service: &ServiceName) {
        if self.0.count.load(Ordering::Acquire) > 0
            && let Some(changes) = self.lock().get(service)
        {
            changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

impl Wake {
    /// Waits for the next change.
    pub async fn changed(&mut self) {
        if let Some(changes) = &mut self.changes {
            // The other end is there as long as somebody waits.
            let _there = changes.changed().await;
        }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let mut services = self.waits.lock();
        self.changes = None;
        if services.get(&self.service).is_some_and(|changes| changes.receiver_count() == 0) {
            services.remove(&self.service);
        }
        self.waits.0.count.store(services.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use protocol::state::State;
    use uuid::Uuid;

    use super::*;
    use crate::grid::view::ServiceType;

    #[test]
    fn the_table_of_agents_that_may_come_back() {
        let now = Timestamp::now();
        let (moment, long) = (now.before(Duration::from_secs(3)), now.before(Duration::from_secs(60)));
        for (absence, since, may) in [
            (None, moment, false),
            // Since when it was there says nothing of how long the manager was not.
            (Some(Absence::Awaited), long, true),
            (Some(Absence::Lost), moment, true),
            (Some(Absence::Lost), long, false),
            (Some(Absence::Ended), moment, false),
        ] {
            let standing = Standing {
                r#type: ServiceType::Instance,
                agent: Uuid::nil(),
                machine: "web-1".parse().unwrap(),
                base: String::new(),
                linked: absence.is_none(),
                absence,
                state: State::NotAvailable,
                reason: None,
                since,
                pid: None,
                exit: None,
            };
            assert_eq!(back_until(&standing).is_some(), may, "{absence:?}");
        }
    }

    #[tokio::test]
    async fn a_change_between_looking_and_waiting_is_not_missed() {
        let waits = Waits::default();
        let (service, other) = ("a@web-1".parse().unwrap(), "b@web-1".parse().unwrap());
        let mut wake = waits.watch(&service);
        waits.wake(&other);
        assert!(!wake.changes.as_ref().unwrap().has_changed().unwrap());
        waits.wake(&service);
        tokio::time::timeout(std::time::Duration::from_secs(5), wake.changed()).await.expect("it is woken");
        drop(wake);
        assert!(waits.lock().is_empty());
    }
}
