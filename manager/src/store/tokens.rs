//! Join tokens and API tokens, known by their hashes only.

use std::time::Duration;

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Result, Store, StoreError,
    events::{self, EventRow},
    machines::Hash,
};
use crate::grid::{access::Role, page::Page, schema, target::Target};

/// How many API tokens that are good one user may have.
const MOST_OF_USER: i64 = 100;

/// How often the last use of a token is noted at most.
pub const NOTE_EVERY: Duration = Duration::from_secs(60);

/// How long tokens that have ended are still listed.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    /// Joins machines.
    Join,
    /// Calls the API.
    Api,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub r#type: TokenType,
    /// The role that an API token gives, if its owner has that role.
    pub role: Option<Role>,
    /// The only machine that a join token serves, if it was made for one.
    pub machine: Option<String>,
    /// How many machines a join token may serve.
    pub max_uses: Option<u32>,
    /// How many it has served.
    pub uses: Option<u32>,
    /// The user whose API token it is; nobody's without one.
    pub owner: Option<String>,
    /// The only targets that an API token is for; everything without it.
    pub targets: Option<Vec<String>>,
    /// What it is for, in words.
    pub description: String,
    /// When it was made.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it ends.
    #[schema(value_type = schema::Timestamp)]
    pub expires_at: Timestamp,
    /// When it was revoked.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub revoked_at: Option<Timestamp>,
    /// When an API token was used last, to a minute.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_used_from: Option<String>,
}

/// Which tokens are wanted.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// Of this type only.
    pub r#type: Option<TokenType>,
    /// API tokens of this user only.
    pub owner: Option<String>,
}

/// An API token that is good, as far as it decides what its caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: String,
    /// The lesser of its own role and its owner's.
    pub role: Role,
    /// Whose it is.
    pub owner: Option<String>,
    /// The only targets that it is for.
    pub targets: Option<Vec<Target>>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was used last, as far as that is noted.
    pub last_used_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    is_join: bool,
    role: Option<String>,
    machine: Option<String>,
    max_uses: Option<u32>,
    uses: Option<u32>,
    owner: Option<String>,
    targets: Option<String>,
    description: String,
    created_at: i64,
    created_by: String,
    expires_at: i64,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
    last_used_from: Option<String>,
}

impl From<Row> for Token {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            r#type: if row.is_join { TokenType::Join } else { TokenType::Api },
            role: row.role.and_then(|role| role.parse().ok()),
            machine: row.machine,
            max_uses: row.max_uses,
            uses: row.uses,
            owner: row.owner,
            // A limit that cannot be read is one to nothing.
            targets: row.targets.map(|targets| serde_json::from_str(&targets).unwrap_or_default()),
            description: row.description,
            created_at: Timestamp::from_millis(row.created_at),
            created_by: row.created_by,
            expires_at: Timestamp::from_millis(row.expires_at),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
            last_used_at: row.last_used_at.map(Timestamp::from_millis),
            last_used_from: row.last_used_from,
        }
    }
}

const ALL: &str = "select * from ( \
    select id, true as is_join, null as role, machine, max_uses, uses, null as owner, null as targets, \
    '' as description, created_at, created_by, expires_at, revoked_at, null as last_used_at, null as last_used_from \
    from join_token \
    union all select id, false, role, null, null, null, owner, targets, description, created_at, created_by, \
    expires_at, revoked_at, last_used_at, last_used_from from api_token)";

