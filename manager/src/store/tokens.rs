//! Join tokens and API tokens, known by their hashes only.

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Result, Store, StoreError,
    events::{self, EventRow},
    machines::Hash,
};
use crate::grid::{access::Role, schema};

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
    /// The role that an API token gives.
    pub role: Option<Role>,
    /// The only machine that a join token serves, if it was made for one.
    pub machine: Option<String>,
    /// How many machines a join token may serve.
    pub max_uses: Option<u32>,
    /// How many it has served.
    pub uses: Option<u32>,
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
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    is_join: bool,
    role: Option<String>,
    machine: Option<String>,
    max_uses: Option<u32>,
    uses: Option<u32>,
    created_at: i64,
    created_by: String,
    expires_at: i64,
    revoked_at: Option<i64>,
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
            created_at: Timestamp::from_millis(row.created_at),
            created_by: row.created_by,
            expires_at: Timestamp::from_millis(row.expires_at),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
        }
    }
}

impl Store {
    /// Stores a token by its hash.
    pub async fn add_token(&self, token: &Token, hash: &Hash, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
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
                sqlx::query(
                    "insert into api_token (id, hash, role, created_at, created_by, expires_at) values (?, ?, ?, ?, ?, ?)",
                )
                .bind(&token.id)
                .bind(&hash[..])
                .bind(token.role.unwrap_or(Role::Viewer).as_str())
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

    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<Token>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, true as is_join, null as role, machine, max_uses, uses, created_at, created_by, expires_at, \
             revoked_at from join_token \
             union all select id, false, role, null, null, null, created_at, created_by, expires_at, revoked_at \
             from api_token order by created_at, id",
        )
        .fetch_all(&self.grid.read)
        .await?;
        Ok(rows.into_iter().map(Token::from).collect())
    }

    /// Revokes a token by its id.
    pub async fn revoke_token(&self, id: &str, at: Timestamp, event: &EventRow) -> Result<()> {
        let mut tx = self.grid.write.begin().await?;
        let mut found = 0;
        for sql in [
            "update join_token set revoked_at = coalesce(revoked_at, ?) where id = ?",
            "update api_token set revoked_at = coalesce(revoked_at, ?) where id = ?",
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

    /// Whether there is a join token with this hash, good or not.
    pub async fn has_join_token(&self, hash: &Hash) -> Result<bool> {
        let found = sqlx::query("select 1 from join_token where hash = ?")
            .bind(&hash[..])
            .fetch_optional(&self.grid.read)
            .await?;
        Ok(found.is_some())
    }

    /// The id and role of an API token that is good now.
    pub async fn api_token(&self, hash: &Hash, now: Timestamp) -> Result<Option<(String, Role)>> {
        let row: Option<(String, String)> =
            sqlx::query_as("select id, role from api_token where hash = ? and expires_at > ? and revoked_at is null")
                .bind(&hash[..])
                .bind(now.as_millis())
                .fetch_optional(&self.grid.read)
                .await?;
        Ok(row.and_then(|(id, role)| Some((id, role.parse().ok()?))))
    }
}
