//! The audit: appended to, read and checked, and never changed.

use std::time::Duration;

use protocol::time::Timestamp;
use sqlx::SqliteConnection;

use super::{Result, Store};
use crate::grid::{
    audit::{AuditFilter, AuditRecord, BEGINNING, Deed, Link},
    chain::{Checker, Head, Stored, Verdict, hex},
};

/// The most bytes of a field that are looked at in a check: more than the audit writes.
const FIELD: i64 = 8192;

/// By how much the host's clock may have been set back between two records.
const CLOCK: Duration = Duration::from_secs(24 * 3600);

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    at: i64,
    actor: String,
    credential: String,
    origin: String,
    action: String,
    subject: String,
    outcome: String,
    detail: String,
    hash: Vec<u8>,
}

impl From<Row> for AuditRecord {
    fn from(row: Row) -> Self {
        Self {
            seq: u64::try_from(row.seq).unwrap_or(0),
            at: Timestamp::from_millis(row.at),
            actor: row.actor,
            credential: Some(row.credential).filter(|credential| !credential.is_empty()),
            from: row.origin,
            action: row.action,
            subject: row.subject,
            outcome: row.outcome,
            detail: row.detail,
            hash: hex(&row.hash),
        }
    }
}

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

    /// The latest records that fit, before one, newest first; and before which one to go on, if there are more or may
    /// be. Looks at so many records and no more.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
        scan: u32,
    ) -> Result<(Vec<AuditRecord>, Option<u64>)> {
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let oldest: Option<(i64,)> =
            sqlx::query_as("select seq from audit where seq < ? order by seq desc limit 1 offset ?")
                .bind(before)
                .bind(scan.saturating_sub(1))
                .fetch_optional(&self.grid.read)
                .await?;
        let oldest = oldest.map(|(seq,)| seq);
        // Clocks are set back by less than that: what is older is not looked through.
        let too_old: Option<(i64,)> = match filter.since {
            None => None,
            Some(since) => {
                sqlx::query_as("select seq from audit where seq = ? and at < ?")
                    .bind(oldest)
                    .bind(since.before(CLOCK).as_millis())
                    .fetch_optional(&self.grid.read)
                    .await?
            }
        };
        // Between blanks and commas a subject that is one of several is found, and a part of a name is not.
        let rows: Vec<Row> = sqlx::query_as(
            "select seq, at, actor, credential, origin, action, subject, outcome, detail, hash from audit \
             where seq < ?1 and seq >= ?2 and (?3 is null or actor = ?3) and (?4 is null or action = ?4) \
             and (?5 is null or outcome = ?5) \
             and (?6 is null or instr(', ' || subject || ', ', ', ' || ?6 || ', ') > 0) \
             and (?7 is null or at >= ?7) and (?8 is null or at <= ?8) order by seq desc limit ?9",
        )
        .bind(before)
        .bind(oldest.unwrap_or(i64::MIN))
        .bind(&filter.actor)
        .bind(&filter.action)
        .bind(&filter.outcome)
        .bind(&filter.subject)
        .bind(filter.since.map(Timestamp::as_millis))
        .bind(filter.until.map(Timestamp::as_millis))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.grid.read)
        .await?;
        let mut records: Vec<AuditRecord> = rows.into_iter().map(AuditRecord::from).collect();
        let is_more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next = match is_more {
            true => records.last().map(|record| record.seq),
            false if too_old.is_some() => None,
            false => oldest.and_then(|oldest| u64::try_from(oldest).ok()),
        };
        Ok((records, next))
    }

    /// Checks the whole chain as it is now, so many records at a time.
    pub async fn check_audit(&self, expect: Option<Head>, batch: u32) -> Result<Verdict> {
        let mut checker = Checker::new(expect);
        let (end,): (Option<i64>,) = sqlx::query_as("select max(seq) from audit").fetch_one(&self.grid.read).await?;
        let mut next = Some(i64::MIN);
        // What is appended meanwhile is left to the next check.
        while let Some(from) = next.filter(|next| end.is_some_and(|end| *next <= end)) {
            let records = self.stored_records(from, batch).await?;
            if records.is_empty() || !records.iter().all(|record| checker.take(record)) {
                break;
            }
            next = records.last().and_then(|record| record.seq.checked_add(1));
        }
        Ok(checker.finish())
    }

    /// Records from one on, as they are stored: texts that are none or too long cannot keep them from being judged.
    async fn stored_records(&self, from: i64, limit: u32) -> Result<Vec<Stored>> {
        type Bytes = Vec<u8>;
        type Columns = (i64, i64, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes);
        let rows: Vec<Columns> = sqlx::query_as(
            "select seq, at, substr(cast(actor as blob), 1, ?1), substr(cast(credential as blob), 1, ?1), \
             substr(cast(origin as blob), 1, ?1), substr(cast(action as blob), 1, ?1), \
             substr(cast(subject as blob), 1, ?1), substr(cast(outcome as blob), 1, ?1), \
             substr(cast(detail as blob), 1, ?1), substr(hash, 1, ?1) from audit where seq >= ?2 order by seq limit ?3",
        )
        .bind(FIELD)
        .bind(from)
        .bind(limit)
        .fetch_all(&self.grid.read)
        .await?;
        let stored = |(seq, at, actor, credential, from, action, subject, outcome, detail, hash): Columns| {
            let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
            let deed = Deed {
                actor: text(actor),
                credential: text(credential),
                from: text(from),
                action: text(action),
                subject: text(subject),
                outcome: text(outcome),
                detail: text(detail),
            };
            Stored { seq, at, deed, hash }
        };
        Ok(rows.into_iter().map(stored).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    fn deed(actor: &str, subject: &str) -> Deed {
        let text = |text: &str| text.to_owned();
        Deed {
            actor: text(actor),
            credential: String::new(),
            from: text("10.0.0.7"),
            action: text("tag"),
            subject: text(subject),
            outcome: text("done"),
            detail: text("é"),
        }
    }

    async fn store() -> (tempfile::TempDir, Store) {
        let (dir, store) = temporary().await;
        for n in 0..10 {
            let actor = if n % 3 == 0 { "alice" } else { "bob" };
            store.record_deed(Timestamp::from_millis(n * 1000), &deed(actor, &format!("a@web-{n}, b"))).await.unwrap();
        }
        (dir, store)
    }

    fn numbers(records: &[AuditRecord]) -> Vec<u64> {
        records.iter().map(|record| record.seq).collect()
    }

    #[tokio::test]
    async fn the_parts_make_the_whole_however_little_is_looked_at() {
        let (_dir, store) = store().await;
        for (actor, expected) in
            [(None, (1..=10).rev().collect()), (Some("alice"), vec![10, 7, 4, 1]), (Some("x"), vec![])]
        {
            let filter = AuditFilter { actor: actor.map(str::to_owned), ..AuditFilter::default() };
            for (limit, scan) in [(1, 1), (2, 3), (3, 2), (100, 100), (2, 100), (5, 5), (10, 10)] {
                let (mut all, mut cursor, mut parts) = (Vec::new(), None, 0);
                loop {
                    let (records, next) = store.audit(&filter, cursor, limit, scan).await.unwrap();
                    assert!(records.len() <= limit as usize);
                    all.extend(numbers(&records));
                    parts += 1;
                    assert!(next.is_none() || next != cursor && parts < 30, "{limit} {scan}");
                    cursor = next;
                    if next.is_none() {
                        break;
                    }
                }
                assert_eq!(all, expected, "{actor:?} {limit} {scan}");
            }
        }
    }

    #[tokio::test]
    async fn the_table_of_filters() {
        let (_dir, store) = store().await;
        let text = |text: &str| Some(text.to_owned());
        let time = |seconds: i64| Some(Timestamp::from_millis(seconds * 1000));
        let any = AuditFilter::default;
        for (filter, expected) in [
            (AuditFilter { subject: text("a@web-3"), ..any() }, &[4][..]),
            (AuditFilter { subject: text("a@web-3, b"), ..any() }, &[4]),
            (AuditFilter { subject: text("web-3"), ..any() }, &[]),
            (AuditFilter { action: text("login"), ..any() }, &[]),
            (AuditFilter { outcome: text("refused"), ..any() }, &[]),
            (AuditFilter { since: time(7), action: text("tag"), ..any() }, &[10, 9, 8]),
            (AuditFilter { since: time(2), until: time(3), outcome: text("done"), ..any() }, &[4, 3]),
        ] {
            let (records, next) = store.audit(&filter, None, 100, 100).await.unwrap();
            assert_eq!((numbers(&records).as_slice(), next), (expected, None), "{filter:?}");
        }
    }

    #[tokio::test]
    async fn what_is_well_before_is_not_looked_through() {
        let (_dir, store) = temporary().await;
        let day = i64::try_from(CLOCK.as_millis()).unwrap();
        for n in 0..20 {
            store.record_deed(Timestamp::from_millis(n * day), &deed("alice", "a")).await.unwrap();
        }
        let filter = AuditFilter { since: Some(Timestamp::from_millis(18 * day)), ..AuditFilter::default() };
        let (records, next) = store.audit(&filter, None, 100, 2).await.unwrap();
        assert_eq!((numbers(&records), next), (vec![20, 19], Some(19)));
        assert_eq!(store.audit(&filter, next, 100, 2).await.unwrap(), (vec![], None));
    }

    #[tokio::test]
    async fn a_chain_is_checked_in_batches() {
        let (_dir, store) = store().await;
        let verdicts = [1, 3, 5, 10, 100].map(|batch| store.check_audit(None, batch));
        let verdicts = futures_util::future::try_join_all(verdicts).await.unwrap();
        assert!(verdicts.iter().all(|verdict| verdict.ok && *verdict == verdicts[0]), "{verdicts:?}");
        assert_eq!(verdicts[0].records, 10);
        sqlx::query("drop trigger audit_is_never_changed").execute(&store.grid.write).await.unwrap();
        sqlx::query("update audit set detail = cast(x'ff' as text) where seq = 6")
            .execute(&store.grid.write)
            .await
            .unwrap();
        for batch in [1, 3, 5, 10] {
            assert_eq!(store.check_audit(None, batch).await.unwrap().broken_at, Some(6), "{batch}");
        }
    }

    #[tokio::test]
    async fn nothing_is_changed_or_deleted() {
        let (_dir, store) = store().await;
        for sql in ["update audit set actor = 'x'", "delete from audit where seq = 10", "delete from audit"] {
            let error = sqlx::query(sql).execute(&store.grid.write).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
        assert!(store.check_audit(None, 100).await.unwrap().ok);
    }
}
