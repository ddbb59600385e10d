//! Logging in and out: passwords, how often they may be tried, and sessions.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{SaltString, rand_core::OsRng},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::{secret::Secret, time::Timestamp};
use rand::RngCore;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{App, AppError, Result, joining::hash_of, traffic::Counter};
use crate::{
    data_dir::{DataDir, write_private},
    grid::{
        access::{Caller, Credential, Permission, Role},
        audit::Deed,
        event::{Draft, Kind},
        throttle::{Source, Throttle},
        user::{self, LONGEST_NAME, LONGEST_PASSWORD},
    },
    store::StoreError,
};

/// How long a session lasts.
pub const SESSION: Duration = Duration::from_secs(12 * 3600);

/// The user that the first start makes.
const ADMIN: &str = "admin";

/// Who makes that user, for the record.
const MANAGER: &str = "the manager";

/// The file that holds a generated first password.
const PASSWORD_FILE: &str = "initial-admin-password";

/// How many passwords are checked at a time.
const CHECKED: usize = 2;

/// How many logins may wait for their turn.
const WAITING: usize = 32;

/// How many more may wait who are known: strangers must not keep them from logging in.
const RESERVED: usize = 8;

/// What is written for a name that no user has: people type passwords there, too.
const UNKNOWN_USER: &str = "(unknown user)";

/// A hash that no password fits: checking one for a name that nobody has costs as much as for any other.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5MTIzNA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The turns of logins, because checking a password costs much on purpose, and what failed lately.
pub(super) struct Logins {
    places: Semaphore,
    reserved: Semaphore,
    turns: Semaphore,
    // Held for moments only, never across an await.
    throttle: Mutex<Throttle>,
    /// How many passwords were not looked at, because too many were wrong.
    pub(super) throttled: Counter,
}

impl Default for Logins {
    fn default() -> Self {
        let throttle = Mutex::default();
        Self {
            places: Semaphore::new(CHECKED + WAITING),
            reserved: Semaphore::new(RESERVED),
            turns: Semaphore::new(CHECKED),
            throttle,
            throttled: Counter::default(),
        }
    }
}

