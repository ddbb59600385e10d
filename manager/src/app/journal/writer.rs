//! Writes the journal's history: at once when it is idle, and what came meanwhile as one batch when it is busy.

use std::sync::{Arc, atomic::Ordering};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{Entry, Journal, Published, RETRY};
use crate::store::events::{EventRow, Memory};

/// How many events are written at once.
const BATCH: usize = 1000;

/// How many events go by between two looks at the size of the history.
const TRIM_EVERY: usize = 10_000;

/// The one task that writes.
pub(super) struct Writer {
    journal: Arc<Journal>,
    entries: mpsc::Receiver<Entry>,
    /// What is to be remembered, and is not written yet.
    memory: Memory,
    since_trim: usize,
    /// When a history that could not be written is tried again.
    retry: Option<Instant>,
    /// How many entries came before a loss, and are not told yet.
    before_loss: Option<usize>,
}

impl Writer {
    pub(super) fn new(journal: Arc<Journal>, entries: mpsc::Receiver<Entry>) -> Self {
        Self { journal, entries, memory: Memory::default(), since_trim: 0, retry: None, before_loss: None }
    }

    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.next_batch(&mut batch).await;
            let count = batch.len();
            self.journal.figures.begins_to_write();
            let (drafts, ended) = self.sort(&mut batch);
            let journal = self.journal.clone();
            let mut sequence = journal.sequence.lock().await;
            let mut events = Vec::with_capacity(drafts.len());
            let mut topics = Vec::with_capacity(drafts.len());
            for draft in drafts {
                let topic = Arc::new(draft.topic());
                match journal.number(&mut sequence, draft).await {
                    Ok(row) => {
                        events.push(row);
                        topics.push(topic);
                    }
                    Err(error) => {
                        journal.note_disk(Some(&error));
                        journal.dropped.store(true, Ordering::Release);
                    }
                }
            }
            let written = self.write(&events, ended.is_some()).await;
            self.since_trim += events.len();
            for (EventRow { seq, at, body, .. }, topic) in events.into_iter().zip(topics) {
                // What the disk had no room for is told all the same, and can be resumed from memory for a while.
                journal.publish(Published { seq, body: body.into(), topic }, (!written).then_some(at));
            }
            self.tell_loss(count);
            drop(sequence);
            self.journal.figures.has_written();
            if let Some(ended) = ended {
                // Whoever asked may have gone.
                let _gone = ended.send(());
                return;
            }
            self.trim().await;
        }
    }

    /// Waits for entries, or until what could not be written is to be tried again.
    async fn next_batch(&mut self, batch: &mut Vec<Entry>) {
        let entries = self.entries.recv_many(batch, BATCH);
        match self.retry {
            // The journal holds the other end, so entries come to no end.
            None => drop(entries.await),
            // Nothing came in time.
            Some(retry) => drop(tokio::time::timeout_at(retry, entries).await),
        }
    }

    /// Takes the events out of a batch, and what is to be remembered into memory.
    fn sort(&mut self, batch: &mut Vec<Entry>) -> (Vec<crate::grid::event::Draft>, Option<oneshot::Sender<()>>) {
        let (mut drafts, mut ended) = (Vec::new(), None);
        for entry in batch.drain(..) {
            match entry {
                Entry::Event(draft) => drafts.push(*draft),
                Entry::Status(machine, base, status) => {
                    self.memory.statuses.insert((machine, base), status.map(|status| *status));
                }
                Entry::Link(machine, link) => {
                    self.memory.links.insert(machine, *link);
                }
                Entry::End(done) => ended = Some(done),
            }
        }
        (drafts, ended)
    }

    /// Writes events, with those that could not be written before. A disk that was full is not tried with every batch.
    async fn write(&mut self, events: &[EventRow], is_last: bool) -> bool {
        let now = Instant::now();
        if !is_last && self.retry.is_some_and(|retry| now < retry) {
            return false;
        }
        let mut all = if self.retry.is_some() { self.journal.unwritten() } else { Vec::new() };
        all.extend_from_slice(events);
        let floor = self.journal.floor.load(Ordering::Acquire);
        let written = self.journal.store.add_history(&all, &self.memory, floor).await;
        self.journal.note_disk(written.as_ref().err());
        if written.is_err() {
            self.retry = Some(now + RETRY);
            return false;
        }
        if self.retry.take().is_some() {
            self.journal.note_written();
        }
        self.memory = Memory::default();
        true
    }

    /// Says that events were lost, once everything that came before them is told.
    fn tell_loss(&mut self, told: usize) {
        let before = match self.before_loss.take() {
            Some(before) => before.saturating_sub(told),
            None if self.journal.dropped.swap(false, Ordering::AcqRel) => self.entries.len(),
            None => return,
        };
        match before {
            0 => self.journal.tell_loss(),
            before => self.before_loss = Some(before),
        }
    }

    async fn trim(&mut self) {
        if self.since_trim < TRIM_EVERY || self.retry.is_some() {
            return;
        }
        self.since_trim = 0;
        match self.journal.store.trim_history().await {
            Ok(floor) => self.journal.raise_floor(floor),
            Err(error) => self.journal.note_disk(Some(&error)),
        }
    }
}
