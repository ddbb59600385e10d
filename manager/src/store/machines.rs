//! Machines, their agents' keys and link secrets.

use protocol::{
    join::{Refusal, RefusalCode},
    name::MachineName,
    report::MachineFacts,
    time::Timestamp,
};
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{
    Result, Store, StoreError,
    events::{self, EventRow},
};
use crate::grid::fleet::KnownMachine;

/// A SHA-256.
pub type Hash = [u8; 32];

/// A registered agent, as its link is decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: Uuid,
    /// Its machine.
    pub machine: MachineName,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The link secret it holds.
    pub secret: Option<Hash>,
    /// The one it was offered last.
    pub next_secret: Option<Hash>,
}

/// A wish to join.
#[derive(Debug, Clone)]
pub struct Join {
    /// The hash of the token.
    pub token: Hash,
    /// The hash of the agent's public key.
    pub key: Hash,
    /// The name the machine would have.
    pub machine: MachineName,
    /// What it is.
    pub facts: MachineFacts,
    /// When.
    pub at: Timestamp,
}

/// What came of a wish to join.
#[derive(Debug)]
pub enum Joined {
    /// It is a member now.
    New(KnownMachine),
    /// It was a member already: it gets the same answer again, and no use is taken.
    Again(KnownMachine),
    /// It may not.
    Refused(Refusal),
}

#[derive(sqlx::FromRow)]
struct MachineRow {
    id: String,
    name: String,
    joined_at: i64,
    revoked_at: Option<i64>,
    agent_version: String,
    facts: String,
}

impl TryFrom<MachineRow> for KnownMachine {
    type Error = StoreError;

    fn try_from(row: MachineRow) -> Result<Self> {
        let damaged =
            |what: &str| StoreError::Other(anyhow::anyhow!("the machine `{}` has a damaged {what}", row.name));
        Ok(Self {
            id: row.id.parse().map_err(|_| damaged("id"))?,
            name: row.name.parse().map_err(|_| damaged("name"))?,
            joined_at: Timestamp::from_millis(row.joined_at),
            revoked_at: row.revoked_at.map(Timestamp::from_millis),
            agent_version: row.agent_version,
            facts: serde_json::from_str(&row.facts).unwrap_or_default(),
        })
    }
}

const COLUMNS: &str = "select id, name, joined_at, revoked_at, agent_version, facts from machine";

/// The refusal of a token that is none.
pub fn no_such_token() -> Refusal {
    let message = "this grid has no such join token; `tomcat-grid token create` on the manager makes one";
    Refusal::new(RefusalCode::TokenUnknown, message)
}

fn hash(bytes: Option<Vec<u8>>) -> Option<Hash> {
    bytes.and_then(|bytes| bytes.try_into().ok())
}

impl Store {
    /// Every machine.
    pub async fn machines(&self) -> Result<Vec<KnownMachine>> {
        let rows: Vec<MachineRow> = sqlx::query_as(COLUMNS).fetch_all(&self.grid.read).await?;
        rows.into_iter().map(KnownMachine::try_from).collect()
    }

