//! What the grid and this manager are.

use uuid::Uuid;

use super::{Result, Store, StoreError};

/// What the grid and this manager are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The grid's id.
    pub grid: Uuid,
    /// The grid's name.
    pub grid_name: String,
    /// This manager's id.
    pub manager: Uuid,
    /// The epoch in which it is primary.
    pub epoch: u64,
}

impl Store {
    /// What the grid and this manager are; made on the first start. A name that is given replaces the stored one.
    pub async fn meta(&self, name: Option<&str>) -> Result<Meta> {
        let mut tx = self.grid.write.begin().await?;
        let defaults = [
            ("grid_id", Uuid::new_v4().to_string()),
            ("grid_name", name.unwrap_or("grid").to_owned()),
            ("manager_id", Uuid::new_v4().to_string()),
            ("epoch", "1".to_owned()),
            ("seq_reserved", "0".to_owned()),
        ];
        for (key, value) in defaults {
            sqlx::query("insert into meta (key, value) values (?, ?) on conflict do nothing")
                .bind(key)
                .bind(value)
                .execute(&mut *tx)
                .await?;
        }
        if let Some(name) = name {
            sqlx::query("update meta set value = ? where key = 'grid_name'").bind(name).execute(&mut *tx).await?;
        }
        let rows: Vec<(String, String)> = sqlx::query_as("select key, value from meta").fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let find = |key: &str| {
            let found = rows.iter().find(|(found, _)| found == key).map(|(_, value)| value.clone());
            found.ok_or_else(|| StoreError::Other(anyhow::anyhow!("meta lacks {key}")))
        };
        let damaged = |error: String| StoreError::Other(anyhow::anyhow!("meta is damaged: {error}"));
        Ok(Meta {
            grid: find("grid_id")?.parse().map_err(|error: uuid::Error| damaged(error.to_string()))?,
            grid_name: find("grid_name")?,
            manager: find("manager_id")?.parse().map_err(|error: uuid::Error| damaged(error.to_string()))?,
            epoch: find("epoch")?.parse().map_err(|error: std::num::ParseIntError| damaged(error.to_string()))?,
        })
    }

    /// The fingerprint of the grid's certificate authority, once it is noted.
    pub async fn authority(&self) -> Result<Option<String>> {
        let row: Option<(String,)> =
            sqlx::query_as("select value from meta where key = 'authority'").fetch_optional(&self.grid.read).await?;
        Ok(row.map(|(fingerprint,)| fingerprint))
    }

    /// Notes the fingerprint of the grid's certificate authority, for good.
    pub async fn note_authority(&self, fingerprint: &str) -> Result<()> {
        sqlx::query("insert into meta (key, value) values ('authority', ?) on conflict do nothing")
            .bind(fingerprint)
            .execute(&self.grid.write)
            .await?;
        Ok(())
    }

    /// Sets sequence numbers aside, which are never handed out again, and returns the first of them.
    pub async fn reserve_sequence(&self, count: u64) -> Result<u64> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let (until,): (i64,) = sqlx::query_as(
            "update meta set value = cast(cast(value as integer) + ? as text) where key = 'seq_reserved' \
             returning cast(value as integer)",
        )
        .bind(count)
        .fetch_one(&self.grid.write)
        .await?;
        Ok(u64::try_from(until - count + 1).unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::temporary;

    #[tokio::test]
    async fn the_identity_is_made_once_and_may_be_renamed() {
        let (_dir, store) = temporary().await;
        let first = store.meta(Some("shop")).await.unwrap();
        assert_eq!(store.meta(None).await.unwrap(), first);
        assert_eq!(first.grid_name, "shop");
        assert_eq!(store.meta(Some("store")).await.unwrap().grid_name, "store");
    }

    #[tokio::test]
    async fn the_authority_is_noted_for_good() {
        let (_dir, store) = temporary().await;
        assert_eq!(store.authority().await.unwrap(), None);
        store.note_authority("first").await.unwrap();
        store.note_authority("second").await.unwrap();
        assert_eq!(store.authority().await.unwrap().as_deref(), Some("first"));
    }

    #[tokio::test]
    async fn sequence_numbers_are_never_handed_out_twice() {
        let (_dir, store) = temporary().await;
        store.meta(None).await.unwrap();
        assert_eq!(store.reserve_sequence(10).await.unwrap(), 1);
        assert_eq!(store.reserve_sequence(5).await.unwrap(), 11);
        assert_eq!(store.reserve_sequence(1).await.unwrap(), 16);
    }
}
