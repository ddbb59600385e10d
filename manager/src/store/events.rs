//! The journal of events, and the last known status of each instance.

use protocol::{report::InstanceReport, time::Timestamp};
use sqlx::SqliteConnection;

use super::{Result, Store};
use crate::grid::event::Event;

/// How many events `history.db` keeps.
const KEPT: i64 = 500_000;

/// A numbered event, written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The event as JSON.
    pub body: String,
}

impl EventRow {
    /// Writes an event down.
    pub fn of(seq: u64, event: &Event) -> Self {
        let body = serde_json::to_string(event).expect("events are plain data with string keys");
        Self { seq, at: event.at, body }
    }
}

/// What is last known of an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct LastStatus {
    /// The id of its agent.
    pub machine: uuid::Uuid,
    /// Since when it was so.
    pub since: Timestamp,
    /// Its report.
    pub report: InstanceReport,
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Adds an event within a transaction of `grid.db`.
pub(super) async fn insert(connection: &mut SqliteConnection, event: &EventRow) -> Result<()> {
    sqlx::query("insert into event (seq, at, body) values (?, ?, ?)")
        .bind(integer(event.seq))
        .bind(event.at.as_millis())
        .bind(&event.body)
        .execute(connection)
        .await?;
    Ok(())
}

impl Store {
    /// Adds an event that must not be lost.
    pub async fn record(&self, event: &EventRow) -> Result<()> {
        let mut connection = self.grid.write.acquire().await.map_err(super::StoreError::from)?;
        insert(&mut connection, event).await
    }

