//! Which services operations are of: who sees only some services is told of the operations that are of these alone.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use protocol::name::ServiceName;
use uuid::Uuid;

/// Of how many operations the services are known at most.
const OPERATIONS: usize = 1024;

/// How many services these have together at most.
const SERVICES: usize = 200_000;

/// The services of the latest operations.
#[derive(Debug, Default)]
pub(super) struct Subjects(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    services: HashMap<Uuid, Arc<[ServiceName]>>,
    /// Oldest first.
    order: VecDeque<Uuid>,
    total: usize,
}

impl Subjects {
    /// Remembers the services of an operation; those of the oldest go for it.
    pub(super) fn put(&self, id: Uuid, services: Vec<ServiceName>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.services.contains_key(&id) {
            return;
        }
        inner.total += services.len();
        inner.services.insert(id, services.into());
        inner.order.push_back(id);
        while inner.order.len() > OPERATIONS || (inner.total > SERVICES && inner.order.len() > 1) {
            let oldest = inner.order.pop_front().and_then(|oldest| inner.services.remove(&oldest));
            inner.total -= oldest.map_or(0, |services| services.len());
        }
    }

    /// The services of an operation, if they are known.
    pub(super) fn of(&self, id: Uuid) -> Option<Arc<[ServiceName]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).services.get(&id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known() {
        let subjects = Subjects::default();
        let many = |count: usize| vec!["a@web-1".parse().unwrap(); count];
        for id in 0..=OPERATIONS as u128 {
            subjects.put(Uuid::from_u128(id), many(1));
        }
        assert_eq!(subjects.of(Uuid::from_u128(0)), None);
        assert_eq!(subjects.of(Uuid::from_u128(1)).map(|services| services.len()), Some(1));
        // One that is larger than all may be is known alone.
        subjects.put(Uuid::max(), many(SERVICES + 1));
        assert_eq!(subjects.of(Uuid::from_u128(1)), None);
        assert_eq!(subjects.of(Uuid::max()).map(|services| services.len()), Some(SERVICES + 1));
    }
}
