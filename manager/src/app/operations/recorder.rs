//! The one writer of steps and logs: what comes while a commit is under way is one commit afterwards; when it is idle,
//! it writes at once. Only what is written is shown, but for what happened while the disk takes nothing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use protocol::time::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::live::Live;
use crate::{
    app::journal::Journal,
    grid::operation::{StepState, view::LogLine},
    store::{
        Store, StoreError,
        operations::{StepWrite, StoredStep},
    },
};

/// How many changes may wait to be written; more, and who makes them waits.
const QUEUE: usize = 16_384;

/// How many changes are written at once.
const BATCH: usize = 4096;

/// How long after a write that failed it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long steps are tried again that cannot be written while others can, before they are given up.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The most lines of logs that wait for a disk that takes nothing.
const OWED_LINES: usize = 10_000;

/// The most bytes of them.
const OWED_BYTES: usize = 16 * 1024 * 1024;

/// Why a step was not stored, in words for its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotStored(pub String);

/// How a step changes.
#[derive(Debug)]
pub(super) enum Change {
    /// It begins; with the id of what is sent for it.
    Begin { order: Option<Uuid>, message: String },
    /// What is going on is another.
    Note(String),
    /// It ends.
    End { state: StepState, message: String },
}

enum Entry {
    Step {
        live: Arc<Live>,
        number: u32,
        at: Timestamp,
        change: Change,
        stored: Option<oneshot::Sender<Result<(), NotStored>>>,
    },
    Line {
        live: Arc<Live>,
        step: u32,
        at: Timestamp,
        text: String,
    },
    /// Answered when everything before it is on disk.
    Flush(oneshot::Sender<Result<(), NotStored>>),
    /// Nothing after it is taken: the manager ends.
    Freeze(oneshot::Sender<()>),
}

/// Hands changes to the writer.
#[derive(Clone)]
pub struct Recorder(mpsc::Sender<Entry>);

impl Recorder {
    /// Starts the writer.
    pub fn start(store: Store, journal: Arc<Journal>) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        tokio::spawn(Writer::over(store, journal, entries).run());
        Self(queue)
    }

    async fn send(&self, entry: Entry) {
        // A writer that is gone goes with the manager.
        let _gone = self.0.send(entry).await;
    }

    /// A step begins for which something is sent; returns when it is on disk.
    pub async fn begin_sending(&self, live: &Arc<Live>, number: u32, order: Uuid) -> Result<(), NotStored> {
        let (stored, is_stored) = oneshot::channel();
        let change = Change::Begin { order: Some(order), message: String::new() };
        self.send(Entry::Step { live: live.clone(), number, at: Timestamp::now(), change, stored: Some(stored) }).await;
        is_stored.await.unwrap_or_else(|_| Err(NotStored("the manager ends".to_owned())))
    }

    /// A step changes.
    pub(super) async fn change(&self, live: &Arc<Live>, number: u32, change: Change) {
        self.send(Entry::Step { live: live.clone(), number, at: Timestamp::now(), change, stored: None }).await;
    }

    /// Adds to the log of an operation.
    pub async fn line(&self, live: &Arc<Live>, step: u32, text: impl Into<String>) {
        self.send(Entry::Line { live: live.clone(), step, at: Timestamp::now(), text: text.into() }).await;
    }

    /// The same where nothing can be waited for; a line that finds no room is lost, and `false` says so.
    pub fn line_now(&self, live: &Arc<Live>, step: u32, text: &str) -> bool {
        let entry = Entry::Line { live: live.clone(), step, at: Timestamp::now(), text: text.to_owned() };
        self.0.try_send(entry).is_ok()
    }

    /// Waits until everything that was handed over before is on disk.
    pub async fn flush(&self) -> Result<(), NotStored> {
        let (done, written) = oneshot::channel();
        self.send(Entry::Flush(done)).await;
        written.await.unwrap_or_else(|_| Err(NotStored("the manager ends".to_owned())))
    }

    /// Writes what was handed over before, and takes nothing else.
    pub async fn freeze(&self) {
        let (done, frozen) = oneshot::channel();
        self.send(Entry::Freeze(done)).await;
        let _gone = frozen.await;
    }
}

struct Writer {
    store: Store,
    journal: Arc<Journal>,
    entries: mpsc::Receiver<Entry>,
    /// What happened and is not written yet.
    owed: BTreeMap<(Uuid, u32), StepWrite>,
    owed_lines: Vec<(Uuid, LogLine)>,
    /// Since when there are steps that cannot be written while others can.
    failing: Option<Instant>,
    frozen: bool,
}

/// Who waits until something is stored.
type Waiting = Vec<oneshot::Sender<Result<(), NotStored>>>;

/// A step that changes.
struct Touched {
    live: Arc<Live>,
    step: StoredStep,
    waiting: Waiting,
    /// The place of its last change among all of the batch.
    last: usize,
}