    /// Joins a machine, in one transaction with the use of its token and the event.
    pub async fn join(&self, join: &Join, event: impl FnOnce(&KnownMachine) -> EventRow) -> Result<Joined> {
        let mut tx = self.grid.write.begin().await?;
        let refused = |code, message: String| Ok(Joined::Refused(Refusal::new(code, message)));
        let token: Option<TokenRow> =
            sqlx::query_as("select id, expires_at, max_uses, uses, machine, revoked_at from join_token where hash = ?")
                .bind(&join.token[..])
                .fetch_optional(&mut *tx)
                .await?;
        let Some(token) = token else {
            return Ok(Joined::Refused(no_such_token()));
        };
        let used = sqlx::query("select 1 from join_use where token = ? and key_hash = ?")
            .bind(&token.id)
            .bind(&join.key[..])
            .fetch_optional(&mut *tx)
            .await?
            .is_some();
        let known = by_key(&mut tx, &join.key).await?;
        if let Some(machine) = &known
            && machine.revoked_at.is_some()
        {
            let message =
                format!("the agent of `{}` was revoked; it needs a new key (an empty state directory)", machine.name);
            return refused(RefusalCode::AgentRevoked, message);
        }
        if let (true, Some(machine)) = (used, known.clone()) {
            return Ok(Joined::Again(machine));
        }
        if let Some(refusal) = token.refusal(join) {
            return Ok(Joined::Refused(refusal));
        }
        let named: Option<MachineRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} where name = ?")))
            .bind(join.machine.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let machine = match (known, named) {
            (Some(known), _) => known,
            (None, Some(_)) if token.machine.as_deref() != Some(join.machine.as_str()) => {
                let message = format!(
                    "a machine named `{0}` is registered with another key. If this is another host, start its agent with \
                     --name; if it is the same host rebuilt, give it a token made for it: `tomcat-grid token create --machine {0}`",
                    join.machine
                );
                return refused(RefusalCode::MachineNameTaken, message);
            }
            (None, Some(row)) => {
                let machine = KnownMachine { revoked_at: None, ..KnownMachine::try_from(row)? };
                sqlx::query(
                    "update machine set key_hash = ?, revoked_at = null, secret_hash = null, next_secret_hash = null \
                     where id = ?",
                )
                .bind(&join.key[..])
                .bind(machine.id.to_string())
                .execute(&mut *tx)
                .await?;
                machine
            }
            (None, None) => insert_machine(&mut tx, join).await?,
        };
        sqlx::query("update join_token set uses = uses + 1 where id = ?").bind(&token.id).execute(&mut *tx).await?;
        sqlx::query(
            "insert into join_use (token, key_hash, machine, used_at) values (?, ?, ?, ?) on conflict do nothing",
        )
        .bind(&token.id)
        .bind(&join.key[..])
        .bind(machine.id.to_string())
        .bind(join.at.as_millis())
        .execute(&mut *tx)
        .await?;
        events::insert(&mut tx, &event(&machine)).await?;
        tx.commit().await?;
        Ok(Joined::New(machine))
    }

    /// The registration of a key.
    pub async fn registration(&self, key: &Hash) -> Result<Option<Registration>> {
        type Row = (String, String, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);
        let row: Option<Row> = sqlx::query_as(
            "select id, name, revoked_at, secret_hash, next_secret_hash from machine where key_hash = ?",
        )
        .bind(&key[..])
        .fetch_optional(&self.grid.read)
        .await?;
        let Some((id, name, revoked_at, secret, next_secret)) = row else { return Ok(None) };
        let damaged = |_| StoreError::Other(anyhow::anyhow!("the machine `{name}` is damaged"));
        Ok(Some(Registration {
            id: id.parse().map_err(|error: uuid::Error| damaged(error.to_string()))?,
            machine: name.parse().map_err(|error: protocol::name::NameError| damaged(error.to_string()))?,
            revoked: revoked_at.is_some(),
            secret: hash(secret),
            next_secret: hash(next_secret),
        }))
    }

    /// Notes a hello: the secret that the agent showed is the one it holds, and the next one is offered. `false`, and
    /// nothing is noted, if the registration with the key is not any more as it was read.
    pub async fn greet(
        &self,
        agent: &Registration,
        key: &Hash,
        shown: Option<Hash>,
        next: Hash,
        version: &str,
        facts: &MachineFacts,
    ) -> Result<bool> {
        let noted = sqlx::query(
            "update machine set secret_hash = coalesce(?, secret_hash), next_secret_hash = ?, agent_version = ?, facts = ? \
             where id = ? and key_hash = ? and (secret_hash is ? and next_secret_hash is ? \
             or secret_hash is ? and next_secret_hash is null)",
        )
        .bind(shown.as_ref().map(|hash| &hash[..]))
        .bind(&next[..])
        .bind(version)
        .bind(serde_json::to_string(facts).unwrap_or_default())
        .bind(agent.id.to_string())
        .bind(&key[..])
        .bind(agent.secret.as_ref().map(|hash| &hash[..]))
        .bind(agent.next_secret.as_ref().map(|hash| &hash[..]))
        // The word that the agent keeps the secret it shows may have come just now, from its connection before.
        .bind(shown.as_ref().map(|hash| &hash[..]))
        .execute(&self.grid.write)
        .await?;
        Ok(noted.rows_affected() > 0)
    }

