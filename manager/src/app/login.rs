//! Users of the dashboard: their passwords and sessions.

use std::time::Duration;

use anyhow::anyhow;
use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{SaltString, rand_core::OsRng},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::{secret::Secret, time::Timestamp};
use rand::RngCore;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{App, AppError, Result, joining::hash_of};
use crate::{
    data_dir::{DataDir, write_private},
    grid::{
        access::{Caller, Credential, Role},
        event::{Draft, Kind},
    },
};

/// How long a session lasts.
pub const SESSION: Duration = Duration::from_secs(12 * 3600);

/// The longest password that is looked at, in bytes.
const MAX_PASSWORD: usize = 1024;

/// The user that the first start makes.
const ADMIN: &str = "admin";

/// The file that holds a generated first password.
const PASSWORD_FILE: &str = "initial-admin-password";

/// How many passwords are checked at a time.
const CHECKED: usize = 2;

/// How many logins may wait for their turn.
const WAITING: usize = 32;

/// A hash that no password fits: checking one for a name that nobody has costs as much as for any other.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5MTIzNA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The turns of logins: checking a password costs much on purpose.
pub(super) struct Logins {
    places: Semaphore,
    turns: Semaphore,
}

impl Default for Logins {
    fn default() -> Self {
        Self { places: Semaphore::new(CHECKED + WAITING), turns: Semaphore::new(CHECKED) }
    }
}

impl Logins {
    /// How many logins are being checked, or wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        (CHECKED + WAITING).saturating_sub(self.places.available_permits())
    }

    async fn turn(&self) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        let busy = |_| AppError::Conflict("too many logins are being checked: try again in a moment".to_owned());
        let place = self.places.try_acquire().map_err(busy)?;
        let turn = self.turns.acquire().await.map_err(|error| AppError::Internal(error.into()))?;
        Ok((turn, place))
    }
}

impl App {
    /// Makes the user `admin` on the first start. A password that is not given is generated and left in a file.
    pub async fn make_admin(&self, given: Option<Secret>, dir: &DataDir) -> anyhow::Result<()> {
        if self.store.has_users().await? {
            return Ok(());
        }
        let password = match given {
            Some(password) if password.expose().trim().is_empty() => {
                anyhow::bail!("the password that is given for the user `{ADMIN}` is empty")
            }
            Some(password) => password.expose().to_owned(),
            None => {
                let file = dir.path().join(PASSWORD_FILE);
                let mut bytes = [0; 18];
                rand::rng().fill_bytes(&mut bytes);
                let password = URL_SAFE_NO_PAD.encode(bytes);
                // Written first: without the file nobody could log in as the user.
                write_private(&file, format!("{password}\n").as_bytes())?;
                tracing::info!("the first password of the user `{ADMIN}` is in {}", file.display());
                password
            }
        };
        let hash = hash_password(password).await?;
        self.store.add_user(ADMIN, &hash, Role::Admin, Timestamp::now()).await?;
        Ok(())
    }

    /// Logs a user in; returns the session's secret, or `None` where name and password do not fit.
    pub async fn log_in(&self, name: &str, password: String, from: &str) -> Result<Option<String>> {
        if password.len() > MAX_PASSWORD || name.len() > 256 {
            return Ok(None);
        }
        let _turn = self.logins.turn().await?;
        let stored = self.store.password_hash(name).await?;
        let known = stored.is_some();
        let hash = stored.unwrap_or_else(|| NOBODY.to_owned());
        let fits = tokio::task::spawn_blocking(move || {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
        .map_err(|error| AppError::Internal(error.into()))?;
        let data = serde_json::json!({"from": from});
        if !fits || !known {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            tracing::warn!("a login as `{shown}` from {from} failed");
            self.journal.tell(Draft::new(Kind::LoginFailed).actor(&shown).data(data));
            return Ok(None);
        }
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        let secret = URL_SAFE_NO_PAD.encode(bytes);
        let now = Timestamp::now();
        let hash = hash_of(secret.as_bytes());
        self.journal
            .record_with(Draft::new(Kind::Login).actor(name).data(data), async |event| {
                self.journal.noting(self.store.add_session(&hash, name, now, now.after(SESSION), &event).await)
            })
            .await?;
        Ok(Some(secret))
    }

    /// Who calls with a session.
    pub async fn caller_of_session(&self, secret: &str, from: &str) -> Result<Option<Caller>> {
        let found = self.store.session(&hash_of(secret.as_bytes()), Timestamp::now()).await?;
        Ok(found.map(|(name, role)| Caller {
            name,
            role: Some(role),
            credential: Credential::Session,
            from: from.to_owned(),
            targets: None,
        }))
    }

    /// Logs out.
    pub async fn log_out(&self, secret: &str) -> Result<()> {
        Ok(self.journal.noting(self.store.end_session(&hash_of(secret.as_bytes())).await)?)
    }
}

async fn hash_password(password: String) -> anyhow::Result<String> {
    tokio::task::spawn_blocking(move || {
        let salt = SaltString::generate(&mut OsRng);
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(|error| anyhow!("hash a password: {error}"))
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_user_costs_what_a_known_one_does() {
        let known = hash_password("secret".to_owned()).await.unwrap();
        let (known, nobody) = (PasswordHash::new(&known).unwrap(), PasswordHash::new(NOBODY).unwrap());
        assert_eq!((known.algorithm, known.version, &known.params), (nobody.algorithm, nobody.version, &nobody.params));
        let lengths = |hash: &PasswordHash<'_>| (hash.salt.unwrap().len(), hash.hash.unwrap().len());
        assert_eq!(lengths(&known), lengths(&nobody));
    }

    #[tokio::test]
    async fn so_many_logins_wait_and_no_more() {
        let logins = Logins::default();
        let _checked = (logins.turn().await.unwrap(), logins.turn().await.unwrap());
        let mut waiting = Vec::new();
        for _ in 0..WAITING {
            let mut turn = Box::pin(logins.turn());
            assert!(tokio::time::timeout(Duration::ZERO, &mut turn).await.is_err());
            waiting.push(turn);
        }
        assert!(matches!(logins.turn().await, Err(AppError::Conflict(_))));
        waiting.pop();
        assert!(tokio::time::timeout(Duration::ZERO, logins.turn()).await.is_err());
    }
}
