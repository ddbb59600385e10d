//! The one stream of events: numbers them, writes them down, and then tells everybody who watches.

mod batch;
mod figures;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::{report::InstanceReport, time::Timestamp};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use uuid::Uuid;

pub use self::figures::JournalFigures;
use self::{batch::Grouped, figures::Recorded, writer::Writer};
use crate::{
    grid::{
        event::{Draft, Event, EventId, Topic},
        fleet::LastLink,
    },
    store::{
        Store, StoreError,
        events::{EventRow, LastStatus},
    },
};

/// How many numbers are set aside at once.
const RESERVE: u64 = 100_000;

/// How many events may wait to be written.
const QUEUE: usize = 65_536;

/// How many events may wait to be recorded together.
const GROUPED: usize = 1024;

/// How many events a watcher may be behind before it must begin anew.
const WATCHERS_BEHIND: usize = 16_384;

/// How many events are kept in memory, so that a watcher can resume what the disk had no room for.
const RECENT: usize = 4096;

/// How many events are read from disk for one watcher that resumes; one that missed more begins anew, which is less.
const MOST_RESUMED: u32 = 2000;

/// How often a disk that was full is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// An event that everybody may see, written down once.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its number.
    pub seq: u64,
    /// The event as JSON.
    pub body: Arc<str>,
    /// Who may see it.
    pub topic: Arc<Topic>,
}

impl Published {
    /// An event as it is written down.
    fn of_body(seq: u64, body: String) -> Self {
        Self { seq, topic: Arc::new(Topic::of_body(&body)), body: body.into() }
    }
}

/// What a live watcher is told.
#[derive(Debug, Clone)]
pub enum Told {
    /// An event.
    Event(Published),
    /// What is only of the moment: it has no number, is not stored, and whoever was away never hears of it.
    Passing(Published),
    /// Events were lost before they had a number: whoever watches must begin anew with a snapshot.
    Lost,
}

/// The journal.
pub struct Journal {
    store: Store,
    epoch: u64,
    /// Numbers are handed out, written and told under this lock, so that nobody sees a later event before an earlier.
    sequence: tokio::sync::Mutex<Sequence>,
    queue: mpsc::Sender<Entry>,
    /// What is recorded together with what comes at the same time.
    grouped: mpsc::Sender<Grouped>,
    live: broadcast::Sender<Told>,
    // Held for moments only, never across an await.
    recent: Mutex<VecDeque<Recent>>,
    last: AtomicU64,
    floor: AtomicU64,
    disk_full: AtomicBool,
    disk_filled: Notify,
    disk_changed: Notify,
    dropped: AtomicBool,
    figures: Recorded,
}

struct Sequence {
    next: u64,
    end: u64,
}

/// An event in memory.
struct Recent {
    published: Published,
    /// When it happened, if it is not written down yet.
    unwritten: Option<Timestamp>,
}

enum Entry {
    Event(Box<Draft>),
    Status(Uuid, String, Option<Box<LastStatus>>),
    Link(Uuid, Box<LastLink>),
    End(oneshot::Sender<()>),
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
        let (grouped, groups) = mpsc::channel(GROUPED);
        let journal = Arc::new(Self {
            store,
            epoch,
            sequence: tokio::sync::Mutex::new(Sequence { next: first, end: first + RESERVE }),
            queue,
            grouped,
            live: broadcast::channel(WATCHERS_BEHIND).0,
            recent: Mutex::default(),
            last: AtomicU64::new(first - 1),
            floor: AtomicU64::new(floor),
            disk_full: AtomicBool::new(false),
            disk_filled: Notify::new(),
            disk_changed: Notify::new(),
            dropped: AtomicBool::new(false),
            figures: Recorded::default(),
        });
        tokio::spawn(Writer::new(journal.clone(), entries).run());
        tokio::spawn(journal.clone().record_groups(groups));
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

    /// Tells those who watch now what is only of the moment. It bears the id of the last event.
    pub fn pass(&self, draft: Draft) {
        if self.live.receiver_count() == 0 {
            return;
        }
        let topic = Arc::new(draft.topic());
        let EventRow { seq, body, .. } =
            EventRow::of(self.last().seq, &Event { id: self.last().to_string(), at: Timestamp::now(), draft });
        // Whoever watched may just have gone.
        let _nobody = self.live.send(Told::Passing(Published { seq, body: body.into(), topic }));
    }

    /// Remembers what is last known of an instance.
    pub fn remember(&self, machine: Uuid, now: Timestamp, report: &InstanceReport) {
        let since = now.before(Duration::from_millis(report.age_ms));
        let status = LastStatus { machine, at: now, since, report: report.clone() };
        // What is not remembered now will be with the next report.
        let _full = self.queue.try_send(Entry::Status(machine, report.base.clone(), Some(Box::new(status))));
    }

