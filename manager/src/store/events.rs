//! The journal of events, and what is last known of each agent's link and each instance.

use std::collections::BTreeMap;

use protocol::{report::InstanceReport, time::Timestamp};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{Result, Store};
use crate::grid::{audit::Deed, event::Event, fleet::LastLink};

/// How many events each database keeps. What they did to the grid is in the audit for good.
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
    /// What the audit says of it.
    pub deed: Option<Box<Deed>>,
}

impl EventRow {
    /// Writes an event down.
    pub fn of(seq: u64, event: &Event) -> Self {
        let body = serde_json::to_string(event).expect("events are plain data with string keys");
        Self { seq, at: event.at, body, deed: event.draft.deed.clone() }
    }
}

/// What is last known of an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct LastStatus {
    /// The id of its agent.
    pub machine: Uuid,
    /// When it was reported.
    pub at: Timestamp,
    /// Since when it was so.
    pub since: Timestamp,
    /// Its report.
    pub report: InstanceReport,
}

/// What is to be remembered, by what it is of; what is new replaces what is old, and `None` forgets.
#[derive(Debug, Default)]
pub struct Memory {
    /// Instances, by agent and base.
    pub statuses: BTreeMap<(Uuid, String), Option<LastStatus>>,
    /// Links, by agent.
    pub links: BTreeMap<Uuid, LastLink>,
}

impl Memory {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.statuses.is_empty() && self.links.is_empty()
    }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Adds an event, and what the audit says of it, within a transaction of `grid.db`.
pub(super) async fn insert(connection: &mut SqliteConnection, event: &EventRow) -> Result<()> {
    sqlx::query("insert into event (seq, at, body) values (?, ?, ?)")
        .bind(integer(event.seq))
        .bind(event.at.as_millis())
        .bind(&event.body)
        .execute(&mut *connection)
        .await?;
    match &event.deed {
        Some(deed) => super::audit::insert(connection, event.at, deed).await,
        None => Ok(()),
    }
}