/// What a batch comes to.
#[derive(Default)]
struct Batch {
    steps: Vec<Touched>,
    /// How many changes there were.
    changes: usize,
    at: HashMap<(Uuid, u32), usize>,
    /// The lines with their places.
    lines: Vec<(Arc<Live>, LogLine, usize)>,
    flushes: Waiting,
    freezes: Vec<oneshot::Sender<()>>,
}

impl Writer {
    fn over(store: Store, journal: Arc<Journal>, entries: mpsc::Receiver<Entry>) -> Self {
        Self { store, journal, entries, owed: BTreeMap::new(), owed_lines: Vec::new(), failing: None, frozen: false }
    }

    async fn run(mut self) {
        let mut entries = Vec::with_capacity(256);
        loop {
            let received = self.entries.recv_many(&mut entries, BATCH);
            let count = if self.owed.is_empty() && self.owed_lines.is_empty() {
                received.await
            } else {
                // Nothing came in time: what is owed is tried again.
                tokio::time::timeout(RETRY, received).await.unwrap_or(1)
            };
            if count == 0 {
                return;
            }
            let mut batch = Batch::default();
            for entry in entries.drain(..) {
                self.take(&mut batch, entry);
            }
            self.write(batch).await;
        }
    }

    fn take(&mut self, batch: &mut Batch, entry: Entry) {
        match entry {
            Entry::Step { stored, .. } if self.frozen => {
                if let Some(stored) = stored {
                    let _gone = stored.send(Err(NotStored("the manager ends".to_owned())));
                }
            }
            Entry::Line { .. } if self.frozen => {}
            Entry::Step { live, number, at, change, stored } => batch.step(live, number, at, change, stored),
            Entry::Line { live, step, at, text } => {
                if let Some(line) = live.number(at, step, text) {
                    batch.changes += 1;
                    batch.lines.push((live, line, batch.changes));
                }
            }
            Entry::Flush(done) if self.frozen => drop(done.send(Err(NotStored("the manager ends".to_owned())))),
            Entry::Flush(done) => batch.flushes.push(done),
            Entry::Freeze(done) => {
                self.frozen = true;
                batch.freezes.push(done);
            }
        }
    }

    async fn write(&mut self, batch: Batch) {
        let Batch { mut steps, lines, flushes, freezes, .. } = batch;
        // As it happened: what ends within the batch ends after its parts.
        steps.sort_by_key(|touched| touched.last);
        let mut rows = self.owed.clone();
        rows.extend(steps.iter().map(|Touched { live, step, .. }| ((live.id, step.view.number), row(live.id, step))));
        let rows: Vec<StepWrite> = rows.into_values().collect();
        let added: Vec<_> = lines.iter().map(|(live, line, _)| (live.id, line.clone())).collect();
        let all_lines = [std::mem::take(&mut self.owed_lines), added].concat();
        let written = match rows.is_empty() && all_lines.is_empty() {
            true => Ok(Vec::new()),
            false => self.put_on_disk(&rows, &all_lines).await,
        };
        if steps.iter().any(|Touched { step, .. }| step.view.state.is_ended()) {
            fail::fail_point!("step_end_stored", |_| std::process::abort());
        }
        let outcome = match &written {
            Ok(lost) => {
                // A step that waits to be stored is not begun.
                let not_begun = steps.iter().filter(|touched| !touched.waiting.is_empty());
                let not_begun: HashSet<_> = not_begun.map(|one| (one.live.id, one.step.view.number)).collect();
                self.try_again(rows, |row| lost.contains(row) && !not_begun.contains(row));
                Ok(())
            }
            Err(error) => Err(self.not_written(error)),
        };
        if outcome.is_err() {
            self.owed_lines = all_lines;
            self.owed_lines.truncate(owed(&self.owed_lines));
        }
        let lost = written.unwrap_or_default();
        let mut lines = lines.into_iter().peekable();
        for Touched { live, step, waiting, last } in steps {
            while let Some((live, line, _)) = lines.next_if(|(_, _, place)| *place < last) {
                live.put([], [line]);
            }
            if outcome.is_err() {
                // A step that waits to be stored is not begun.
                if !waiting.is_empty() {
                    waiting.into_iter().for_each(|stored| drop(stored.send(outcome.clone())));
                    continue;
                }
                self.owed.insert((live.id, step.view.number), row(live.id, &step));
            }
            let stored = match lost.contains(&(live.id, step.view.number)) {
                true => Err(NotStored("the manager cannot write it: its log says why".to_owned())),
                false => Ok(()),
            };
            if stored.is_ok() || waiting.is_empty() {
                live.put([step], []);
            }
            waiting.into_iter().for_each(|waits| drop(waits.send(stored.clone())));
        }
        for (live, line, _) in lines {
            live.put([], [line]);
        }
        let flushed = match outcome {
            Ok(()) if !self.owed.is_empty() => {
                Err(NotStored("the manager cannot write all of its steps: its log says why".to_owned()))
            }
            outcome => outcome,
        };
        flushes.into_iter().for_each(|done| drop(done.send(flushed.clone())));
        for done in freezes {
            // Whoever asked may have gone.
            let _gone = done.send(());
        }
    }

