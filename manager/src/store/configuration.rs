//! The versions of the grid's configuration. Every one that was applied is kept.

use std::collections::BTreeSet;

use protocol::time::Timestamp;

use super::{
    Result, Store,
    events::{self, EventRow},
};

/// A version of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigVersion {
    /// Its number; the first is 1.
    pub version: u64,
    /// When it was applied.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// How it came: `apply`, `restore` or `collection`.
    pub cause: String,
    /// Its text; not read for lists.
    pub text: String,
}

type Row = (i64, i64, String, String, String);

fn of((version, at, actor, cause, text): Row) -> ConfigVersion {
    let version = u64::try_from(version).unwrap_or_default();
    ConfigVersion { version, at: Timestamp::from_millis(at), actor, cause, text }
}

impl Store {
    /// The version that was applied last.
    pub async fn current_configuration(&self) -> Result<Option<ConfigVersion>> {
        let row: Option<Row> =
            sqlx::query_as("select version, at, actor, cause, text from config_version order by version desc limit 1")
                .fetch_optional(&self.grid.read)
                .await?;
        Ok(row.map(of))
    }

    /// One version.
    pub async fn configuration(&self, version: u64) -> Result<Option<ConfigVersion>> {
        let row: Option<Row> =
            sqlx::query_as("select version, at, actor, cause, text from config_version where version = ?")
                .bind(i64::try_from(version).unwrap_or(i64::MAX))
                .fetch_optional(&self.grid.read)
                .await?;
        Ok(row.map(of))
    }

    /// The versions before one, or all, newest first, without their texts.
    pub async fn configurations(&self, before: Option<u64>, limit: u32) -> Result<Vec<ConfigVersion>> {
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let rows: Vec<Row> = sqlx::query_as(
            "select version, at, actor, cause, '' from config_version where version < ? order by version desc limit ?",
        )
        .bind(before)
        .bind(limit)
        .fetch_all(&self.grid.read)
        .await?;
        Ok(rows.into_iter().map(of).collect())
    }

    /// Stores a version with the event of it. A version of that number is in the way.
    pub async fn add_configuration(&self, version: &ConfigVersion, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        sqlx::query("insert into config_version (version, at, actor, cause, text) values (?, ?, ?, ?, ?)")
            .bind(i64::try_from(version.version).unwrap_or(i64::MAX))
            .bind(version.at.as_millis())
            .bind(&version.actor)
            .bind(&version.cause)
            .bind(&version.text)
            .execute(&mut *tx)
            .await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The names of the hook programs.
    pub async fn program_names(&self) -> Result<BTreeSet<String>> {
        let rows: Vec<(String,)> = sqlx::query_as("select name from program").fetch_all(&self.grid.read).await?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        grid::event::{Draft, Event, Kind},
        store::{StoreError, temporary},
    };

    fn event(seq: u64) -> EventRow {
        let (id, draft) = (format!("1-{seq}"), Draft::new(Kind::ConfigApplied));
        EventRow::of(seq, &Event { id, at: Timestamp::from_millis(7), draft })
    }

    fn version(version: u64) -> ConfigVersion {
        let (actor, cause, text) = ("anna".to_owned(), "apply".to_owned(), format!("# {version}\n"));
        ConfigVersion { version, at: Timestamp::from_millis(7), actor, cause, text }
    }

    #[tokio::test]
    async fn every_version_is_kept() {
        let (_dir, store) = temporary().await;
        assert_eq!(store.current_configuration().await.unwrap(), None);
        for number in 1..=3 {
            store.add_configuration(&version(number), &event(number)).await.unwrap();
        }
        assert_eq!(store.current_configuration().await.unwrap(), Some(version(3)));
        assert_eq!(store.configuration(1).await.unwrap(), Some(version(1)));
        assert_eq!(store.configuration(9).await.unwrap(), None);
        let numbers = |versions: Vec<ConfigVersion>| versions.iter().map(|version| version.version).collect::<Vec<_>>();
        assert_eq!(numbers(store.configurations(None, 2).await.unwrap()), [3, 2]);
        assert_eq!(numbers(store.configurations(Some(2), 2).await.unwrap()), [1]);
        assert!(matches!(store.add_configuration(&version(3), &event(4)).await, Err(StoreError::Conflict(_))));
        assert_eq!(store.events_after(3, 9).await.unwrap(), [], "without its version the event is not written");
    }
}
