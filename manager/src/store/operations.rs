//! Operations, their steps and their logs.

mod log;

use std::collections::HashMap;

use protocol::{name::ServiceName, time::Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Result, Store,
    events::{self, EventRow},
};
use crate::grid::operation::{
    NodeKind, StepState, Tree,
    request::OperationRequest,
    view::{Counts, Interruption, LogLine, OperationState, OperationView, StepView},
};

/// How many ended operations are kept.
const KEPT: i64 = 10_000;

/// How many steps all operations together may have before the oldest ended ones are removed.
const KEPT_STEPS: i64 = 2_000_000;

/// How many bytes the logs of all operations together may have before the oldest ended ones are removed.
const KEPT_BYTES: i64 = 1024 * 1024 * 1024;

/// How many steps, or lines of a log, are removed at once: nobody else can write meanwhile.
const PORTION: i64 = 2000;

/// What is stored beside the columns of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Beside {
    asked: OperationRequest,
    steps: usize,
    services: Counts,
    #[serde(default)]
    cancelled_by: Option<String>,
    #[serde(default)]
    interruptions: Vec<Interruption>,
    /// How many bytes its log has; known when it has ended.
    #[serde(default)]
    log_bytes: u64,
}

/// An operation as it is stored, without its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOperation {
    /// The operation.
    pub view: OperationView,
    /// What was asked for.
    pub asked: OperationRequest,
}

/// A step as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredStep {
    /// The step.
    pub view: StepView,
    /// The id of what was sent for it.
    pub order: Option<Uuid>,
}

/// How far a step is, to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StepWrite {
    /// The operation.
    pub operation: Uuid,
    /// The step.
    pub number: u32,
    /// How far it is.
    pub state: StepState,
    /// How, or why.
    pub message: String,
    /// The id of what is sent for it; what is stored stays where there is none.
    pub order: Option<Uuid>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Which operations are wanted; each field that is set must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationFilter {
    /// How far.
    pub state: Option<OperationState>,
    /// Asked for by somebody.
    pub actor: Option<String>,
    /// With a service among its steps.
    pub service: Option<ServiceName>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    command: String,
    targets: String,
    actor: String,
    state: String,
    result: Option<String>,
    message: String,
    created_at: i64,
    ended_at: Option<i64>,
    retry_of: Option<String>,
    request: String,
}

#[derive(sqlx::FromRow)]
struct StepRow {
    number: i64,
    parent: Option<i64>,
    kind: String,
    state: String,
    message: String,
    order_id: Option<String>,
    started_at: Option<i64>,
    ended_at: Option<i64>,
}

const COLUMNS: &str = "select id, command, targets, actor, state, result, message, created_at, ended_at, retry_of, request \
                       from operation";

fn unreadable(what: &str, error: impl std::fmt::Display) -> super::StoreError {
    super::StoreError::Other(anyhow::anyhow!("the {what} of an operation cannot be read: {error}"))
}

fn word<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_value(json!(text)).map_err(|error| unreadable(what, error))
}

fn number(of: i64) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

impl TryFrom<Row> for StoredOperation {
    type Error = super::StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let Beside { asked, services, cancelled_by, interruptions, .. } =
            serde_json::from_str(&row.request).map_err(|error| unreadable("request", error))?;
        let view = OperationView {
            id: row.id.parse().map_err(|error| unreadable("id", error))?,
            command: word("command", &row.command)?,
            targets: serde_json::from_str(&row.targets).map_err(|error| unreadable("targets", error))?,
            state: word("state", &row.state)?,
            result: row.result.map(|result| word("result", &result)).transpose()?,
            message: row.message,
            actor: row.actor,
            created_at: Timestamp::from_millis(row.created_at),
            ended_at: row.ended_at.map(Timestamp::from_millis),
            retry_of: row.retry_of.and_then(|id| id.parse().ok()),
            cancelled_by,
            interruptions,
            progress_interval_ms: None,
            services,
        };
        Ok(Self { view, asked })
    }
}

impl TryFrom<StepRow> for StoredStep {
    type Error = super::StoreError;

    fn try_from(row: StepRow) -> Result<Self> {
        let view = StepView {
            number: number(row.number),
            parent: row.parent.map(number),
            kind: serde_json::from_str::<NodeKind>(&row.kind).map_err(|error| unreadable("step", error))?,
            state: word("step", &row.state)?,
            message: row.message,
            started_at: row.started_at.map(Timestamp::from_millis),
            ended_at: row.ended_at.map(Timestamp::from_millis),
        };
        Ok(Self { view, order: row.order_id.and_then(|id| id.parse().ok()) })
    }
}

