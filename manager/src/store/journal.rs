//! Looking for events in both databases, by the indexes that they have, and never through all of them.

use std::collections::HashMap;

use sqlx::SqlitePool;

use super::{Result, Store};
use crate::grid::search::EventFilter;

/// In which order events are told, and from where on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Oldest first: after one number and before another.
    Up {
        /// After this one.
        after: u64,
        /// Before this one.
        before: u64,
    },
    /// Newest first, before a number.
    Down {
        /// Before this one.
        before: u64,
    },
}

/// By which index events are looked for, and with which key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    All,
    Service(String),
    Machine(String),
    Kind(&'static str),
}

impl Way {
    /// The ways that together lead to everything that a filter lets through.
    fn all(filter: &EventFilter) -> Vec<Self> {
        match (&filter.service, &filter.machine) {
            (Some(service), _) => vec![Way::Service(service.to_string())],
            (None, Some(machine)) => vec![Way::Machine(machine.to_string())],
            (None, None) if filter.kinds.is_empty() => vec![Way::All],
            (None, None) => filter.kinds.iter().map(|kind| Way::Kind(kind.word())).collect(),
        }
    }

    fn key(&self) -> Option<&str> {
        match self {
            Way::All => None,
            Way::Service(key) | Way::Machine(key) => Some(key),
            Way::Kind(key) => Some(key),
        }
    }

    fn sql(&self, span: Span) -> String {
        let of = match self {
            Way::All => "event where ?1 is null",
            Way::Service(_) => {
                "event indexed by event_service where body ->> '$.service' = ?1 and body ->> '$.service' is not null"
            }
            Way::Machine(_) => {
                "event indexed by event_machine where body ->> '$.machine' = ?1 and body ->> '$.machine' is not null"
            }
            Way::Kind(_) => "event indexed by event_kind where body ->> '$.kind' = ?1",
        };
        let order = match span {
            Span::Up { .. } => "seq",
            Span::Down { .. } => "seq desc",
        };
        format!("select seq from {of} and seq > ?2 and seq < ?3 order by {order} limit ?4")
    }
}

impl Span {
    /// Its ends, which do not belong to it.
    fn ends(self) -> (i64, i64) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        match self {
            Span::Up { after, before } => (number(after), number(before)),
            Span::Down { before } => (-1, number(before)),
        }
    }

    /// What of it is not after a number.
    pub fn until(self, last: u64) -> Self {
        let end = last.saturating_add(1);
        match self {
            Span::Up { after, before } => Span::Up { after, before: before.min(end) },
            Span::Down { before } => Span::Down { before: before.min(end) },
        }
    }

    /// What is left of it beyond a number.
    pub fn beyond(self, seq: u64) -> Self {
        match self {
            Span::Up { before, .. } => Span::Up { after: seq, before },
            Span::Down { .. } => Span::Down { before: seq },
        }
    }
}

/// Events that may be wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// Their numbers and bodies, in order.
    pub events: Vec<(u64, String)>,
    /// Beyond which number there may be more; nothing if these are the last.
    pub end: Option<u64>,
}

impl Store {
    /// The next events of a span that a filter may let through. The indexes know only a part of what a filter asks for,
    /// so the rest is left to whoever calls.
    pub async fn candidates(&self, filter: &EventFilter, span: Span, limit: u32) -> Result<Candidates> {
        let (after, before) = span.ends();
        let databases = [&self.grid.read, &self.history.read];
        let mut found: Vec<(i64, usize)> = Vec::new();
        for (index, database) in databases.into_iter().enumerate() {
            for way in Way::all(filter) {
                let numbers: Vec<(i64,)> = sqlx::query_as(sqlx::AssertSqlSafe(way.sql(span)))
                    .bind(way.key())
                    .bind(after)
                    .bind(before)
                    .bind(limit)
                    .fetch_all(database)
                    .await?;
                found.extend(numbers.into_iter().map(|(seq,)| (seq, index)));
            }
        }
        found.sort_unstable();
        if matches!(span, Span::Down { .. }) {
            found.reverse();
        }
        found.truncate(limit as usize);
        let is_full = found.len() == limit as usize;
        let end = found.last().filter(|_| is_full).and_then(|(seq, _)| u64::try_from(*seq).ok());
        let mut bodies = HashMap::new();
        for (index, database) in databases.into_iter().enumerate() {
            let numbers: Vec<i64> = found.iter().filter(|(_, of)| *of == index).map(|(seq, _)| *seq).collect();
            bodies.extend(read(database, &numbers).await?);
        }
        let event = |(seq, _)| Some((u64::try_from(seq).ok()?, bodies.remove(&seq)?));
        Ok(Candidates { events: found.into_iter().filter_map(event).collect(), end })
    }
}

/// The bodies of events. Some may have been thrown away since they were found.
async fn read(database: &SqlitePool, numbers: &[i64]) -> Result<Vec<(i64, String)>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "select seq, body from event where seq in (select value from json_each(?))";
    Ok(sqlx::query_as(sql).bind(serde_json::json!(numbers).to_string()).fetch_all(database).await?)
}

