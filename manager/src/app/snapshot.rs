//! The status that a watcher begins anew with. Those who see everything share one: they often begin anew together.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{App, AppError, Result, journal::Published};
use crate::grid::{
    access::{Caller, Permission},
    event::EventId,
};

/// How long a snapshot is shared. What happened since it was made is told after it.
const FRESH: Duration = Duration::from_millis(500);

/// A status, written down.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The last event that it includes.
    pub id: EventId,
    /// The status as JSON.
    pub json: Arc<[u8]>,
}

/// The last snapshot that was made for those who see everything.
#[derive(Default)]
pub(super) struct Snapshots(Mutex<Option<Shared>>);

struct Shared {
    snapshot: Snapshot,
    made: Instant,
    /// How often events were lost before it was made: it may not know of what was lost later.
    losses: u64,
}

impl App {
    /// A snapshot, and the events since it was made that who watches may not be told otherwise.
    pub fn snapshot(&self, caller: &Caller) -> Result<(Snapshot, Vec<Published>)> {
        caller.may(Permission::Read)?;
        if caller.targets.is_some() {
            return Ok((self.new_snapshot(caller)?, Vec::new()));
        }
        // Who comes while it is made waits for it, which takes less than another.
        let mut shared = self.snapshots.0.lock().unwrap_or_else(PoisonError::into_inner);
        let losses = self.journal.losses();
        if let Some(shared) = shared.as_ref().filter(|shared| shared.losses == losses && shared.made.elapsed() < FRESH)
            && let Some(events) = self.journal.recent_after(shared.snapshot.id.seq)
        {
            return Ok((shared.snapshot.clone(), events));
        }
        let made = Instant::now();
        let snapshot = self.new_snapshot(caller)?;
        *shared = Some(Shared { snapshot: snapshot.clone(), made, losses });
        Ok((snapshot, Vec::new()))
    }

    fn new_snapshot(&self, caller: &Caller) -> Result<Snapshot> {
        let status = self.status(caller, &[])?;
        let internal = |error: anyhow::Error| AppError::Internal(error);
        let id = status.seq.parse().map_err(|error| internal(anyhow::anyhow!("{error}")))?;
        let json = serde_json::to_vec(&status).map_err(|error| internal(error.into()))?;
        Ok(Snapshot { id, json: json.into() })
    }
}