impl Logins {
    /// How many logins are being checked, or wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        let free = self.places.available_permits() + self.reserved.available_permits();
        (CHECKED + WAITING + RESERVED).saturating_sub(free)
    }

    /// Waits for a turn; for somebody known there are more places to wait at.
    async fn turn(&self, is_known: bool) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        let busy = |_| AppError::TooManyLogins { wait: Duration::from_secs(1) };
        let place = match self.places.try_acquire() {
            Err(_) if is_known => self.reserved.try_acquire(),
            place => place,
        };
        let place = place.map_err(busy)?;
        let turn = self.turns.acquire().await.map_err(|error| AppError::Internal(error.into()))?;
        Ok((turn, place))
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Makes the user `admin` on the first start. A password that is not given is generated and left in a file.
    pub async fn make_admin(&self, given: Option<Secret>, dir: &DataDir) -> anyhow::Result<()> {
        let file = dir.path().join(PASSWORD_FILE);
        let _once = self.first_password.set(file.clone());
        if self.store.has_users().await? {
            return Ok(());
        }
        let password = match given {
            Some(password) => {
                let wrong = |why| anyhow!("the password that is given for the user `{ADMIN}` cannot be used: {why}");
                user::check_password(password.expose(), ADMIN).map_err(wrong)?;
                password.expose().to_owned()
            }
            None => {
                let password = random_text::<18>();
                // Written first: without the file nobody could log in as the user.
                write_private(&file, format!("{password}\n").as_bytes())?;
                tracing::info!("the first password of the user `{ADMIN}` is in {}", file.display());
                password
            }
        };
        let hash = hash_now(password).await?;
        let deed = Deed::of_stranger(MANAGER, "its first start", "user-create", ADMIN).detail("the role admin");
        let data = serde_json::json!({"user": ADMIN, "role": Role::Admin});
        let draft = Draft::new(Kind::UserCreated).data(data).deed(deed);
        self.carry_out(draft, async |event| self.store.create_user(ADMIN, &hash, Role::Admin, "", event).await).await?;
        Ok(())
    }

    /// Removes the file with the first password, because it is nobody's any more.
    pub(super) fn forget_first_password(&self, name: &str) {
        let Some(file) = self.first_password.get().filter(|_| name == ADMIN) else { return };
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(
                    "cannot remove {}, which holds a password that is no longer good: {error}",
                    file.display()
                );
            }
            _ => {}
        }
    }

    /// Checks that a user of the manager's host may try passwords: they are throttled by address, and here is none.
    pub async fn may_log_in(&self, caller: &Caller) -> Result<()> {
        self.permit(caller, Permission::ManageOneself, "login", "").await
    }

    /// Logs a user in; returns the session's secret, or `None` where name and password do not fit.
    pub async fn log_in(&self, name: &str, password: Secret, from: &str) -> Result<Option<String>> {
        let is_user = name.len() <= LONGEST_NAME && self.store.password_hash(name).await?.is_some();
        let shown = if is_user { name } else { UNKNOWN_USER };
        let deed = Deed::of_stranger(shown, from, "login", shown);
        let Some(hash) = self.check_password(name, password, from, &deed).await? else {
            self.note_failed_login(deed, from).await;
            return Ok(None);
        };
        let secret = random_text::<32>();
        let ends = Timestamp::now().after(SESSION);
        let deed = Deed { credential: Credential::Session.as_str().to_owned(), ..deed };
        let failed = deed.clone().outcome("failed");
        let draft = Draft::new(Kind::Login).data(serde_json::json!({"from": from})).deed(deed);
        let opened = self
            .journal
            .record_with(draft, async |event| {
                let opened = self.store.add_session(&hash_of(secret.as_bytes()), name, &hash, ends, &event).await;
                self.journal.noting(opened)
            })
            .await;
        match opened {
            Ok(()) => Ok(Some(secret)),
            // The user has another password by now, or is gone.
            Err(StoreError::NotFound) => {
                self.note_failed_login(failed, from).await;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn note_failed_login(&self, deed: Deed, from: &str) {
        tracing::warn!("a login as `{}` from {from} failed", deed.subject);
        let draft = Draft::new(Kind::LoginFailed).data(serde_json::json!({"from": from}));
        let recorded = self.journal.record(draft.clone().deed(deed.clone().outcome("failed"))).await;
        if recorded.is_err() {
            // Without room on the disk it can still be told.
            self.journal.tell(draft.actor(&deed.actor));
        }
    }

    /// Checks a password, unless too many failed lately. Returns the hash that it fits, or `None` where it does not.
    /// `deed` is what it is for.
    pub(super) async fn check_password(
        &self,
        name: &str,
        password: Secret,
        from: &str,
        deed: &Deed,
    ) -> Result<Option<String>> {
        let (user, source) = (clipped(name), Source::of(from));
        let begun = self.logins.throttle().begin(user, source, Instant::now());
        if let Err(block) = begun {
            self.logins.throttled.count();
            let refusal = AppError::TooManyLogins { wait: block.wait };
            if block.is_news {
                tracing::warn!(
                    "logins as `{}` from {from} are not looked at for {} s",
                    deed.subject,
                    seconds(block.wait)
                );
                self.record_deed(&deed.clone().outcome("throttled").detail(refusal.to_string())).await;
            }
            return Err(refusal);
        }
        // Whoever is logged in already, or was there lately.
        let is_known = !deed.credential.is_empty() || self.logins.throttle().trusts(user, source, Instant::now());
        let checked = self.check_unthrottled(name, password, is_known).await;
        let mut throttle = self.logins.throttle();
        match &checked {
            Ok(Some(_)) => throttle.succeeded(user, source, Instant::now()),
            Ok(None) => {}
            Err(_) => throttle.take_back(user, source, Instant::now()),
        }
        drop(throttle);
        checked
    }

    async fn check_unthrottled(&self, name: &str, password: Secret, is_known: bool) -> Result<Option<String>> {
        // Nobody has such a name or password.
        if password.expose().len() > LONGEST_PASSWORD || name.len() > LONGEST_NAME {
            return Ok(None);
        }
        let _turn = self.logins.turn(is_known).await?;
        let stored = self.store.password_hash(name).await?;
        let known = stored.is_some();
        let hash = stored.unwrap_or_else(|| NOBODY.to_owned());
        let checking = tokio::task::spawn_blocking(move || {
            let fits = PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok());
            (fits && known).then_some(hash)
        });
        checking.await.map_err(|error| AppError::Internal(error.into()))
    }

    /// The hash of a new password, for somebody who is known.
    pub(super) async fn hash_password(&self, password: String) -> Result<String> {
        let _turn = self.logins.turn(true).await?;
        hash_now(password).await.map_err(AppError::Internal)
    }

    /// Who calls with a session.
    pub async fn caller_of_session(&self, secret: &str, from: &str) -> Result<Option<Caller>> {
        let found = self.store.session(&hash_of(secret.as_bytes()), Timestamp::now()).await?;
        Ok(found.map(|session| Caller {
            name: session.user,
            role: Some(session.role),
            credential: Credential::Session,
            from: from.to_owned(),
            targets: None,
            token: None,
            expires_at: Some(session.expires_at),
        }))
    }

    /// Logs out. A session that has ended already is no mistake.
    pub async fn log_out(&self, secret: &str, from: &str) -> Result<()> {
        let Some(caller) = self.caller_of_session(secret, from).await? else { return Ok(()) };
        let deed = Deed::of(&caller, "logout", &caller.name);
        let draft = Draft::new(Kind::Logout).data(serde_json::json!({"user": caller.name, "from": from})).deed(deed);
        let ended = self
            .journal
            .record_with(draft, async |event| {
                self.journal.noting(self.store.end_session(&hash_of(secret.as_bytes()), &event).await)
            })
            .await;
        self.tell_access_changed();
        match ended {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The name by which attempts are counted: longer ones are nobody's, and must not fill the memory.
fn clipped(name: &str) -> &str {
    name.get(..LONGEST_NAME).unwrap_or(if name.len() < LONGEST_NAME { name } else { "" })
}

/// How long to wait, in whole seconds.
pub fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

/// A random text of that many bytes.
pub(super) fn random_text<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn hash_now(password: String) -> anyhow::Result<String> {
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
        let known = hash_now("secret".to_owned()).await.unwrap();
        let (known, nobody) = (PasswordHash::new(&known).unwrap(), PasswordHash::new(NOBODY).unwrap());
        assert_eq!((known.algorithm, known.version, &known.params), (nobody.algorithm, nobody.version, &nobody.params));
        let lengths = |hash: &PasswordHash<'_>| (hash.salt.unwrap().len(), hash.hash.unwrap().len());
        assert_eq!(lengths(&known), lengths(&nobody));
    }

    #[tokio::test]
    async fn so_many_logins_wait_and_no_more() {
        let logins = Logins::default();
        let _checked = (logins.turn(false).await.unwrap(), logins.turn(true).await.unwrap());
        let mut waiting = Vec::new();
        for _ in 0..WAITING {
            let mut turn = Box::pin(logins.turn(false));
            assert!(tokio::time::timeout(Duration::ZERO, &mut turn).await.is_err());
            waiting.push(turn);
        }
        assert!(matches!(logins.turn(false).await, Err(AppError::TooManyLogins { .. })));
        assert!(tokio::time::timeout(Duration::ZERO, logins.turn(true)).await.is_err(), "who is known may wait");
        waiting.pop();
        assert!(tokio::time::timeout(Duration::ZERO, logins.turn(false)).await.is_err());
    }

    #[test]
    fn a_name_is_counted_by_its_beginning() {
        let (long, wide) = ("a".repeat(100), "é".repeat(60));
        assert_eq!((clipped("alice"), clipped(&long).len(), clipped("")), ("alice", LONGEST_NAME, ""));
        assert!(clipped(&wide).len() <= LONGEST_NAME);
    }
}
