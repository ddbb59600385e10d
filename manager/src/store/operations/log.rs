//! The logs of operations, read.

use protocol::time::Timestamp;
use uuid::Uuid;

use super::number;
use crate::{
    grid::operation::view::LogLine,
    store::{Result, Store},
};

impl Store {
    /// Lines of an operation's log after a number, oldest first.
    pub async fn operation_log(&self, id: Uuid, after: u64, limit: u32) -> Result<Vec<LogLine>> {
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(
            "select number, at, step, text from operation_log where operation = ? and number > ? order by number limit ?",
        )
        .bind(id.to_string())
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&self.grid.read)
        .await?;
        let line = |(of, at, step, text)| LogLine {
            number: u64::try_from(of).unwrap_or(0),
            at: Timestamp::from_millis(at),
            step: number(step),
            text,
        };
        Ok(rows.into_iter().map(line).collect())
    }

    /// How many lines the log of an operation has, and how long they are together, in bytes.
    pub async fn size_of_log(&self, id: Uuid) -> Result<(u64, u64)> {
        let (lines, bytes): (i64, i64) = sqlx::query_as(
            "select coalesce(max(number), 0), coalesce(sum(octet_length(text)), 0) from operation_log where operation = ?",
        )
        .bind(id.to_string())
        .fetch_one(&self.grid.read)
        .await?;
        Ok((u64::try_from(lines).unwrap_or(0), u64::try_from(bytes).unwrap_or(0)))
    }

    /// When the last line of an operation's log was written; `None` if it has none.
    pub async fn last_logged(&self, id: Uuid) -> Result<Option<Timestamp>> {
        let at: Option<(i64,)> =
            sqlx::query_as("select at from operation_log where operation = ? order by number desc limit 1")
                .bind(id.to_string())
                .fetch_optional(&self.grid.read)
                .await?;
        Ok(at.map(|(at,)| Timestamp::from_millis(at)))
    }
}