    /// Forgets an instance that is gone.
    pub fn forget(&self, machine: Uuid, base: &str) {
        // What is not forgotten now will be with the next hello.
        let _full = self.queue.try_send(Entry::Status(machine, base.to_owned(), None));
    }

    /// Remembers what is last known of an agent's link.
    pub fn remember_link(&self, machine: Uuid, link: LastLink) {
        // After a start without it the agent is waited for.
        let _full = self.queue.try_send(Entry::Link(machine, Box::new(link)));
    }

    /// Writes what waits to be written. What is told afterwards is told, and not written.
    pub async fn end(&self) {
        self.recorded().await;
        let (done, ended) = oneshot::channel();
        if self.queue.send(Entry::End(done)).await.is_ok() {
            // A writer that is gone has nothing left to write.
            let _gone = ended.await;
        }
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
        let topic = Arc::new(draft.topic());
        let row = self.number(&mut sequence, draft).await?;
        let published = Published { seq: row.seq, body: row.body.as_str().into(), topic };
        let written = write(row).await?;
        self.note_disk(None);
        self.publish(published, None);
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

    fn publish(&self, published: Published, unwritten: Option<Timestamp>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= RECENT
            && let Some(oldest) = recent.pop_front()
            && oldest.unwritten.is_some()
        {
            // It was nowhere else.
            self.raise_floor(oldest.published.seq);
        }
        recent.push_back(Recent { published: published.clone(), unwritten });
        self.last.store(published.seq, Ordering::Release);
        self.figures.count(published.topic.kind);
        // Nobody may be watching.
        let _nobody = self.live.send(Told::Event(published));
    }

    /// Tells whoever watches, now or later, that events were lost up to here.
    fn tell_loss(&self) {
        self.raise_floor(self.last.load(Ordering::Acquire));
        self.figures.losses.count();
        let _nobody = self.live.send(Told::Lost);
    }

    /// The events that are in memory only.
    fn unwritten(&self) -> Vec<EventRow> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |event: &Recent| {
            let Published { seq, body, .. } = &event.published;
            event.unwritten.map(|at| EventRow { seq: *seq, at, body: body.to_string(), deed: None })
        };
        recent.iter().filter_map(row).collect()
    }

    fn note_written(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter_mut().for_each(|event| event.unwritten = None);
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
                    self.disk_changed.notify_one();
                }
            }
            Some(StoreError::DiskFull) => {
                if !self.disk_full.swap(true, Ordering::AcqRel) {
                    tracing::error!("the disk is full: nothing can be recorded or changed, until there is room");
                    self.disk_filled.notify_one();
                    self.disk_changed.notify_one();
                }
            }
            Some(StoreError::Other(error)) => tracing::error!("the journal cannot be written: {error:#}"),
            Some(StoreError::NotFound | StoreError::Conflict(_)) => {}
        }
    }

    /// Waits until the disk has filled up, or has room again.
    pub async fn disk_changed(&self) {
        self.disk_changed.notified().await;
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
    pub async fn watch(&self, since: EventId) -> Result<(Start, broadcast::Receiver<Told>), StoreError> {
        let live = self.live.subscribe();
        let is_gone = || since.seq < self.floor.load(Ordering::Acquire);
        if since.epoch != self.epoch || is_gone() || since.seq > self.last.load(Ordering::Acquire) {
            return Ok((Start::Reset, live));
        }
        if let Some(events) = self.recent_after(since.seq) {
            return Ok((Start::Resume(events), live));
        }
        let stored = self.store.events_after(since.seq, MOST_RESUMED + 1).await?;
        if stored.len() > MOST_RESUMED as usize {
            return Ok((Start::Reset, live));
        }
        let mut events: Vec<Published> = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.iter().map(|event| &event.published).filter(|event| event.seq > since.seq).cloned().collect()
        };
        // Those in memory are shared by all who watch, and stay before those that were read.
        events.extend(stored.into_iter().map(|(seq, body)| Published::of_body(seq, body)));
        // What was in memory only may have left it after the first look.
        if is_gone() {
            return Ok((Start::Reset, live));
        }
        events.sort_by_key(|event| event.seq);
        events.dedup_by_key(|event| event.seq);
        Ok((Start::Resume(events), live))
    }

    /// All events after a number, if all of them are in memory.
    pub fn recent_after(&self, seq: u64) -> Option<Vec<Published>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.front().filter(|oldest| oldest.published.seq <= seq.saturating_add(1))?;
        let from = recent.partition_point(|event| event.published.seq <= seq);
        Some(recent.range(from..).map(|event| event.published.clone()).collect())
    }

    /// How often events were lost before they had a number.
    pub fn losses(&self) -> u64 {
        self.figures.losses.get()
    }

    /// Begins to watch from now on.
    pub fn watch_live(&self) -> broadcast::Receiver<Told> {
        self.live.subscribe()
    }
}