impl Store {
    /// Stores a token by its hash. An owner must be there, and have room for it. Forgets what ended long ago.
    pub async fn add_token(&self, token: &Token, hash: &Hash, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        // Else they would become more for ever.
        let long_ago = token.created_at.before(KEPT).as_millis();
        for sql in [
            "delete from join_token where min(expires_at, coalesce(revoked_at, expires_at)) < ?",
            "delete from api_token where min(expires_at, coalesce(revoked_at, expires_at)) < ?",
        ] {
            sqlx::query(sql).bind(long_ago).execute(&mut *tx).await?;
        }
        match token.r#type {
            TokenType::Join => {
                sqlx::query(
                    "insert into join_token (id, hash, created_at, created_by, expires_at, max_uses, machine) \
                     values (?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(&token.id)
                .bind(&hash[..])
                .bind(token.created_at.as_millis())
                .bind(&token.created_by)
                .bind(token.expires_at.as_millis())
                .bind(token.max_uses.unwrap_or(1))
                .bind(&token.machine)
                .execute(&mut *tx)
                .await?;
            }
            TokenType::Api => {
                if let Some(owner) = &token.owner {
                    sqlx::query("select 1 from user where name = ?").bind(owner).fetch_one(&mut *tx).await?;
                    let (good,): (i64,) = sqlx::query_as(
                        "select count(*) from api_token where owner = ? and expires_at > ? and revoked_at is null",
                    )
                    .bind(owner)
                    .bind(token.created_at.as_millis())
                    .fetch_one(&mut *tx)
                    .await?;
                    if good >= MOST_OF_USER {
                        let message = format!("`{owner}` has {MOST_OF_USER} API tokens: revoke some first");
                        return Err(StoreError::Conflict(message));
                    }
                }
                let targets = token.targets.as_ref().map(|targets| serde_json::json!(targets).to_string());
                sqlx::query(
                    "insert into api_token (id, hash, role, owner, targets, description, created_at, created_by, \
                     expires_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(&token.id)
                .bind(&hash[..])
                .bind(token.role.unwrap_or(Role::Viewer).as_str())
                .bind(&token.owner)
                .bind(targets)
                .bind(&token.description)
                .bind(token.created_at.as_millis())
                .bind(&token.created_by)
                .bind(token.expires_at.as_millis())
                .execute(&mut *tx)
                .await?;
            }
        }
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A part of the tokens, oldest first, after the one that the cursor names.
    pub async fn tokens(&self, which: &Which, cursor: Option<(i64, &str)>, limit: u32) -> Result<Page<Token>> {
        let (after, id) = cursor.unwrap_or((i64::MIN, ""));
        let sql = format!(
            "{ALL} where (created_at, id) > (?1, ?2) and (?3 is null or is_join = ?3) \
             and (?4 is null or (owner = ?4 and not is_join)) order by created_at, id limit ?5"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after)
            .bind(id)
            .bind(which.r#type.map(|wanted| wanted == TokenType::Join))
            .bind(&which.owner)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.grid.read)
            .await?;
        let key = |token: &Token| format!("{}.{}", token.created_at.as_millis(), token.id);
        Ok(Page::of(rows.into_iter().map(Token::from), key, None, limit))
    }

    /// A token by its id.
    pub async fn token(&self, id: &str) -> Result<Option<Token>> {
        let sql = format!("{ALL} where id = ?");
        let row: Option<Row> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.grid.read).await?;
        Ok(row.map(Token::from))
    }

    /// Revokes a token by its id. One that was revoked before is none that could be.
    pub async fn revoke_token(&self, id: &str, at: Timestamp, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        let mut found = 0;
        for sql in [
            "update join_token set revoked_at = ? where id = ? and revoked_at is null",
            "update api_token set revoked_at = ? where id = ? and revoked_at is null",
        ] {
            found += sqlx::query(sql).bind(at.as_millis()).bind(id).execute(&mut *tx).await?.rows_affected();
        }
        if found == 0 {
            return Err(StoreError::NotFound);
        }
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The id of the join token with this hash, good or not.
    pub async fn join_token_id(&self, hash: &Hash) -> Result<Option<String>> {
        let found: Option<(String,)> = sqlx::query_as("select id from join_token where hash = ?")
            .bind(&hash[..])
            .fetch_optional(&self.grid.read)
            .await?;
        Ok(found.map(|(id,)| id))
    }

    /// The id of the API token with this hash, good or not, and whose it is.
    pub async fn api_token_id(&self, hash: &Hash) -> Result<Option<(String, Option<String>)>> {
        let found = sqlx::query_as("select id, owner from api_token where hash = ?").bind(&hash[..]);
        Ok(found.fetch_optional(&self.grid.read).await?)
    }

    /// An API token that is good now.
    pub async fn api_token(&self, hash: &Hash, now: Timestamp) -> Result<Option<ApiToken>> {
        type Row = (String, String, Option<String>, Option<String>, Option<String>, i64, Option<i64>);
        let row: Option<Row> = sqlx::query_as(
            "select api_token.id, api_token.role, owner, user.role, targets, expires_at, last_used_at \
             from api_token left join user on user.name = owner \
             where hash = ? and expires_at > ? and revoked_at is null",
        )
        .bind(&hash[..])
        .bind(now.as_millis())
        .fetch_optional(&self.grid.read)
        .await?;
        let Some((id, role, owner, owners_role, targets, expires_at, last_used_at)) = row else { return Ok(None) };
        let damaged = |error: String| StoreError::Other(anyhow::anyhow!("the token {id} is damaged: {error}"));
        let role: Role = role.parse().map_err(damaged)?;
        let role = match (&owner, owners_role) {
            (None, _) => role,
            (Some(_), Some(owners)) => role.min(owners.parse().map_err(damaged)?),
            (Some(_), None) => return Ok(None),
        };
        let parse = |targets: String| -> std::result::Result<Vec<Target>, String> {
            let targets: Vec<String> = serde_json::from_str(&targets).map_err(|error| error.to_string())?;
            targets.iter().map(|target| target.parse().map_err(|error| format!("{error}"))).collect()
        };
        let targets = targets.map(parse).transpose().map_err(damaged)?;
        let expires_at = Timestamp::from_millis(expires_at);
        let last_used_at = last_used_at.map(Timestamp::from_millis);
        Ok(Some(ApiToken { id, role, owner, targets, expires_at, last_used_at }))
    }

    /// Notes that an API token is used, unless that was noted a moment ago.
    pub async fn note_use(&self, id: &str, from: &str, now: Timestamp) -> Result<()> {
        sqlx::query(
            "update api_token set last_used_at = ?1, last_used_from = ?2 \
             where id = ?3 and (last_used_at is null or last_used_at <= ?4)",
        )
        .bind(now.as_millis())
        .bind(from)
        .bind(id)
        .bind(now.before(NOTE_EVERY).as_millis())
        .execute(&self.grid.write)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
