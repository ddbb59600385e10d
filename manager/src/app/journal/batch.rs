//! Events that are recorded together.

use std::sync::Arc;

use super::{Journal, Published};
use crate::{grid::event::Draft, store::StoreError};

impl Journal {
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