    /// Keeps steps that could not be written while others could: what stands against them may pass. What does not must
    /// stop nothing else for ever.
    fn try_again(&mut self, rows: Vec<StepWrite>, is_lost: impl Fn(&(Uuid, u32)) -> bool) {
        let keyed = rows.into_iter().map(|row| ((row.operation, row.number), row));
        self.owed = keyed.filter(|(key, _)| is_lost(key)).collect();
        self.failing = if self.owed.is_empty() { None } else { self.failing.or_else(|| Some(Instant::now())) };
        if self.failing.is_some_and(|since| since.elapsed() >= GIVE_UP) {
            self.owed.clear();
            self.failing = None;
        }
    }

    fn not_written(&self, error: &StoreError) -> NotStored {
        if !matches!(error, StoreError::DiskFull) {
            tracing::error!("steps of operations cannot be written: {error}");
        }
        NotStored(match error {
            StoreError::DiskFull => "the manager's disk is full".to_owned(),
            _ => "the manager cannot write: its log says why".to_owned(),
        })
    }

    /// Writes steps and lines. Where something else than the disk's room stands against it, what cannot be written is
    /// left out, so that it stops nothing else; the steps among that are returned.
    async fn put_on_disk(&self, rows: &[StepWrite], lines: &[(Uuid, LogLine)]) -> Result<Vec<(Uuid, u32)>, StoreError> {
        let error = match self.journal.noting(self.store.write_steps(rows, lines).await) {
            Ok(()) => return Ok(Vec::new()),
            Err(StoreError::DiskFull) => return Err(StoreError::DiskFull),
            Err(error) => error,
        };
        // Whether anything can be written at all: the smallest thing that is another each time.
        if self.journal.noting(self.store.reserve_sequence(1).await).is_err() {
            return Err(error);
        }
        let mut lost = Vec::new();
        // Halved again and again, what is wrong is found in few writes.
        let mut left = vec![(rows, lines)];
        while let Some((rows, lines)) = left.pop() {
            match self.store.write_steps(rows, lines).await {
                Ok(()) => {}
                Err(StoreError::DiskFull) => return Err(StoreError::DiskFull),
                Err(error) => match (rows, lines) {
                    ([row], []) => {
                        let StepWrite { operation, number, .. } = row;
                        tracing::error!("the step {number} of the operation {operation} cannot be written: {error}");
                        lost.push((*operation, *number));
                    }
                    ([], [(operation, line)]) => {
                        let number = line.number;
                        tracing::error!("the line {number} of the operation {operation} cannot be written: {error}");
                    }
                    ([], lines) => left.extend({
                        let (first, second) = lines.split_at(lines.len() / 2);
                        [(rows, second), (rows, first)]
                    }),
                    (rows, []) => left.extend({
                        let (first, second) = rows.split_at(rows.len() / 2);
                        [(second, lines), (first, lines)]
                    }),
                    (rows, lines) => left.extend([(&[][..], lines), (rows, &[][..])]),
                },
            }
        }
        Ok(lost)
    }
}

/// How many of the lines that wait are kept.
fn owed(lines: &[(Uuid, LogLine)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, line): &&(Uuid, LogLine)| {
        bytes += line.text.len();
        bytes <= OWED_BYTES
    };
    lines.iter().take(OWED_LINES).take_while(fits).count()
}

fn row(operation: Uuid, step: &StoredStep) -> StepWrite {
    let view = &step.view;
    StepWrite {
        operation,
        number: view.number,
        state: view.state,
        message: view.message.clone(),
        order: step.order,
        started_at: view.started_at,
        ended_at: view.ended_at,
    }
}

impl Batch {
    fn step(
        &mut self,
        live: Arc<Live>,
        number: u32,
        at: Timestamp,
        change: Change,
        stored: Option<oneshot::Sender<Result<(), NotStored>>>,
    ) {
        let place = match self.at.get(&(live.id, number)) {
            Some(place) => *place,
            None => {
                let Some(step) = live.step(number) else { return };
                self.at.insert((live.id, number), self.steps.len());
                self.steps.push(Touched { live, step, waiting: Vec::new(), last: 0 });
                self.steps.len() - 1
            }
        };
        self.changes += 1;
        let Some(Touched { step, waiting, last, .. }) = self.steps.get_mut(place) else { return };
        *last = self.changes;
        let view = &mut step.view;
        match change {
            Change::Begin { order, message } => {
                view.state = StepState::Running;
                view.message = message;
                // What is taken up again began when it began.
                view.started_at = view.started_at.or(Some(at));
                step.order = order.or(step.order);
            }
            Change::Note(message) => view.message = message,
            Change::End { state, message } => {
                view.state = state;
                view.message = message;
                view.ended_at = Some(at);
            }
        }
        waiting.extend(stored);
    }
}

#[cfg(test)]
mod tests;
