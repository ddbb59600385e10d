//! The one stream of events: numbers them, writes them down, and then tells everybody who watches.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::{report::InstanceReport, time::Timestamp};
use tokio::sync::{Notify, broadcast, mpsc};

use crate::{
    grid::event::{Draft, Event, EventId},
    store::{
        Store, StoreError,
        events::{EventRow, LastStatus},
    },
};

/// How many numbers are set aside at once.
const RESERVE: u64 = 100_000;

/// How many events may wait to be written.
const QUEUE: usize = 65_536;

/// How many events are written at once.
const BATCH: usize = 1000;

/// How many events a watcher may be behind before it must begin anew.
const WATCHERS_BEHIND: usize = 16_384;

/// How many events are kept in memory, so that a watcher can resume what the disk had no room for.
const RECENT: usize = 4096;

/// How often a disk that was full is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How many events go by between two looks at the size of the history.
const TRIM_EVERY: u64 = 10_000;

/// An event that everybody may see, written down once.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its number.
    pub seq: u64,
    /// The event as JSON.
    pub body: Arc<str>,
}

/// The journal.
pub struct Journal {
    store: Store,
    epoch: u64,
    /// Numbers are handed out, written and told under this lock, so that nobody sees a later event before an earlier.
    sequence: tokio::sync::Mutex<Sequence>,
    queue: mpsc::Sender<Entry>,
    live: broadcast::Sender<Published>,
    // Held for moments only, never across an await.
    recent: Mutex<VecDeque<Published>>,
    last: AtomicU64,
    floor: AtomicU64,
    disk_full: AtomicBool,
    disk_filled: Notify,
    dropped: AtomicBool,
}

struct Sequence {
    next: u64,
    end: u64,
}

enum Entry {
    Event(Box<Draft>),
    Status(Box<LastStatus>),
}

/// Where a watcher begins.
#[derive(Debug)]
pub enum Start {
    /// Events after the one it named, then the live ones.
    Resume(Vec<Published>),
    /// It must begin with a snapshot: the one it named is unknown or gone.
    Reset,
}

impl Journal {
    /// Starts the journal.
    pub async fn start(store: Store, epoch: u64) -> anyhow::Result<Arc<Self>> {
        let first = store.reserve_sequence(RESERVE).await?;
        let floor = store.floor(first - 1).await?;
        let (queue, entries) = mpsc::channel(QUEUE);
        let journal = Arc::new(Self {
            store,
            epoch,
            sequence: tokio::sync::Mutex::new(Sequence { next: first, end: first + RESERVE }),
            queue,
            live: broadcast::channel(WATCHERS_BEHIND).0,
            recent: Mutex::default(),
            last: AtomicU64::new(first - 1),
            floor: AtomicU64::new(floor),
            disk_full: AtomicBool::new(false),
            disk_filled: Notify::new(),
            dropped: AtomicBool::new(false),
        });
        tokio::spawn(journal.clone().write_history(entries));
        tokio::spawn(journal.clone().await_room());
        Ok(journal)
    }

    /// Tells an event that may be lost with the history.
    pub fn tell(&self, draft: Draft) {
        if self.queue.try_send(Entry::Event(Box::new(draft))).is_err() {
            // Watchers must not believe that they saw everything.
            self.dropped.store(true, Ordering::Release);
        }
    }

    /// Remembers what is last known of an instance.
    pub fn remember(&self, machine: uuid::Uuid, since: Timestamp, report: &InstanceReport) {
        let status = LastStatus { machine, since, report: report.clone() };
        // What is not remembered now will be with the next report.
        let _full = self.queue.try_send(Entry::Status(Box::new(status)));
    }

    /// Records an event that must not be lost; returns when it is on disk.
    pub async fn record(&self, draft: Draft) -> Result<(), StoreError> {
        self.record_with(draft, async |event| self.noting(self.store.record(&event).await)).await
    }