impl Store {
    /// Adds an event that must not be lost.
    pub async fn record(&self, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Adds events that must not be lost, all of them or none.
    pub async fn record_all(&self, events: &[EventRow]) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        for event in events {
            insert(&mut tx, event).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Adds events that may be thrown away, and what is to be remembered; notes up to which number events are lost.
    pub async fn add_history(&self, events: &[EventRow], memory: &Memory, floor: u64) -> Result<()> {
        let events: Vec<_> =
            events.iter().map(|event| serde_json::json!([event.seq, event.at.as_millis(), event.body])).collect();
        let mut tx = self.history.write.begin().await?;
        sqlx::query(
            "insert into event (seq, at, body) \
             select value ->> 0, value ->> 1, value ->> 2 from json_each(?) where true on conflict do nothing",
        )
        .bind(serde_json::Value::from(events).to_string())
        .execute(&mut *tx)
        .await?;
        if !memory.is_empty() {
            remember(&mut tx, memory).await?;
        }
        // Most often it has not risen, and nothing is written.
        set_floor(&mut tx, integer(floor)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Throws away events beyond the limit. Returns the newest number that is gone.
    pub async fn trim_history(&self) -> Result<u64> {
        self.trim_to(KEPT).await
    }

    async fn trim_to(&self, kept: i64) -> Result<u64> {
        let mut floor = 0;
        for database in [&self.history, &self.grid] {
            let beyond: Option<(i64,)> = sqlx::query_as("select seq from event order by seq desc limit 1 offset ?")
                .bind(kept)
                .fetch_optional(&database.read)
                .await?;
            let Some((gone,)) = beyond else { continue };
            // First, so that nobody believes that events are whole which are not.
            set_floor(&mut *self.history.write.acquire().await?, gone).await?;
            sqlx::query("delete from event where seq <= ?").bind(gone).execute(&database.write).await?;
            floor = floor.max(gone);
        }
        Ok(u64::try_from(floor).unwrap_or(0))
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

    /// What is last known of every instance. What cannot be read is left out.
    pub async fn last_statuses(&self) -> Result<Vec<LastStatus>> {
        let rows: Vec<(String, i64, i64, String)> =
            sqlx::query_as("select machine, at, since, report from last_status").fetch_all(&self.history.read).await?;
        let parse = |(machine, at, since, report): (String, i64, i64, String)| {
            let report = serde_json::from_str(&report).ok()?;
            let (at, since) = (Timestamp::from_millis(at), Timestamp::from_millis(since));
            Some(LastStatus { machine: machine.parse().ok()?, at, since, report })
        };
        Ok(rows.into_iter().filter_map(parse).collect())
    }

    /// What is last known of every link. What cannot be read is left out.
    pub async fn last_links(&self) -> Result<Vec<(Uuid, LastLink)>> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("select machine, link from last_link").fetch_all(&self.history.read).await?;
        let parse =
            |(machine, link): (String, String)| Some((machine.parse().ok()?, serde_json::from_str(&link).ok()?));
        Ok(rows.into_iter().filter_map(parse).collect())
    }

    /// Forgets what was last known of a machine that was removed.
    pub async fn forget_machine(&self, id: Uuid) -> Result<()> {
        let mut tx = self.history.write.begin().await?;
        for sql in ["delete from last_status where machine = ?", "delete from last_link where machine = ?"] {
            sqlx::query(sql).bind(id.to_string()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn remember(connection: &mut SqliteConnection, memory: &Memory) -> Result<()> {
    let (mut known, mut gone) = (Vec::new(), Vec::new());
    for ((machine, base), status) in &memory.statuses {
        match status {
            None => gone.push(serde_json::json!([machine, base])),
            Some(status) => {
                let report = serde_json::to_string(&status.report).unwrap_or_default();
                let (at, since) = (status.at.as_millis(), status.since.as_millis());
                known.push(serde_json::json!([machine, base, at, since, report]));
            }
        }
    }
    let link = |link| serde_json::to_string(link).unwrap_or_default();
    let links = memory.links.iter().map(|(machine, known)| serde_json::json!([machine, link(known)])).collect();
    for (sql, rows) in [
        (
            "insert into last_status (machine, base, at, since, report) \
             select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?) where true \
             on conflict (machine, base) do update set at = excluded.at, since = excluded.since, report = excluded.report",
            known,
        ),
        ("delete from last_status where (machine, base) in (select value ->> 0, value ->> 1 from json_each(?))", gone),
        (
            "insert into last_link (machine, link) select value ->> 0, value ->> 1 from json_each(?) where true \
             on conflict (machine) do update set link = excluded.link",
            links,
        ),
    ] {
        if !rows.is_empty() {
            sqlx::query(sql).bind(serde_json::Value::from(rows).to_string()).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn set_floor(connection: &mut SqliteConnection, floor: i64) -> Result<()> {
    sqlx::query(
        "insert into meta (key, value) values ('floor', ?) \
         on conflict (key) do update set value = excluded.value where value < excluded.value",
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
        EventRow { seq, at: Timestamp::from_millis(5), body: format!("{{\"n\":{seq}}}"), deed: None }
    }

    #[tokio::test]
    async fn both_databases_make_one_journal() {
        let (_dir, store) = temporary().await;
        store.record(&row(2)).await.unwrap();
        store.add_history(&[row(1), row(3)], &Memory::default(), 0).await.unwrap();
        store.record(&row(4)).await.unwrap();
        let numbers = |events: Vec<(u64, String)>| events.iter().map(|(seq, _)| *seq).collect::<Vec<_>>();
        assert_eq!(numbers(store.events_after(1, 10).await.unwrap()), [2, 3, 4]);
        assert_eq!(numbers(store.events_after(0, 2).await.unwrap()), [1, 2]);
    }

    #[tokio::test]
    async fn the_floor_only_rises() {
        let (_dir, store) = temporary().await;
        assert_eq!(store.floor(7).await.unwrap(), 7);
        assert_eq!(store.floor(9).await.unwrap(), 7);
        for floor in [20, 3] {
            store.add_history(&[], &Memory::default(), floor).await.unwrap();
        }
        assert_eq!(store.floor(0).await.unwrap(), 20);
        assert_eq!(store.trim_history().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn both_databases_keep_so_much_and_no_more() {
        let (_dir, store) = temporary().await;
        for seq in [1, 3, 5, 6] {
            store.record(&row(seq)).await.unwrap();
        }
        store.add_history(&[row(2), row(4)], &Memory::default(), 0).await.unwrap();
        assert_eq!(store.trim_to(2).await.unwrap(), 3);
        let left = store.events_after(0, 10).await.unwrap();
        assert_eq!(left.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [2, 4, 5, 6]);
        assert_eq!(store.floor(0).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn the_last_is_remembered_until_it_is_forgotten() {
        let (_dir, store) = temporary().await;
        let machine = Uuid::from_u128(1);
        let status = |pid: i64| {
            let report = serde_json::json!({"base": "/srv/a", "state": "active", "age_ms": 0, "pid": pid});
            let report: InstanceReport = serde_json::from_value(report).unwrap();
            LastStatus { machine, at: Timestamp::from_millis(pid + 1), since: Timestamp::from_millis(pid), report }
        };
        let link = |why: &str| LastLink::Ended { why: why.to_owned(), since: Timestamp::EPOCH };
        for pid in [1, 2] {
            let mut memory = Memory::default();
            memory.statuses.insert((machine, "/srv/a".to_owned()), Some(status(pid)));
            memory.links.insert(machine, link(&pid.to_string()));
            store.add_history(&[], &memory, 0).await.unwrap();
        }
        assert_eq!(store.last_statuses().await.unwrap(), [status(2)]);
        assert_eq!(store.last_links().await.unwrap(), [(machine, link("2"))]);
        let mut memory = Memory::default();
        memory.statuses.insert((machine, "/srv/a".to_owned()), None);
        store.add_history(&[], &memory, 0).await.unwrap();
        assert_eq!(store.last_statuses().await.unwrap(), []);
        store.forget_machine(machine).await.unwrap();
        assert_eq!(store.last_links().await.unwrap(), []);
    }
}
