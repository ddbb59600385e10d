//! How the journal is doing: what was told, what waits, and for how long.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use protocol::time::Timestamp;

use super::Journal;
use crate::{
    app::traffic::Counter,
    grid::event::{EventId, Kind},
};

/// What is counted on the way.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    by_kind: [Counter; Kind::ALL.len()],
    /// How often events were lost before they had a number.
    pub(super) losses: Counter,
    // Held for moments only, never across an await.
    writing_since: Mutex<Option<Instant>>,
}

/// How the journal is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalFigures {
    /// The last event.
    pub last: EventId,
    /// How many events of each kind were told since the start.
    pub by_kind: Vec<(Kind, u64)>,
    /// How many entries wait to be numbered and written.
    pub queued: usize,
    /// How many can.
    pub capacity: usize,
    /// How many events were told, and are not on disk.
    pub unwritten: usize,
    /// For how long the oldest of what is being written, or could not be written, has waited.
    pub lag: Duration,
    /// How often events were lost before they had a number, and whoever watched had to begin anew.
    pub losses: u64,
    /// Whether the last write found no room.
    pub disk_full: bool,
}

impl Recorded {
    pub(super) fn count(&self, kind: Kind) {
        if let Some(index) = Kind::ALL.iter().position(|known| *known == kind) {
            self.by_kind[index].count();
        }
    }

    pub(super) fn begins_to_write(&self) {
        *self.writing_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn has_written(&self) {
        *self.writing_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn writing_for(&self) -> Duration {
        let since = *self.writing_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Journal {
    /// How it is doing.
    pub fn figures(&self) -> JournalFigures {
        let (unwritten, oldest) = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            let mut unwritten = recent.iter().filter_map(|event| event.unwritten).peekable();
            let oldest = unwritten.peek().copied();
            (unwritten.count(), oldest)
        };
        let waiting = oldest.map_or(Duration::ZERO, |oldest| Timestamp::now().since(oldest));
        let counted = Kind::ALL.into_iter().zip(&self.figures.by_kind);
        JournalFigures {
            last: self.last(),
            by_kind: counted.map(|(kind, counter)| (kind, counter.get())).collect(),
            queued: self.queue.max_capacity() - self.queue.capacity(),
            capacity: self.queue.max_capacity(),
            unwritten,
            lag: waiting.max(self.figures.writing_for()),
            losses: self.figures.losses.get(),
            disk_full: self.is_disk_full(),
        }
    }
}