#[cfg(test)]
mod tests {
    use protocol::time::Timestamp;

    use super::*;
    use crate::{
        grid::event::Kind,
        store::{
            events::{EventRow, Memory},
            temporary,
        },
    };

    fn row(seq: u64, kind: Kind, service: Option<&str>) -> EventRow {
        let machine = service.and_then(|service| service.split('@').nth(1));
        let body = serde_json::json!({"kind": kind.word(), "service": service, "machine": machine});
        EventRow { seq, at: Timestamp::EPOCH, body: body.to_string(), deed: None }
    }

    /// Events of both databases: odd ones in `grid.db`, even ones in `history.db`.
    async fn store() -> (tempfile::TempDir, Store) {
        let (dir, store) = temporary().await;
        let rows = [
            row(1, Kind::ManagerStarted, None),
            row(2, Kind::ServiceState, Some("a@web-1")),
            row(3, Kind::Trigger, Some("a@web-1")),
            row(4, Kind::ServiceState, Some("b@web-1")),
            row(5, Kind::Trigger, Some("a@web-2")),
            row(6, Kind::ServiceGone, Some("a@web-2")),
        ];
        for row in rows {
            match row.seq % 2 {
                0 => store.add_history(&[row], &Memory::default(), 0).await.unwrap(),
                _ => store.record(&row).await.unwrap(),
            }
        }
        (dir, store)
    }

    const DOWN: Span = Span::Down { before: u64::MAX };
    const UP: Span = Span::Up { after: 0, before: u64::MAX };

    fn filters() -> [(EventFilter, &'static [u64]); 6] {
        let any = EventFilter::default;
        let service = "a@web-1".parse().ok();
        [
            (any(), &[1, 2, 3, 4, 5, 6]),
            (EventFilter { service: service.clone(), ..any() }, &[2, 3]),
            (EventFilter { machine: "web-1".parse().ok(), ..any() }, &[2, 3, 4]),
            (EventFilter { machine: "web-2".parse().ok(), service, ..any() }, &[2, 3]),
            (EventFilter { kinds: vec![Kind::Trigger, Kind::ServiceState], ..any() }, &[2, 3, 4, 5]),
            (EventFilter { kinds: vec![Kind::Login], ..any() }, &[]),
        ]
    }

    #[tokio::test]
    async fn the_parts_of_both_databases_make_the_whole() {
        let (_dir, store) = store().await;
        for (filter, expected) in filters() {
            for (mut span, limit) in [(UP, 1), (UP, 2), (UP, 9), (DOWN, 1), (DOWN, 2), (DOWN, 9)] {
                let mut all = Vec::new();
                let begun = span;
                loop {
                    let found = store.candidates(&filter, span, limit).await.unwrap();
                    all.extend(found.events.iter().map(|(seq, _)| *seq));
                    let Some(end) = found.end else { break };
                    span = span.beyond(end);
                }
                if begun == DOWN {
                    all.reverse();
                }
                assert_eq!(all, expected, "{filter:?} {begun:?} {limit}");
            }
        }
        let middle = store.candidates(&EventFilter::default(), Span::Up { after: 2, before: 5 }, 9).await.unwrap();
        assert_eq!(middle.events.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [3, 4]);
        for span in [UP, DOWN] {
            let found = store.candidates(&EventFilter::default(), span.until(4), 9).await.unwrap();
            assert_eq!(found.events.iter().map(|(seq, _)| *seq).max(), Some(4), "{span:?}");
        }
    }

    #[tokio::test]
    async fn no_way_leads_through_everything() {
        let (_dir, store) = store().await;
        for (filter, _) in filters() {
            for (way, span) in Way::all(&filter).into_iter().flat_map(|way| [(way.clone(), UP), (way, DOWN)]) {
                for database in [&store.grid.read, &store.history.read] {
                    let sql = format!("explain query plan {}", way.sql(span));
                    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                        .bind(way.key())
                        .bind(0)
                        .bind(9)
                        .bind(1)
                        .fetch_all(database)
                        .await
                        .unwrap();
                    let index = match way {
                        Way::All => "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
                        Way::Service(_) => "INDEX event_service (<expr>=? AND seq>? AND seq<?)",
                        Way::Machine(_) => "INDEX event_machine (<expr>=? AND seq>? AND seq<?)",
                        Way::Kind(_) => "INDEX event_kind (<expr>=? AND seq>? AND seq<?)",
                    };
                    assert_eq!(plan.len(), 1, "nothing is sorted or scanned: {way:?} {plan:?}");
                    assert!(plan[0].3.starts_with("SEARCH event") && plan[0].3.contains(index), "{way:?} {plan:?}");
                }
            }
        }
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(
            "explain query plan select seq, body from event where seq in (select value from json_each(?))",
        )
        .bind("[1]")
        .fetch_all(&store.history.read)
        .await
        .unwrap();
        assert!(plan[0].3.starts_with("SEARCH event USING INTEGER PRIMARY KEY"), "{plan:?}");
    }
}