    /// Has an event recorded together with what it is about. `write` stores both in one transaction.
    pub async fn record_with<T, E: From<StoreError>>(
        &self,
        draft: Draft,
        write: impl AsyncFnOnce(EventRow) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut sequence = self.sequence.lock().await;
        let row = self.number(&mut sequence, draft).await?;
        let published = Published { seq: row.seq, body: row.body.as_str().into() };
        let written = write(row).await?;
        self.note_disk(None);
        self.publish(published);
        Ok(written)
    }

    async fn number(&self, sequence: &mut Sequence, draft: Draft) -> Result<EventRow, StoreError> {
        if sequence.next >= sequence.end {
            let first = self.store.reserve_sequence(RESERVE).await?;
            *sequence = Sequence { next: first, end: first + RESERVE };
        }
        let seq = sequence.next;
        sequence.next += 1;
        let id = EventId { epoch: self.epoch, seq }.to_string();
        Ok(EventRow::of(seq, &Event { id, at: Timestamp::now(), draft }))
    }

    fn publish(&self, published: Published) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back(published.clone());
        self.last.store(published.seq, Ordering::Release);
        // Nobody may be watching.
        let _nobody = self.live.send(published);
    }

    /// Writes what is told: at once when it is idle, and what came meanwhile as one batch when it is busy.
    async fn write_history(self: Arc<Self>, mut entries: mpsc::Receiver<Entry>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut since_trim = 0;
        while entries.recv_many(&mut batch, BATCH).await > 0 {
            let mut sequence = self.sequence.lock().await;
            let mut events = Vec::new();
            let mut statuses = Vec::new();
            for entry in batch.drain(..) {
                match entry {
                    Entry::Event(draft) => match self.number(&mut sequence, *draft).await {
                        Ok(row) => events.push(row),
                        Err(error) => {
                            self.note_disk(Some(&error));
                            self.dropped.store(true, Ordering::Release);
                        }
                    },
                    Entry::Status(status) => statuses.push(*status),
                }
            }
            let written = self.store.add_history(&events, &statuses).await;
            self.note_disk(written.as_ref().err());
            if written.is_err() {
                // They are told all the same, and can be resumed from memory for a while, not from the disk.
                self.forget_beyond_memory();
            }
            since_trim += events.len() as u64;
            for row in events {
                self.publish(Published { seq: row.seq, body: row.body.into() });
            }
            if self.dropped.swap(false, Ordering::AcqRel) {
                self.raise_floor(self.last.load(Ordering::Acquire));
            }
            drop(sequence);
            if since_trim >= TRIM_EVERY {
                since_trim = 0;
                match self.store.trim_history().await {
                    Ok(floor) => self.raise_floor(floor),
                    Err(error) => self.note_disk(Some(&error)),
                }
            }
            if written.is_err() {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Tries a disk that was full again and again: that it has room must be known before somebody needs it.
    async fn await_room(self: Arc<Self>) {
        loop {
            self.disk_filled.notified().await;
            while self.is_disk_full() {
                tokio::time::sleep(RETRY).await;
                // A number that is never used: the smallest thing that is another each time, and so really written.
                let _noted = self.noting(self.store.reserve_sequence(1).await);
            }
        }
    }

    /// After events that are in memory only, nothing older than memory can be told without a gap.
    fn forget_beyond_memory(&self) {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = recent.front().map_or_else(|| self.last.load(Ordering::Acquire), |oldest| oldest.seq - 1);
        drop(recent);
        self.raise_floor(oldest);
    }

    fn raise_floor(&self, floor: u64) {
        self.floor.fetch_max(floor, Ordering::AcqRel);
    }

    /// Passes on what came of a write, and notes whether the disk had room for it.
    pub fn noting<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        self.note_disk(written.as_ref().err());
        written
    }

    fn note_disk(&self, error: Option<&StoreError>) {
        match error {
            None => {
                if self.disk_full.swap(false, Ordering::AcqRel) {
                    tracing::info!("the disk has room again");
                }
            }
            Some(StoreError::DiskFull) => {
                if !self.disk_full.swap(true, Ordering::AcqRel) {
                    tracing::error!("the disk is full: nothing can be recorded or changed, until there is room");
                    self.disk_filled.notify_one();
                }
            }
            Some(StoreError::Other(error)) => tracing::error!("the journal cannot be written: {error:#}"),
            Some(StoreError::NotFound | StoreError::Conflict(_)) => {}
        }
    }

    /// Whether the last write found no room.
    pub fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Acquire)
    }

    /// The last event.
    pub fn last(&self) -> EventId {
        EventId { epoch: self.epoch, seq: self.last.load(Ordering::Acquire) }
    }

    /// Begins to watch: what to begin with, and the live events, of which those that `Start` brought must be left out.
    pub async fn watch(&self, since: EventId) -> Result<(Start, broadcast::Receiver<Published>), StoreError> {
        let live = self.live.subscribe();
        let floor = self.floor.load(Ordering::Acquire);
        if since.epoch != self.epoch || since.seq < floor || since.seq > self.last.load(Ordering::Acquire) {
            return Ok((Start::Reset, live));
        }
        let limit = u32::try_from(WATCHERS_BEHIND).unwrap_or(u32::MAX);
        let stored = self.store.events_after(since.seq, limit + 1).await?;
        if stored.len() > WATCHERS_BEHIND {
            return Ok((Start::Reset, live));
        }
        let mut events: Vec<Published> =
            stored.into_iter().map(|(seq, body)| Published { seq, body: body.into() }).collect();
        {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            events.extend(recent.iter().filter(|event| event.seq > since.seq).cloned());
        }
        events.sort_by_key(|event| event.seq);
        events.dedup_by_key(|event| event.seq);
        Ok((Start::Resume(events), live))
    }

    /// Begins to watch from now on.
    pub fn watch_live(&self) -> broadcast::Receiver<Published> {
        self.live.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{grid::event::Kind, store::temporary};

    fn draft(name: &str) -> Draft {
        Draft::new(Kind::Trigger).actor(name)
    }

    async fn journal() -> (tempfile::TempDir, Arc<Journal>) {
        let (dir, store) = temporary().await;
        store.meta(None).await.unwrap();
        (dir, Journal::start(store, 1).await.unwrap())
    }

    #[tokio::test]
    async fn events_are_told_in_order_and_can_be_resumed() {
        let (_dir, journal) = journal().await;
        let mut live = journal.watch_live();
        journal.record(draft("a")).await.unwrap();
        journal.tell(draft("b"));
        let first = live.recv().await.unwrap();
        let second = live.recv().await.unwrap();
        assert!(first.seq < second.seq && second.body.contains("\"b\""));

        let (start, _) = journal.watch(EventId { epoch: 1, seq: first.seq }).await.unwrap();
        let Start::Resume(events) = start else { panic!("no resume") };
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [second.seq]);
    }

    #[tokio::test]
    async fn an_unknown_id_begins_anew() {
        let (_dir, journal) = journal().await;
        for since in [EventId { epoch: 2, seq: 1 }, EventId { epoch: 1, seq: 999_999 }] {
            assert!(matches!(journal.watch(since).await.unwrap().0, Start::Reset), "{since}");
        }
    }

    #[tokio::test]
    async fn a_change_that_fails_is_not_told() {
        let (_dir, journal) = journal().await;
        let mut live = journal.watch_live();
        let failed = journal.record_with(draft("a"), async |_| Err::<(), _>(StoreError::NotFound)).await;
        assert!(matches!(failed, Err(StoreError::NotFound)));
        journal.record(draft("b")).await.unwrap();
        assert!(live.recv().await.unwrap().body.contains("\"b\""));
    }
}
