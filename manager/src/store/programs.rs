//! Hook programs: their names and hashes. Their files are blobs.

use protocol::time::Timestamp;

use super::{
    Result, Store, StoreError,
    events::{self, EventRow},
};
use crate::grid::hooks::program::StoredProgram;

impl Store {
    /// Every program, by name.
    pub async fn programs(&self) -> Result<Vec<StoredProgram>> {
        let rows: Vec<(String, String, i64, i64, String)> =
            sqlx::query_as("select name, hash, size, added_at, added_by from program order by name")
                .fetch_all(&self.grid.read)
                .await?;
        let program = |(name, hash, size, added_at, added_by)| StoredProgram {
            name,
            hash,
            size: u64::try_from(size).unwrap_or_default(),
            added_at: Timestamp::from_millis(added_at),
            added_by,
        };
        Ok(rows.into_iter().map(program).collect())
    }

    /// Adds a program, or replaces the one of its name.
    pub async fn put_program(&self, program: &StoredProgram, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        sqlx::query(
            "insert into program (name, hash, size, added_at, added_by) values (?, ?, ?, ?, ?) on conflict (name) \
             do update set hash = excluded.hash, size = excluded.size, added_at = excluded.added_at, added_by = excluded.added_by",
        )
        .bind(&program.name)
        .bind(&program.hash)
        .bind(i64::try_from(program.size).unwrap_or(i64::MAX))
        .bind(program.added_at.as_millis())
        .bind(&program.added_by)
        .execute(&mut *tx)
        .await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes a program.
    pub async fn remove_program(&self, name: &str, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        let removed = sqlx::query("delete from program where name = ?").bind(name).execute(&mut *tx).await?;
        if removed.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    fn program(name: &str, hash: &str) -> StoredProgram {
        StoredProgram {
            name: name.to_owned(),
            hash: hash.to_owned(),
            size: 7,
            added_at: Timestamp::EPOCH,
            added_by: "me".to_owned(),
        }
    }

    fn event(seq: u64) -> EventRow {
        EventRow { seq, at: Timestamp::EPOCH, body: "{}".to_owned(), deed: None }
    }

    #[tokio::test]
    async fn a_name_stands_for_its_latest_program() {
        let (_dir, store) = temporary().await;
        for (seq, (name, hash)) in [("b.sh", "1"), ("a.sh", "2"), ("b.sh", "3")].into_iter().enumerate() {
            store.put_program(&program(name, hash), &event(seq as u64 + 1)).await.unwrap();
        }
        assert_eq!(store.programs().await.unwrap(), [program("a.sh", "2"), program("b.sh", "3")]);
        store.remove_program("a.sh", &event(4)).await.unwrap();
        assert!(matches!(store.remove_program("a.sh", &event(5)).await, Err(StoreError::NotFound)));
        assert_eq!(store.programs().await.unwrap(), [program("b.sh", "3")]);
        assert_eq!(store.events_after(3, 9).await.unwrap().len(), 1);
    }
}