    /// Adds events that may be thrown away, and what is last known of instances, all in one statement each.
    pub async fn add_history(&self, events: &[EventRow], statuses: &[LastStatus]) -> Result<()> {
        let events: Vec<_> =
            events.iter().map(|event| serde_json::json!([event.seq, event.at.as_millis(), event.body])).collect();
        let statuses: Vec<_> = statuses
            .iter()
            .map(|status| {
                let report = serde_json::to_string(&status.report).unwrap_or_default();
                serde_json::json!([status.machine, status.report.base, status.since.as_millis(), report])
            })
            .collect();
        let mut tx = self.history.write.begin().await?;
        sqlx::query(
            "insert into event (seq, at, body) \
             select value ->> 0, value ->> 1, value ->> 2 from json_each(?) where true on conflict do nothing",
        )
        .bind(serde_json::Value::from(events).to_string())
        .execute(&mut *tx)
        .await?;
        if !statuses.is_empty() {
            sqlx::query(
                "insert into last_status (machine, base, since, report) \
                 select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(?) where true \
                 on conflict (machine, base) do update set since = excluded.since, report = excluded.report",
            )
            .bind(serde_json::Value::from(statuses).to_string())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Throws away events beyond the limit. Returns the newest number that is gone.
    pub async fn trim_history(&self) -> Result<u64> {
        let mut tx = self.history.write.begin().await?;
        let (floor,): (i64,) =
            sqlx::query_as("select coalesce((select seq from event order by seq desc limit 1 offset ?), 0)")
                .bind(KEPT)
                .fetch_one(&mut *tx)
                .await?;
        if floor > 0 {
            sqlx::query("delete from event where seq <= ?").bind(floor).execute(&mut *tx).await?;
            set_floor(&mut tx, floor).await?;
        }
        tx.commit().await?;
        Ok(u64::try_from(floor).unwrap_or(0))
    }

    /// Notes that events up to a number cannot be told again.
    pub async fn set_floor(&self, floor: u64) -> Result<()> {
        let mut connection = self.history.write.acquire().await.map_err(super::StoreError::from)?;
        set_floor(&mut connection, integer(floor)).await
    }

    /// The newest number up to which events cannot be told again; `fresh` where `history.db` is new.
    pub async fn floor(&self, fresh: u64) -> Result<u64> {
        let fresh = integer(fresh);
        sqlx::query("insert into meta (key, value) values ('floor', ?) on conflict do nothing")
            .bind(fresh)
            .execute(&self.history.write)
            .await?;
        let (floor,): (i64,) =
            sqlx::query_as("select value from meta where key = 'floor'").fetch_one(&self.history.read).await?;
        Ok(u64::try_from(floor).unwrap_or(0))
    }

    /// The bodies of events after a number, of both databases in order, and the number of the last of them.
    pub async fn events_after(&self, seq: u64, limit: u32) -> Result<Vec<(u64, String)>> {
        let mut events = Vec::new();
        for database in [&self.grid, &self.history] {
            let rows: Vec<(i64, String)> =
                sqlx::query_as("select seq, body from event where seq > ? order by seq limit ?")
                    .bind(integer(seq))
                    .bind(limit)
                    .fetch_all(&database.read)
                    .await?;
            events.extend(rows.into_iter().map(|(seq, body)| (u64::try_from(seq).unwrap_or(0), body)));
        }
        events.sort_unstable_by_key(|(seq, _)| *seq);
        events.truncate(limit as usize);
        Ok(events)
    }

    /// The latest events before a number, newest first.
    pub async fn events_before(&self, seq: u64, limit: u32) -> Result<Vec<(u64, String)>> {
        let mut events = Vec::new();
        for database in [&self.grid, &self.history] {
            let rows: Vec<(i64, String)> =
                sqlx::query_as("select seq, body from event where seq < ? order by seq desc limit ?")
                    .bind(integer(seq))
                    .bind(limit)
                    .fetch_all(&database.read)
                    .await?;
            events.extend(rows.into_iter().map(|(seq, body)| (u64::try_from(seq).unwrap_or(0), body)));
        }
        events.sort_unstable_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        events.truncate(limit as usize);
        Ok(events)
    }

    /// What is last known of every instance. What cannot be read is left out.
    pub async fn last_statuses(&self) -> Result<Vec<LastStatus>> {
        let rows: Vec<(String, i64, String)> =
            sqlx::query_as("select machine, since, report from last_status").fetch_all(&self.history.read).await?;
        let parse = |(machine, since, report): (String, i64, String)| {
            let report = serde_json::from_str(&report).ok()?;
            Some(LastStatus { machine: machine.parse().ok()?, since: Timestamp::from_millis(since), report })
        };
        Ok(rows.into_iter().filter_map(parse).collect())
    }
}

async fn set_floor(connection: &mut SqliteConnection, floor: i64) -> Result<()> {
    sqlx::query(
        "insert into meta (key, value) values ('floor', ?) \
         on conflict (key) do update set value = max(value, excluded.value)",
    )
    .bind(floor)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    fn row(seq: u64) -> EventRow {
        EventRow { seq, at: Timestamp::from_millis(5), body: format!("{{\"n\":{seq}}}") }
    }

    #[tokio::test]
    async fn both_databases_make_one_journal() {
        let (_dir, store) = temporary().await;
        store.record(&row(2)).await.unwrap();
        store.add_history(&[row(1), row(3)], &[]).await.unwrap();
        store.record(&row(4)).await.unwrap();
        let numbers = |events: Vec<(u64, String)>| events.iter().map(|(seq, _)| *seq).collect::<Vec<_>>();
        assert_eq!(numbers(store.events_after(1, 10).await.unwrap()), [2, 3, 4]);
        assert_eq!(numbers(store.events_after(0, 2).await.unwrap()), [1, 2]);
        assert_eq!(numbers(store.events_before(4, 2).await.unwrap()), [3, 2]);
    }

    #[tokio::test]
    async fn the_floor_only_rises() {
        let (_dir, store) = temporary().await;
        assert_eq!(store.floor(7).await.unwrap(), 7);
        assert_eq!(store.floor(9).await.unwrap(), 7);
        store.set_floor(20).await.unwrap();
        store.set_floor(3).await.unwrap();
        assert_eq!(store.floor(0).await.unwrap(), 20);
        assert_eq!(store.trim_history().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_last_status_is_the_last() {
        let (_dir, store) = temporary().await;
        let report = |pid| -> InstanceReport {
            serde_json::from_value(serde_json::json!({"base": "/srv/a", "state": "active", "age_ms": 0, "pid": pid}))
                .unwrap()
        };
        let machine = uuid::Uuid::from_u128(1);
        for pid in [1, 2] {
            let status = LastStatus { machine, since: Timestamp::from_millis(pid), report: report(pid) };
            store.add_history(&[], &[status]).await.unwrap();
        }
        let last = store.last_statuses().await.unwrap();
        assert_eq!(last, [LastStatus { machine, since: Timestamp::from_millis(2), report: report(2) }]);
    }
}
