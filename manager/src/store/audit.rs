//! The audit: appended to, and never changed.

use protocol::time::Timestamp;
use sqlx::SqliteConnection;

use super::{Result, Store};
use crate::grid::audit::{BEGINNING, Deed, Link};

/// Appends a record within a transaction of `grid.db`, which has one writer, so the chain cannot fork.
pub(super) async fn insert(connection: &mut SqliteConnection, at: Timestamp, deed: &Deed) -> Result<()> {
    let last: Option<(i64, Vec<u8>)> = sqlx::query_as("select seq, hash from audit order by seq desc limit 1")
        .fetch_optional(&mut *connection)
        .await?;
    let (last, before) = last.unwrap_or_default();
    let seq = last + 1;
    let before = Link::try_from(before).unwrap_or(BEGINNING);
    let link = deed.link(&before, u64::try_from(seq).unwrap_or(0), at);
    sqlx::query(
        "insert into audit (seq, at, actor, credential, origin, action, subject, outcome, detail, hash) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(seq)
    .bind(at.as_millis())
    .bind(&deed.actor)
    .bind(&deed.credential)
    .bind(&deed.from)
    .bind(&deed.action)
    .bind(&deed.subject)
    .bind(&deed.outcome)
    .bind(&deed.detail)
    .bind(&link[..])
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Records something that was done, without an event.
    pub async fn record_deed(&self, at: Timestamp, deed: &Deed) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        insert(&mut tx, at, deed).await?;
        tx.commit().await?;
        Ok(())
    }
}
