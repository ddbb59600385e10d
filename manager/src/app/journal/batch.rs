//! Events that are recorded together.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Journal, Published, Sequence};
use crate::{
    grid::event::Draft,
    store::{StoreError, events::EventRow},
};

/// How many events are recorded together at most.
const BATCH: usize = 256;

/// What waits to be recorded together with others.
pub(super) enum Grouped {
    /// An event, and who waits until it is on disk.
    Event(Box<Draft>, Option<oneshot::Sender<Result<(), StoreError>>>),
    /// Answered when everything before it is on disk.
    Flush(oneshot::Sender<()>),
}

impl Journal {
    /// Records an event that must not be lost, together with those that come at the same time; returns when it is on
    /// disk.
    pub async fn record_grouped(&self, draft: Draft) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        let gone = || StoreError::Other(anyhow::anyhow!("the journal has ended"));
        let sent = self.grouped.send(Grouped::Event(Box::new(draft), Some(done))).await;
        sent.map_err(|_| gone())?;
        written.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Has an event recorded soon, in its turn; that it cannot be is logged.
    pub async fn record_soon(&self, draft: Draft) {
        // A journal that has ended goes with the manager.
        let _gone = self.grouped.send(Grouped::Event(Box::new(draft), None)).await;
    }

    /// Waits until what is to be recorded soon is.
    pub async fn recorded(&self) {
        let (done, written) = oneshot::channel();
        if self.grouped.send(Grouped::Flush(done)).await.is_ok() {
            // What cannot be recorded was logged.
            let _gone = written.await;
        }
    }

    /// Records what comes, in batches.
    pub(super) async fn record_groups(self: Arc<Self>, mut entries: mpsc::Receiver<Grouped>) {
        let mut batch = Vec::with_capacity(BATCH);
        while entries.recv_many(&mut batch, BATCH).await > 0 {
            let (mut drafts, mut waiting, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
            for entry in batch.drain(..) {
                match entry {
                    Grouped::Event(draft, done) => {
                        drafts.push(*draft);
                        waiting.push(done);
                    }
                    Grouped::Flush(done) => flushes.push(done),
                }
            }
            let outcomes = if drafts.is_empty() { Vec::new() } else { self.record_each(drafts).await };
            for (done, outcome) in waiting.into_iter().zip(outcomes) {
                // Whoever waited may have gone.
                let _gone = done.map(|done| done.send(outcome));
            }
            for done in flushes {
                let _gone = done.send(());
            }
        }
    }

    /// Records events that must not be lost, in one transaction; returns when all of them are on disk.
    pub async fn record_all(&self, drafts: Vec<Draft>) -> Result<(), StoreError> {
        let mut sequence = self.sequence.lock().await;
        let (rows, published) = self.numbered(&mut sequence, drafts).await?;
        self.noting(self.store.record_all(&rows).await)?;
        published.into_iter().for_each(|event| self.publish(event, None));
        Ok(())
    }

    /// Records events together, and if that fails one by one, so that one which cannot be written takes no other with it.
    async fn record_each(&self, drafts: Vec<Draft>) -> Vec<Result<(), StoreError>> {
        let count = drafts.len();
        let mut sequence = self.sequence.lock().await;
        let (rows, published) = match self.numbered(&mut sequence, drafts).await {
            Ok(numbered) => numbered,
            Err(error) => {
                tracing::error!("{count} events cannot be recorded: {error}");
                return (0..count).map(|_| Err(again(&error))).collect();
            }
        };
        let together = self.noting(self.store.record_all(&rows).await);
        let mut outcomes = Vec::with_capacity(count);
        for (row, event) in rows.into_iter().zip(published) {
            let outcome = match &together {
                Ok(()) => Ok(()),
                Err(StoreError::DiskFull) => Err(StoreError::DiskFull),
                Err(_) => self.noting(self.store.record_all(std::slice::from_ref(&row)).await),
            };
            match &outcome {
                Ok(()) => self.publish(event, None),
                Err(error) => tracing::error!("the event {} cannot be recorded: {error}", row.seq),
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Events with their numbers, as they are stored and as they are told.
    async fn numbered(
        &self,
        sequence: &mut Sequence,
        drafts: Vec<Draft>,
    ) -> Result<(Vec<EventRow>, Vec<Published>), StoreError> {
        let (mut rows, mut published) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
        for draft in drafts {
            let topic = Arc::new(draft.topic());
            let row = self.number(sequence, draft).await?;
            published.push(Published { seq: row.seq, body: row.body.as_str().into(), topic });
            rows.push(row);
        }
        Ok((rows, published))
    }
}

/// The same error for somebody else.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::DiskFull => StoreError::DiskFull,
        error => StoreError::Other(anyhow::anyhow!("{error}")),
    }
}
