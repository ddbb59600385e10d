//! Users of the grid, and their sessions.

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use super::{
    Result, Store, StoreError,
    events::{self, EventRow},
    machines::Hash,
};
use crate::grid::{access::Role, page::Page, schema};

/// A user of the grid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The name.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// When the user was added.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When the user logged in last.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub last_login_at: Option<Timestamp>,
    /// When the password was changed or reset last; nothing while it is the first.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub password_changed_at: Option<Timestamp>,
    /// How many sessions are open.
    pub sessions: u32,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    role: String,
    created_at: i64,
    created_by: String,
    last_login_at: Option<i64>,
    password_changed_at: Option<i64>,
    sessions: u32,
}

impl TryFrom<Row> for User {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self> {
        let damaged = |error| StoreError::Other(anyhow::anyhow!("the user `{}` is damaged: {error}", row.name));
        Ok(Self {
            role: row.role.parse().map_err(damaged)?,
            name: row.name,
            created_at: Timestamp::from_millis(row.created_at),
            created_by: row.created_by,
            last_login_at: row.last_login_at.map(Timestamp::from_millis),
            password_changed_at: row.password_changed_at.map(Timestamp::from_millis),
            sessions: row.sessions,
        })
    }
}

/// What is read of users; the first parameter is now.
const COLUMNS: &str = "select name, role, created_at, created_by, last_login_at, password_changed_at, \
                       (select count(*) from session where user = user.name and expires_at > ?1) as sessions from user";