fn beside(asked: &OperationRequest, steps: usize, services: Counts) -> String {
    let (asked, interruptions) = (asked.clone(), Vec::new());
    let beside = Beside { asked, steps, services, cancelled_by: None, interruptions, log_bytes: 0 };
    serde_json::to_string(&beside).expect("a request is plain data")
}

impl Store {
    /// Adds an operation with all its steps, together with the event that tells of it.
    pub async fn add_operation(
        &self,
        event: &EventRow,
        view: &OperationView,
        asked: &OperationRequest,
        tree: &Tree,
    ) -> Result<()> {
        let steps: Vec<_> = (tree.nodes.iter().enumerate())
            .map(|(number, node)| {
                // A step is plain data, so it can always be written.
                let kind = serde_json::to_string(&node.kind).unwrap_or_default();
                json!([number, node.parent, kind])
            })
            .collect();
        let mut tx = self.grid.write.begin().await?;
        sqlx::query(
            "insert into operation (id, command, targets, actor, state, message, created_at, retry_of, request) \
             values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(view.id.to_string())
        .bind(view.command.word())
        .bind(json!(view.targets).to_string())
        .bind(&view.actor)
        .bind(view.state.word())
        .bind(&view.message)
        .bind(view.created_at.as_millis())
        .bind(view.retry_of.map(|id| id.to_string()))
        .bind(beside(asked, tree.nodes.len(), view.services))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into step (operation, number, parent, kind) \
             select ?, value ->> 0, value ->> 1, value ->> 2 from json_each(?)",
        )
        .bind(view.id.to_string())
        .bind(serde_json::Value::from(steps).to_string())
        .execute(&mut *tx)
        .await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Changes how far an operation is, together with the event that tells of it. `log_bytes` is how many bytes its log
    /// has, where that is known.
    pub async fn change_operation(&self, event: &EventRow, view: &OperationView, log_bytes: Option<u64>) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        let services = json!(view.services).to_string();
        sqlx::query(
            "update operation set state = ?, result = ?, message = ?, ended_at = ?, \
             request = json_set(request, '$.services', json(?), '$.cancelled_by', ?, \
             '$.interruptions', json(?), '$.log_bytes', \
             coalesce(?, request ->> '$.log_bytes', 0)) where id = ?",
        )
        .bind(view.state.word())
        .bind(view.result.map(StepState::word))
        .bind(&view.message)
        .bind(view.ended_at.map(|at| at.as_millis()))
        .bind(services)
        .bind(&view.cancelled_by)
        .bind(json!(view.interruptions).to_string())
        .bind(log_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)))
        .bind(view.id.to_string())
        .execute(&mut *tx)
        .await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Stores how far steps are, and adds lines to logs: all of it or nothing.
    pub async fn write_steps(&self, steps: &[StepWrite], lines: &[(Uuid, LogLine)]) -> Result<()> {
        let rows: Vec<_> = (steps.iter())
            .map(|step| {
                json!([
                    step.operation,
                    step.number,
                    step.state.word(),
                    step.message,
                    step.order,
                    step.started_at.map(|at| at.as_millis()),
                    step.ended_at.map(|at| at.as_millis()),
                ])
            })
            .collect();
        let lines: Vec<_> = (lines.iter())
            .map(|(operation, line)| json!([operation, line.number, line.at.as_millis(), line.step, line.text]))
            .collect();
        let mut tx = self.grid.write.begin().await?;
        if !rows.is_empty() {
            sqlx::query(
                "update step set state = w.value ->> 2, message = w.value ->> 3, \
                 order_id = coalesce(w.value ->> 4, order_id), started_at = w.value ->> 5, ended_at = w.value ->> 6 \
                 from json_each(?) as w where operation = w.value ->> 0 and number = w.value ->> 1",
            )
            .bind(serde_json::Value::from(rows).to_string())
            .execute(&mut *tx)
            .await?;
        }
        if !lines.is_empty() {
            sqlx::query(
                "insert into operation_log (operation, number, at, step, text) \
                 select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?) where true \
                 on conflict do nothing",
            )
            .bind(serde_json::Value::from(lines).to_string())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// An operation, without its steps.
    pub async fn operation(&self, id: Uuid) -> Result<StoredOperation> {
        let row: Row = sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} where id = ?")))
            .bind(id.to_string())
            .fetch_one(&self.grid.read)
            .await?;
        row.try_into()
    }

    /// Operations, newest first, before the one of an id.
    pub async fn operations(
        &self,
        filter: &OperationFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<OperationView>> {
        // Ids are in the order of time.
        let sql = format!(
            "{COLUMNS} where (?1 is null or id < ?1) and (?2 is null or state = ?2) and (?3 is null or actor = ?3) \
             and (?4 is null or exists (select 1 from step where step.operation = operation.id \
             and step.kind ->> '$.service' = ?4 and step.kind ->> '$.service' is not null)) \
             order by id desc limit ?5"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(before.map(|id| id.to_string()))
            .bind(filter.state.map(OperationState::word))
            .bind(&filter.actor)
            .bind(filter.service.as_ref().map(ServiceName::as_str))
            .bind(limit)
            .fetch_all(&self.grid.read)
            .await?;
        rows.into_iter().map(|row| Ok(StoredOperation::try_from(row)?.view)).collect()
    }

    /// Those that did not end.
    pub async fn unended_operations(&self) -> Result<Vec<StoredOperation>> {
        let sql = format!("{COLUMNS} where state <> 'ended' and state <> 'interrupted' order by id");
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&self.grid.read).await?;
        rows.into_iter().map(StoredOperation::try_from).collect()
    }

    /// The services of an operation.
    pub async fn services_of_operation(&self, id: Uuid) -> Result<Vec<ServiceName>> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "select distinct kind ->> '$.service' from step \
             where operation = ? and kind ->> '$.service' is not null",
        )
        .bind(id.to_string())
        .fetch_all(&self.grid.read)
        .await?;
        rows.into_iter().map(|(name,)| name.parse().map_err(|error| unreadable("service", error))).collect()
    }

    /// The services of some operations; one without any is not among them.
    pub async fn services_of_operations(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<ServiceName>>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select distinct operation, kind ->> '$.service' from step \
             where operation in (select value from json_each(?)) and kind ->> '$.service' is not null",
        )
        .bind(json!(ids).to_string())
        .fetch_all(&self.grid.read)
        .await?;
        let mut services: HashMap<Uuid, Vec<ServiceName>> = HashMap::new();
        for (id, name) in rows {
            let id = id.parse().map_err(|error| unreadable("id", error))?;
            let name = name.parse().map_err(|error| unreadable("service", error))?;
            services.entry(id).or_default().push(name);
        }
        Ok(services)
    }

    /// The steps of an operation, in order.
    pub async fn steps(&self, id: Uuid) -> Result<Vec<StoredStep>> {
        let rows: Vec<StepRow> = sqlx::query_as(
            "select number, parent, kind, state, message, order_id, started_at, ended_at from step \
             where operation = ? order by number",
        )
        .bind(id.to_string())
        .fetch_all(&self.grid.read)
        .await?;
        rows.into_iter().map(StoredStep::try_from).collect()
    }

    /// Removes the oldest ended operations beyond what is kept, in portions.
    pub async fn trim_operations(&self) -> Result<()> {
        self.trim_operations_to(KEPT, KEPT_STEPS, KEPT_BYTES).await
    }

    async fn trim_operations_to(&self, kept: i64, steps: i64, bytes: i64) -> Result<()> {
        let surplus: Vec<(String,)> = sqlx::query_as(
            "select id from (select id, state, row_number() over newest as place, \
             sum(request ->> '$.steps') over newest as steps, \
             sum(coalesce(request ->> '$.log_bytes', 0)) over newest as bytes \
             from operation window newest as (order by id desc)) \
             where state = 'ended' and (place > ? or steps > ? or bytes > ?) order by id",
        )
        .bind(kept)
        .bind(steps)
        .bind(bytes)
        .fetch_all(&self.grid.read)
        .await?;
        for (id,) in surplus {
            self.remove_operation(&id).await?;
        }
        Ok(())
    }

    /// Removes an operation. One of which only a part is removed when the manager ends is removed later.
    async fn remove_operation(&self, id: &str) -> Result<()> {
        for table in ["operation_log", "step"] {
            let sql = format!(
                "delete from {table} where operation = ?1 and number < \
                 (select min(number) from {table} where operation = ?1) + ?2"
            );
            loop {
                let removed = sqlx::query(sqlx::AssertSqlSafe(sql.as_str()))
                    .bind(id)
                    .bind(PORTION)
                    .execute(&self.grid.write)
                    .await?;
                if removed.rows_affected() == 0 {
                    break;
                }
            }
        }
        sqlx::query("delete from operation where id = ?").bind(id).execute(&self.grid.write).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