    /// Notes that the agent has an offered secret on disk: no older one is taken from now on. Only the one that was
    /// offered last counts: the word for an earlier one may come late, from a connection that was replaced.
    pub async fn secret_kept(&self, id: Uuid, offered: &Hash) -> Result<()> {
        sqlx::query(
            "update machine set secret_hash = next_secret_hash, next_secret_hash = null \
             where id = ? and next_secret_hash = ?",
        )
        .bind(id.to_string())
        .bind(&offered[..])
        .execute(&self.grid.write)
        .await?;
        Ok(())
    }

    /// Revokes a machine's agent: its key is never taken again.
    pub async fn revoke_machine(&self, name: &MachineName, at: Timestamp, event: &EventRow) -> Result<Uuid> {
        let mut tx = self.grid.write.begin().await?;
        let (id,): (String,) =
            sqlx::query_as("update machine set revoked_at = coalesce(revoked_at, ?) where name = ? returning id")
                .bind(at.as_millis())
                .bind(name.as_str())
                .fetch_optional(&mut *tx)
                .await?
                .ok_or(StoreError::NotFound)?;
        let id = id.parse().map_err(|error: uuid::Error| StoreError::Other(error.into()))?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Removes a machine with the names of its services.
    pub async fn remove_machine(&self, name: &MachineName, event: &EventRow) -> Result<Uuid> {
        let mut tx = self.grid.write.begin().await?;
        let (id,): (String,) = sqlx::query_as("delete from machine where name = ? returning id")
            .bind(name.as_str())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(StoreError::NotFound)?;
        // Nothing that can fail may stand behind the commit.
        let id = id.parse().map_err(|error: uuid::Error| StoreError::Other(error.into()))?;
        events::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(id)
    }
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    id: String,
    expires_at: i64,
    max_uses: i64,
    uses: i64,
    machine: Option<String>,
    revoked_at: Option<i64>,
}

impl TokenRow {
    fn refusal(&self, join: &Join) -> Option<Refusal> {
        let refusal = |code, message: String| Some(Refusal::new(code, message));
        let again = "`tomcat-grid token create` makes a new one";
        if self.revoked_at.is_some() {
            return refusal(RefusalCode::TokenRevoked, format!("this join token was revoked; {again}"));
        }
        if self.expires_at <= join.at.as_millis() {
            let since = Timestamp::from_millis(self.expires_at);
            return refusal(RefusalCode::TokenExpired, format!("this join token expired at {since}; {again}"));
        }
        if self.uses >= self.max_uses {
            let message = format!("all {} uses of this join token are taken; {again}", self.max_uses);
            return refusal(RefusalCode::TokenUsedUp, message);
        }
        match &self.machine {
            Some(machine) if machine != join.machine.as_str() => refusal(
                RefusalCode::TokenOtherMachine,
                format!("this join token was made for the machine `{machine}`, and not for `{}`", join.machine),
            ),
            _ => None,
        }
    }
}

async fn by_key(connection: &mut SqliteConnection, key: &Hash) -> Result<Option<KnownMachine>> {
    let row: Option<MachineRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} where key_hash = ?")))
        .bind(&key[..])
        .fetch_optional(connection)
        .await?;
    row.map(KnownMachine::try_from).transpose()
}

async fn insert_machine(connection: &mut SqliteConnection, join: &Join) -> Result<KnownMachine> {
    let machine = KnownMachine {
        id: Uuid::new_v4(),
        name: join.machine.clone(),
        joined_at: join.at,
        revoked_at: None,
        agent_version: String::new(),
        facts: join.facts.clone(),
    };
    sqlx::query("insert into machine (id, name, key_hash, joined_at, facts) values (?, ?, ?, ?, ?)")
        .bind(machine.id.to_string())
        .bind(machine.name.as_str())
        .bind(&join.key[..])
        .bind(join.at.as_millis())
        .bind(serde_json::to_string(&machine.facts).unwrap_or_default())
        .execute(connection)
        .await?;
    Ok(machine)
}
