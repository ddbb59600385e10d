//! The names of services.

use protocol::name::{MachineName, ServiceName};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{Result, Store, StoreError};
use crate::grid::naming::{self, Choice};

impl Store {
    /// The name of an instance: the one it was given once, or a new one. A declared name is taken over when it is free.
    /// Where too many names are kept for the machine, the oldest goes whose base is not `in_use`; one that is tagged last.
    pub async fn name_service(
        &self,
        id: Uuid,
        machine: &MachineName,
        base: &str,
        declared: Option<&ServiceName>,
        in_use: impl FnOnce() -> Vec<String>,
    ) -> Result<ServiceName> {
        let known = known_name(&mut *self.grid.read.acquire().await?, id, base).await?;
        if let Some(known) = known
            && declared.is_none_or(|declared| *declared == known)
        {
            return Ok(known);
        }
        let mut tx = self.grid.write.begin().await?;
        let known = known_name(&mut tx, id, base).await?;
        if known.is_none() {
            make_room_for_a_name(&mut tx, id, in_use).await?;
        }
        let mut chosen = None;
        for candidate in naming::candidates(base, machine, declared) {
            // A name is kept; only a declared one that is free replaces it.
            if (known.is_none() || candidate.declared) && !is_taken(&mut tx, &candidate.name, id, base).await? {
                chosen = Some(candidate);
                break;
            }
        }
        let Some(Choice { name, declared }) = chosen else {
            return known.ok_or_else(|| StoreError::Conflict(format!("no name is free for `{base}` of `{machine}`")));
        };
        sqlx::query(
            "insert into service (machine, base, name, declared) values (?, ?, ?, ?) \
             on conflict (machine, base) do update set name = excluded.name, declared = excluded.declared",
        )
        .bind(id.to_string())
        .bind(base)
        .bind(name.as_str())
        .bind(declared)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(name)
    }
}

async fn known_name(connection: &mut SqliteConnection, id: Uuid, base: &str) -> Result<Option<ServiceName>> {
    let row: Option<(String,)> = sqlx::query_as("select name from service where machine = ? and base = ?")
        .bind(id.to_string())
        .bind(base)
        .fetch_optional(connection)
        .await?;
    Ok(row.and_then(|(name,)| name.parse().ok()))
}

async fn is_taken(connection: &mut SqliteConnection, name: &ServiceName, id: Uuid, base: &str) -> Result<bool> {
    let other = sqlx::query("select 1 from service where name = ? and not (machine = ? and base = ?)")
        .bind(name.as_str())
        .bind(id.to_string())
        .bind(base)
        .fetch_optional(connection)
        .await?;
    Ok(other.is_some())
}

async fn make_room_for_a_name(
    connection: &mut SqliteConnection,
    id: Uuid,
    in_use: impl FnOnce() -> Vec<String>,
) -> Result<()> {
    let (kept,): (i64,) = sqlx::query_as("select count(*) from service where machine = ?")
        .bind(id.to_string())
        .fetch_one(&mut *connection)
        .await?;
    if usize::try_from(kept).is_ok_and(|kept| kept < naming::MAX_NAMES) {
        return Ok(());
    }
    let in_use = serde_json::Value::from(in_use()).to_string();
    sqlx::query(
        "delete from service where rowid = (select rowid from service where machine = ? \
         and base not in (select value from json_each(?)) \
         order by exists (select 1 from service_tag t where t.machine = service.machine and t.base = service.base), \
         rowid limit 1)",
    )
    .bind(id.to_string())
    .bind(in_use)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    /// A store with one machine, of that name and key.
    async fn with_machine(store: &Store, name: &str, key: u8) -> (Uuid, MachineName) {
        let id = Uuid::from_u128(u128::from(key));
        sqlx::query("insert into machine (id, name, key_hash, joined_at) values (?, ?, ?, 0)")
            .bind(id.to_string())
            .bind(name)
            .bind(&[key; 32][..])
            .execute(&store.grid.write)
            .await
            .unwrap();
        (id, name.parse().unwrap())
    }

    #[tokio::test]
    async fn names_are_kept_and_only_a_free_declared_one_replaces_them() {
        let (_dir, store) = temporary().await;
        let (one, web_1) = with_machine(&store, "web-1", 1).await;
        let (two, web_2) = with_machine(&store, "web-2", 2).await;
        let shop: ServiceName = "shop".parse().unwrap();
        for (id, machine, declared, expected) in [
            (one, &web_1, None, "a@web-1"),
            (two, &web_2, Some(&shop), "shop"),
            (one, &web_1, Some(&shop), "a@web-1"),
            (two, &web_2, None, "shop"),
            (two, &web_2, Some(&"a@web-1".parse().unwrap()), "shop"),
            (one, &web_1, Some(&"front@web-1".parse().unwrap()), "front@web-1"),
        ] {
            let name = store.name_service(id, machine, "/srv/a", declared, Vec::new).await.unwrap();
            assert_eq!(name.as_str(), expected);
        }
    }

    #[tokio::test]
    async fn three_long_names_differ() {
        let (_dir, store) = temporary().await;
        let (id, machine) = with_machine(&store, "web-1", 1).await;
        let long = "x".repeat(200);
        let mut names = std::collections::BTreeSet::new();
        for parent in ["a", "b", "c"] {
            let base = format!("/{}/{long}", parent.repeat(120));
            names.insert(store.name_service(id, &machine, &base, None, Vec::new).await.unwrap());
        }
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[tokio::test]
    async fn a_machine_has_so_many_names_and_no_more() {
        let (_dir, store) = temporary().await;
        let (id, machine) = with_machine(&store, "web-1", 1).await;
        let (other, db) = with_machine(&store, "db-1", 2).await;
        store.name_service(other, &db, "/srv/0", None, Vec::new).await.unwrap();
        sqlx::query(
            "with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < ?) \
             insert into service (machine, base, name, declared) select ?, '/srv/' || i, 'old-' || i, false from n",
        )
        .bind(i64::try_from(naming::MAX_NAMES).unwrap())
        .bind(id.to_string())
        .execute(&store.grid.write)
        .await
        .unwrap();
        store.name_service(id, &machine, "/srv/new", None, || vec!["/srv/0".to_owned()]).await.unwrap();
        let kept: Vec<(String,)> = sqlx::query_as("select base from service where machine = ? order by rowid")
            .bind(id.to_string())
            .fetch_all(&store.grid.read)
            .await
            .unwrap();
        // The oldest that was not in use has gone.
        assert_eq!((kept.len(), &*kept[0].0, &*kept[1].0), (naming::MAX_NAMES, "/srv/0", "/srv/2"));
        assert!(store.name_service(other, &db, "/srv/0", None, Vec::new).await.is_ok());
    }
}
