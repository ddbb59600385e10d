//! The tags of machines and services.

use std::collections::HashMap;

use protocol::name::MachineName;
use sqlx::SqliteConnection;

use super::{
    Result, Store, StoreError,
    events::{self, EventRow},
};
use crate::grid::tags::{MachineTags, Tag, TagChange, Tagged};

impl Store {
    /// The tags of every machine and its services. What cannot be read is left out.
    pub async fn tags(&self) -> Result<HashMap<MachineName, MachineTags>> {
        let rows: Vec<(String, Option<String>, String)> = sqlx::query_as(
            "select machine.name, null as base, tag from machine_tag join machine on machine.id = machine_tag.machine \
             union all \
             select machine.name, base, tag from service_tag join machine on machine.id = service_tag.machine",
        )
        .fetch_all(&self.grid.read)
        .await?;
        let mut tags: HashMap<MachineName, MachineTags> = HashMap::new();
        for (machine, base, tag) in rows {
            if let (Ok(machine), Ok(tag)) = (machine.parse(), tag.parse()) {
                tags.entry(machine).or_default().restore(base.as_deref(), tag);
            }
        }
        Ok(tags)
    }

    /// Changes the tags of machines and services that are registered, all or none of them.
    pub async fn change_tags(&self, change: &TagChange, of: &Tagged, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        let machines = serde_json::json!(of.machines);
        let services: Vec<_> =
            of.services.iter().map(|(_, machine, base)| serde_json::json!([machine, base])).collect();
        let services = serde_json::Value::from(services);
        check_there(&mut tx, &machines, &services, of).await?;
        let list = |tags: &std::collections::BTreeSet<Tag>| serde_json::json!(tags).to_string();
        for (sql, of, tags) in [
            (
                "insert into machine_tag (machine, tag) select machine.id, tag.value \
                 from json_each(?) wanted join machine on machine.name = wanted.value join json_each(?) tag \
                 where true on conflict do nothing",
                &machines,
                &change.add,
            ),
            (
                "insert into service_tag (machine, base, tag) select machine.id, wanted.value ->> 1, tag.value \
                 from json_each(?) wanted join machine on machine.name = wanted.value ->> 0 join json_each(?) tag \
                 where true on conflict do nothing",
                &services,
                &change.add,
            ),
            (
                "delete from machine_tag where machine in \
                 (select machine.id from machine join json_each(?) wanted on machine.name = wanted.value) \
                 and tag in (select value from json_each(?))",
                &machines,
                &change.remove,
            ),
            (
                "delete from service_tag where (machine, base) in \
                 (select machine.id, wanted.value ->> 1 from machine join json_each(?) wanted on machine.name = wanted.value ->> 0) \
                 and tag in (select value from json_each(?))",
                &services,
                &change.remove,
            ),
        ] {
            sqlx::query(sql).bind(of.to_string()).bind(list(tags)).execute(&mut *tx).await?;
        }
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Checks that everything to tag is registered: a machine may have been removed just now, and the name of a service may
/// not be stored, because the disk was full when it came.
async fn check_there(
    connection: &mut SqliteConnection,
    machines: &serde_json::Value,
    services: &serde_json::Value,
    of: &Tagged,
) -> Result<()> {
    let (there,): (i64,) = sqlx::query_as(
        "select (select count(*) from machine where name in (select value from json_each(?))) + \
         (select count(*) from json_each(?) wanted join machine on machine.name = wanted.value ->> 0 \
          join service on service.machine = machine.id and service.base = wanted.value ->> 1)",
    )
    .bind(machines.to_string())
    .bind(services.to_string())
    .fetch_one(connection)
    .await?;
    if usize::try_from(there).is_ok_and(|there| there == of.machines.len() + of.services.len()) {
        return Ok(());
    }
    Err(StoreError::Conflict("something of what is to be tagged is not registered now: look again".to_owned()))
}

#[cfg(test)]
mod tests {
    use protocol::time::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::store::temporary;

    fn event(seq: u64) -> EventRow {
        EventRow { seq, at: Timestamp::EPOCH, body: "{}".to_owned(), deed: None }
    }

    fn change(add: &[&str], remove: &[&str]) -> TagChange {
        let tags = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        TagChange::new(tags(add), tags(remove)).unwrap()
    }

    fn all() -> Tagged {
        let web: MachineName = "web-1".parse().unwrap();
        let service = |base: &str| ("x".parse().unwrap(), web.clone(), base.to_owned());
        Tagged { services: vec![service("/srv/a"), service("/srv/b")], machines: vec![web.clone()] }
    }

    /// A store with a machine and two services.
    async fn store() -> (tempfile::TempDir, Store) {
        let (dir, store) = temporary().await;
        let id = Uuid::from_u128(1);
        sqlx::query("insert into machine (id, name, key_hash, joined_at) values (?, 'web-1', x'01', 0)")
            .bind(id.to_string())
            .execute(&store.grid.write)
            .await
            .unwrap();
        for base in ["/srv/a", "/srv/b"] {
            store.name_service(id, &"web-1".parse().unwrap(), base, None, Vec::new).await.unwrap();
        }
        (dir, store)
    }

    #[tokio::test]
    async fn what_is_stored_is_what_the_rules_say() {
        let (_dir, store) = store().await;
        let web: MachineName = "web-1".parse().unwrap();
        let mut expected = MachineTags::default();
        for (seq, change) in
            [change(&["a", "b"], &[]), change(&["c"], &["a", "d"]), change(&["b"], &[])].iter().enumerate()
        {
            store.change_tags(change, &all(), &event(seq as u64 + 1)).await.unwrap();
            [None, Some("/srv/a"), Some("/srv/b")].into_iter().for_each(|base| expected.change(base, change));
            assert_eq!(store.tags().await.unwrap().get(&web), Some(&expected), "{change}");
        }
    }

    #[tokio::test]
    async fn nothing_is_tagged_unless_all_is_there() {
        let (_dir, store) = store().await;
        for (n, gone) in [
            Tagged { machines: vec!["web-2".parse().unwrap()], ..all() },
            Tagged { services: vec![("x".parse().unwrap(), "web-1".parse().unwrap(), "/srv/c".to_owned())], ..all() },
        ]
        .iter()
        .enumerate()
        {
            let refused = store.change_tags(&change(&["a"], &[]), gone, &event(n as u64)).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        }
        assert_eq!(store.tags().await.unwrap().len(), 0);
        assert_eq!(store.events_after(0, 9).await.unwrap(), []);
    }

    #[tokio::test]
    async fn tags_go_with_the_machine() {
        let (_dir, store) = store().await;
        store.change_tags(&change(&["a"], &[]), &all(), &event(1)).await.unwrap();
        store.remove_machine(&"web-1".parse().unwrap(), &event(2)).await.unwrap();
        assert_eq!(store.tags().await.unwrap().len(), 0);
    }
}
