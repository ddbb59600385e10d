//! Events that are recorded together.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Journal, Published};
use crate::{grid::event::Draft, store::StoreError};

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
            let written = if drafts.is_empty() { Ok(()) } else { self.record_all(drafts).await };
            if let Err(error) = &written {
                tracing::error!("{} events cannot be recorded: {error}", waiting.len());
            }
            for done in waiting.into_iter().flatten() {
                let outcome = match &written {
                    Ok(()) => Ok(()),
                    Err(StoreError::DiskFull) => Err(StoreError::DiskFull),
                    Err(error) => Err(StoreError::Other(anyhow::anyhow!("{error}"))),
                };
                // Whoever waited may have gone.
                let _gone = done.send(outcome);
            }
            for done in flushes {
                let _gone = done.send(());
            }
        }
    }

    /// Records events that must not be lost, in one transaction; returns when all of them are on disk.
    pub async fn record_all(&self, drafts: Vec<Draft>) -> Result<(), StoreError> {
        let mut sequence = self.sequence.lock().await;
        let (mut rows, mut published) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
        for draft in drafts {
            let topic = Arc::new(draft.topic());
            let row = self.number(&mut sequence, draft).await?;
            published.push(Published { seq: row.seq, body: row.body.as_str().into(), topic });
            rows.push(row);
        }
        self.noting(self.store.record_all(&rows).await)?;
        for event in published {
            self.publish(event, None);
        }
        Ok(())
    }
}