/// A session that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub user: String,
    /// What that user may do.
    pub role: Role,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Store {
    /// Adds a user, unless there is one of that name. Returns whether it was added.
    pub async fn add_user(&self, name: &str, password_hash: &str, role: Role, at: Timestamp) -> Result<bool> {
        let added = insert(&mut *self.grid.write.acquire().await?, name, password_hash, role, "", at).await?;
        Ok(added)
    }

    /// Adds a user, by whom `event` says.
    pub async fn create_user(
        &self,
        name: &str,
        password_hash: &str,
        role: Role,
        by: &str,
        event: &EventRow,
    ) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        if !insert(&mut tx, name, password_hash, role, by, event.at).await? {
            return Err(StoreError::Conflict(format!("there is a user `{name}` already")));
        }
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether there is any user.
    pub async fn has_users(&self) -> Result<bool> {
        Ok(sqlx::query("select 1 from user limit 1").fetch_optional(&self.grid.read).await?.is_some())
    }

    /// A part of the users, by name.
    pub async fn users(&self, cursor: Option<&str>, limit: u32, now: Timestamp) -> Result<Page<User>> {
        let sql = format!("{COLUMNS} where name > ?2 order by name limit ?3");
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now.as_millis())
            .bind(cursor.unwrap_or_default())
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.grid.read)
            .await?;
        let users = rows.into_iter().map(User::try_from).collect::<Result<Vec<_>>>()?;
        Ok(Page::of(users, |user| user.name.clone(), None, limit))
    }

    /// A user.
    pub async fn user(&self, name: &str, now: Timestamp) -> Result<User> {
        let sql = format!("{COLUMNS} where name = ?2");
        let row: Row = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now.as_millis())
            .bind(name)
            .fetch_one(&self.grid.read)
            .await?;
        row.try_into()
    }

    /// Gives a user another role. The last admin stays one.
    pub async fn change_role(&self, name: &str, role: Role, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        if role < Role::Admin {
            spare_the_last_admin(&mut tx, name).await?;
        }
        let changed = sqlx::query("update user set role = ? where name = ?").bind(role.as_str()).bind(name);
        done(changed.execute(&mut *tx).await?)?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes a user, with their sessions and API tokens. The last admin stays.
    pub async fn remove_user(&self, name: &str, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        spare_the_last_admin(&mut tx, name).await?;
        done(sqlx::query("delete from user where name = ?").bind(name).execute(&mut *tx).await?)?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The password hash of a user.
    pub async fn password_hash(&self, name: &str) -> Result<Option<String>> {
        let row: Option<(String,)> = sqlx::query_as("select password_hash from user where name = ?")
            .bind(name)
            .fetch_optional(&self.grid.read)
            .await?;
        Ok(row.map(|(hash,)| hash))
    }

    /// Gives a user another password, and ends their sessions but one. With `old` only if that is still the hash.
    pub async fn set_password(
        &self,
        name: &str,
        old: Option<&str>,
        new: &str,
        but: Option<&Hash>,
        event: &EventRow,
    ) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        let changed = sqlx::query(
            "update user set password_hash = ?1, password_changed_at = ?2 \
             where name = ?3 and (?4 is null or password_hash = ?4)",
        )
        .bind(new)
        .bind(event.at.as_millis())
        .bind(name)
        .bind(old)
        .execute(&mut *tx)
        .await?;
        done(changed)?;
        sqlx::query("delete from session where user = ? and hash is not ?")
            .bind(name)
            .bind(but.map(|hash| &hash[..]))
            .execute(&mut *tx)
            .await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Opens a session, unless the password is another by now; sessions whose time is over go.
    pub async fn add_session(
        &self,
        hash: &Hash,
        user: &str,
        password_hash: &str,
        expires_at: Timestamp,
        event: &EventRow,
    ) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        let now = event.at.as_millis();
        sqlx::query("delete from session where expires_at <= ?").bind(now).execute(&mut *tx).await?;
        let noted = sqlx::query("update user set last_login_at = ? where name = ? and password_hash = ?")
            .bind(now)
            .bind(user)
            .bind(password_hash)
            .execute(&mut *tx)
            .await?;
        done(noted)?;
        sqlx::query("insert into session (hash, user, created_at, expires_at) values (?, ?, ?, ?)")
            .bind(&hash[..])
            .bind(user)
            .bind(now)
            .bind(expires_at.as_millis())
            .execute(&mut *tx)
            .await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A session that is good now.
    pub async fn session(&self, hash: &Hash, now: Timestamp) -> Result<Option<Session>> {
        let row: Option<(String, String, i64)> = sqlx::query_as(
            "select user.name, user.role, session.expires_at from session join user on user.name = session.user \
             where session.hash = ? and session.expires_at > ?",
        )
        .bind(&hash[..])
        .bind(now.as_millis())
        .fetch_optional(&self.grid.read)
        .await?;
        let session = |(user, role, ends): (String, String, i64)| {
            Some(Session { user, role: role.parse().ok()?, expires_at: Timestamp::from_millis(ends) })
        };
        Ok(row.and_then(session))
    }

    /// Ends a session.
    pub async fn end_session(&self, hash: &Hash, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        done(sqlx::query("delete from session where hash = ?").bind(&hash[..]).execute(&mut *tx).await?)?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends every session of a user.
    pub async fn end_sessions(&self, user: &str, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        sqlx::query("select 1 from user where name = ?").bind(user).fetch_one(&mut *tx).await?;
        sqlx::query("delete from session where user = ?").bind(user).execute(&mut *tx).await?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    name: &str,
    password_hash: &str,
    role: Role,
    by: &str,
    at: Timestamp,
) -> Result<bool> {
    let added = sqlx::query(
        "insert into user (name, password_hash, role, created_by, created_at) values (?, ?, ?, ?, ?) \
         on conflict do nothing",
    )
    .bind(name)
    .bind(password_hash)
    .bind(role.as_str())
    .bind(by)
    .bind(at.as_millis())
    .execute(connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Refuses what would leave the grid without an admin.
async fn spare_the_last_admin(connection: &mut SqliteConnection, name: &str) -> Result<()> {
    let (is_last,): (bool,) = sqlx::query_as(
        "select exists (select 1 from user where name = ?1 and role = 'admin') \
         and not exists (select 1 from user where name <> ?1 and role = 'admin')",
    )
    .bind(name)
    .fetch_one(connection)
    .await?;
    match is_last {
        true => Err(StoreError::Conflict(format!("`{name}` is the last admin: make another user an admin first"))),
        false => Ok(()),
    }
}

/// Whether a change found what it changes.
fn done(changed: sqlx::sqlite::SqliteQueryResult) -> Result<()> {
    match changed.rows_affected() {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
