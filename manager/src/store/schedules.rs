//! How the schedules go: what they began, what they missed.

use protocol::time::Timestamp;
use uuid::Uuid;

use super::{
    Result, Store,
    events::{self, EventRow},
};
use crate::grid::operation::StepState;

/// How a schedule goes.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// Up to when runs were looked after.
    pub seen_at: Timestamp,
    /// When it was carried out last.
    pub last_at: Option<Timestamp>,
    /// The operation that it began then.
    pub last_operation: Option<Uuid>,
    /// How that ended.
    pub last_result: Option<StepState>,
    /// Whether that goes on.
    pub running: bool,
    /// How many runs were missed.
    pub missed: u64,
    /// When the last of them was due.
    pub last_missed_at: Option<Timestamp>,
    /// Why it was missed.
    pub last_missed: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    seen_at: i64,
    last_at: Option<i64>,
    last_operation: Option<String>,
    state: Option<String>,
    result: Option<String>,
    missed: i64,
    last_missed_at: Option<i64>,
    last_missed: String,
}

impl From<Row> for ScheduleRow {
    fn from(row: Row) -> Self {
        let result = row.result.and_then(|word| StepState::ALL.into_iter().find(|state| state.word() == word));
        Self {
            name: row.name,
            seen_at: Timestamp::from_millis(row.seen_at),
            last_at: row.last_at.map(Timestamp::from_millis),
            last_operation: row.last_operation.and_then(|id| id.parse().ok()),
            last_result: result,
            running: row.state.is_some_and(|state| state == "running" || state == "cancelling"),
            missed: u64::try_from(row.missed).unwrap_or(0),
            last_missed_at: row.last_missed_at.map(Timestamp::from_millis),
            last_missed: row.last_missed,
        }
    }
}

/// Runs that were missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedRuns {
    /// How many.
    pub count: u32,
    /// When the last of them was due.
    pub last_due: Timestamp,
    /// Why.
    pub why: String,
}

impl Store {
    /// How all schedules go, by name.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRow>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select name, seen_at, last_at, last_operation, operation.state, operation.result, missed, \
             last_missed_at, last_missed \
             from schedule left join operation on operation.id = last_operation order by name",
        )
        .fetch_all(&self.grid.read)
        .await?;
        Ok(rows.into_iter().map(ScheduleRow::from).collect())
    }

    /// Notes up to when the runs of a schedule were looked after.
    pub async fn schedule_seen(&self, name: &str, at: Timestamp) -> Result<()> {
        sqlx::query(
            "insert into schedule (name, seen_at) values (?, ?) \
             on conflict (name) do update set seen_at = excluded.seen_at",
        )
        .bind(name)
        .bind(at.as_millis())
        .execute(&self.grid.write)
        .await?;
        Ok(())
    }

    /// Notes that a run of a schedule has begun.
    pub async fn schedule_began(&self, name: &str, due: Timestamp, at: Timestamp, operation: Uuid) -> Result<()> {
        sqlx::query(
            "insert into schedule (name, seen_at, last_at, last_operation) values (?, ?, ?, ?) \
             on conflict (name) do update set seen_at = excluded.seen_at, last_at = excluded.last_at, \
             last_operation = excluded.last_operation",
        )
        .bind(name)
        .bind(due.as_millis())
        .bind(at.as_millis())
        .bind(operation.to_string())
        .execute(&self.grid.write)
        .await?;
        Ok(())
    }

    /// Notes that runs of a schedule were missed, with the event that tells of it.
    pub async fn schedule_missed(
        &self,
        name: &str,
        seen: Timestamp,
        missed: &MissedRuns,
        event: &EventRow,
    ) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        sqlx::query(
            "insert into schedule (name, seen_at, missed, last_missed_at, last_missed) values (?, ?, ?, ?, ?) \
             on conflict (name) do update set seen_at = excluded.seen_at, missed = missed + excluded.missed, \
             last_missed_at = excluded.last_missed_at, last_missed = excluded.last_missed",
        )
        .bind(name)
        .bind(seen.as_millis())
        .bind(missed.count)
        .bind(missed.last_due.as_millis())
        .bind(&missed.why)
        .execute(&mut *tx)
        .await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets schedules that are not there any more.
    pub async fn keep_schedules(&self, names: &[&String]) -> Result<()> {
        sqlx::query("delete from schedule where name not in (select value from json_each(?))")
            .bind(serde_json::json!(names).to_string())
            .execute(&self.grid.write)
            .await?;
        Ok(())
    }

    /// The latest operation that somebody has begun, not before a moment.
    pub async fn operation_begun_by(&self, actor: &str, since: Timestamp) -> Result<Option<(Uuid, Timestamp)>> {
        let row: Option<(String, i64)> = sqlx::query_as(
            "select id, created_at from operation where created_at >= ? and actor = ? order by created_at desc limit 1",
        )
        .bind(since.as_millis())
        .bind(actor)
        .fetch_optional(&self.grid.read)
        .await?;
        Ok(row.and_then(|(id, at)| Some((id.parse().ok()?, Timestamp::from_millis(at)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    async fn operation(store: &Store, id: Uuid, state: &str, result: Option<&str>) {
        sqlx::query(
            "insert into operation (id, command, targets, actor, state, result, created_at, request) \
             values (?, 'restart', '[]', 'schedule:nightly', ?, ?, 50, '{}')",
        )
        .bind(id.to_string())
        .bind(state)
        .bind(result)
        .execute(&store.grid.write)
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn what_a_schedule_began_and_missed_is_kept() {
        let (_dir, store) = temporary().await;
        let id = Uuid::from_u128(7);
        operation(&store, id, "running", None).await;
        store.schedule_seen("nightly", at(10)).await.unwrap();
        store.schedule_began("nightly", at(50), at(51), id).await.unwrap();
        let missed = MissedRuns { count: 2, last_due: at(90), why: "it rained".to_owned() };
        for seq in 1..=2 {
            let event = EventRow { seq, at: at(100), body: "{}".to_owned(), deed: None };
            store.schedule_missed("nightly", at(90), &missed, &event).await.unwrap();
        }
        let row = store.schedules().await.unwrap().remove(0);
        let expected = ScheduleRow {
            name: "nightly".to_owned(),
            seen_at: at(90),
            last_at: Some(at(51)),
            last_operation: Some(id),
            last_result: None,
            running: true,
            missed: 4,
            last_missed_at: Some(at(90)),
            last_missed: "it rained".to_owned(),
        };
        assert_eq!(row, expected);
        assert_eq!(store.operation_begun_by("schedule:nightly", at(50)).await.unwrap(), Some((id, at(50))));
        assert_eq!(store.operation_begun_by("schedule:nightly", at(51)).await.unwrap(), None);
        store.keep_schedules(&[]).await.unwrap();
        assert_eq!(store.schedules().await.unwrap(), []);
    }

    #[tokio::test]
    async fn only_what_goes_on_is_running() {
        for (state, result, running) in [
            ("running", None, true),
            ("cancelling", None, true),
            ("interrupted", None, false),
            ("ended", Some(StepState::PartlyFailed), false),
        ] {
            let (_dir, store) = temporary().await;
            operation(&store, Uuid::nil(), state, result.map(StepState::word)).await;
            store.schedule_began("nightly", at(1), at(1), Uuid::nil()).await.unwrap();
            let row = store.schedules().await.unwrap().remove(0);
            assert_eq!((row.running, row.last_result), (running, result), "{state}");
        }
    }
}
