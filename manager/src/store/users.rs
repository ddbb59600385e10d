//! Users of the dashboard, and their sessions.

use protocol::time::Timestamp;

use super::{
    Result, Store,
    events::{self, EventRow},
    machines::Hash,
};
use crate::grid::access::Role;

impl Store {
    /// Adds a user, unless there is one of that name. Returns whether it was added.
    pub async fn add_user(&self, name: &str, password_hash: &str, role: Role, at: Timestamp) -> Result<bool> {
        let added = sqlx::query(
            "insert into user (name, password_hash, role, created_at) values (?, ?, ?, ?) on conflict do nothing",
        )
        .bind(name)
        .bind(password_hash)
        .bind(role.as_str())
        .bind(at.as_millis())
        .execute(&self.grid.write)
        .await?;
        Ok(added.rows_affected() == 1)
    }

    /// Whether there is any user.
    pub async fn has_users(&self) -> Result<bool> {
        Ok(sqlx::query("select 1 from user limit 1").fetch_optional(&self.grid.read).await?.is_some())
    }

    /// The password hash of a user.
    pub async fn password_hash(&self, name: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = sqlx::query_as("select password_hash from user where name = ?")
            .bind(name)
            .fetch_optional(&self.grid.read)
            .await?;
        Ok(row.map(|(hash,)| hash))
    }

    /// Opens a session; sessions whose time is over go.
    pub async fn add_session(
        &self,
        hash: &Hash,
        user: &str,
        now: Timestamp,
        expires_at: Timestamp,
        event: &EventRow,
    ) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        sqlx::query("delete from session where expires_at <= ?").bind(now.as_millis()).execute(&mut *tx).await?;
        sqlx::query("insert into session (hash, user, created_at, expires_at) values (?, ?, ?, ?)")
            .bind(&hash[..])
            .bind(user)
            .bind(now.as_millis())
            .bind(expires_at.as_millis())
            .execute(&mut *tx)
            .await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The user and role of a session that is good now.
    pub async fn session(&self, hash: &Hash, now: Timestamp) -> Result<Option<(String, Role)>> {
        let row: Option<(String, String)> = sqlx::query_as(
            "select user.name, user.role from session join user on user.name = session.user \
             where session.hash = ? and session.expires_at > ?",
        )
        .bind(&hash[..])
        .bind(now.as_millis())
        .fetch_optional(&self.grid.read)
        .await?;
        Ok(row.and_then(|(name, role)| Some((name, role.parse().ok()?))))
    }

    /// Ends a session.
    pub async fn end_session(&self, hash: &Hash) -> Result<()> {
        sqlx::query("delete from session where hash = ?").bind(&hash[..]).execute(&self.grid.write).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::temporary;

    #[tokio::test]
    async fn a_session_ends_by_time_and_by_logging_out() {
        let (_dir, store) = temporary().await;
        let now = Timestamp::from_millis(1000);
        let later = now.after(Duration::from_secs(60));
        assert!(!store.has_users().await.unwrap());
        assert!(store.add_user("admin", "hash", Role::Admin, now).await.unwrap());
        assert!(!store.add_user("admin", "other", Role::Viewer, now).await.unwrap());
        let event = EventRow { seq: 1, at: now, body: "{}".to_owned(), deed: None };
        store.add_session(&[1; 32], "admin", now, later, &event).await.unwrap();
        assert!(store.add_session(&[2; 32], "admin", now, later, &event).await.is_err(), "the number is taken");
        assert_eq!(store.session(&[2; 32], now).await.unwrap(), None);
        assert_eq!(store.session(&[1; 32], now).await.unwrap(), Some(("admin".to_owned(), Role::Admin)));
        assert_eq!(store.session(&[1; 32], later).await.unwrap(), None);
        store.end_session(&[1; 32]).await.unwrap();
        assert_eq!(store.session(&[1; 32], now).await.unwrap(), None);
    }
}
