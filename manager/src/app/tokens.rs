//! Tokens: making, listing, revoking, and who calls with one.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::{name::MachineName, time::Timestamp, token::JoinToken};
use rand::RngCore;

use super::{
    App, AppError, Result,
    joining::{hash_of, short_id},
};
use crate::{
    grid::{
        access::{Caller, Credential, NotAllowed, Permission, Role, nobodys},
        audit::Deed,
        event::{Draft, Kind},
        page::Page,
        target::{NoSuchTarget, Target},
    },
    store::{
        machines::Hash,
        tokens::{NOTE_EVERY, Token, TokenType, Which},
    },
};

/// What an API token begins with.
const API_PREFIX: &str = "tga1.";

/// The longest time a token may live.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The most targets of an API token.
const MOST_TARGETS: usize = 100;

/// The longest description of an API token, in characters.
const LONGEST_DESCRIPTION: usize = 200;

/// What kind of token is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A join token.
    Join {
        /// How many machines it may serve.
        uses: u32,
        /// The only machine it serves.
        machine: Option<MachineName>,
    },
    /// An API token.
    Api {
        /// The role it gives.
        role: Role,
        /// The only targets it is for.
        targets: Option<Vec<Target>>,
        /// What it is for, in words.
        description: String,
        /// Whose it is to be; the caller's without it.
        owner: Option<String>,
    },
}

/// Which uses of tokens were noted lately.
#[derive(Debug, Default)]
pub(super) struct Uses {
    // Held for moments only, never across an await.
    noted: Mutex<HashMap<String, Instant>>,
}

impl Uses {
    /// Whether a use is to be noted: the first of a token, and one in a while after it.
    fn is_news(&self, id: &str, now: Instant) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(id).is_some_and(|at| now.duration_since(*at) < NOTE_EVERY) {
            return false;
        }
        noted.retain(|_, at| now.duration_since(*at) < NOTE_EVERY);
        noted.insert(id.to_owned(), now);
        true
    }
}

impl App {
    /// Makes a token, and returns it with its secret, which is shown this once.
    pub async fn create_token(&self, caller: &Caller, wanted: Wanted, ttl: Duration) -> Result<(Token, String)> {
        let allowed = may_make(caller, &wanted);
        self.allow(caller, allowed, "token-create", &subject_of(caller, &wanted)).await?;
        if ttl.is_zero() || ttl > LONGEST {
            return Err(AppError::Invalid("a token must live for more than nothing and at most ten years".to_owned()));
        }
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        let now = Timestamp::now();
        // What a token makes ends with it at the latest.
        let ends = caller.expires_at.filter(|_| caller.credential == Credential::Token);
        let expires_at = ends.map_or(now.after(ttl), |ends| ends.min(now.after(ttl)));
        let token = Token {
            id: short_id(),
            r#type: TokenType::Join,
            role: None,
            machine: None,
            max_uses: None,
            uses: None,
            owner: None,
            targets: None,
            description: String::new(),
            created_at: now,
            created_by: caller.name.clone(),
            expires_at,
            revoked_at: None,
            last_used_at: None,
            last_used_from: None,
        };
        let (token, text, hash) = match wanted {
            Wanted::Join { uses: 0, .. } => {
                return Err(AppError::Invalid("a join token needs at least one use".to_owned()));
            }
            Wanted::Join { uses, machine } => {
                let join = JoinToken { grid: self.meta.grid, authority: self.authority.fingerprint(), secret };
                let machine = machine.map(String::from);
                (Token { max_uses: Some(uses), uses: Some(0), machine, ..token }, join.to_string(), join.hash())
            }
            Wanted::Api { role, targets, description, owner } => {
                let text = format!("{API_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
                let hash = hash_of(text.as_bytes());
                let targets = checked(targets)?;
                let description = described(description)?;
                let owner = owner.or_else(|| caller.user().map(str::to_owned));
                let role = Some(role);
                let api = Token { r#type: TokenType::Api, role, owner, targets, description, ..token };
                (api, text, hash)
            }
        };
        let deed = Deed::of(caller, "token-create", &token.id).detail(in_words(&token));
        let data = serde_json::json!({
            "id": token.id, "type": token.r#type, "role": token.role, "machine": token.machine,
            "owner": token.owner, "targets": token.targets,
        });
        let draft = Draft::new(Kind::TokenCreated).data(data).deed(deed);
        let made = self.carry_out(draft, async |event| self.store.add_token(&token, &hash, event).await).await;
        match (made, &token.owner) {
            (Err(AppError::NotFound), Some(owner)) => Err(NoSuchTarget::new("user", owner, [].into_iter()).into()),
            (made, _) => made.map(|()| (token, text)),
        }
    }

    /// A part of the tokens, oldest first, without their secrets: all for an admin, and for others their own.
    pub async fn tokens(
        &self,
        caller: &Caller,
        r#type: Option<TokenType>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Token>> {
        self.permit(caller, Permission::ManageOneself, "token-list", "").await?;
        let owner = match (caller.may(Permission::ManageTokens), caller.user()) {
            (Ok(()), _) => None,
            (Err(_), Some(user)) => Some(user.to_owned()),
            (Err(_), None) => {
                let refusal = NotAllowed::NoUser { caller: caller.name.clone() };
                return Err(self.refused(caller, "token-list", "", refusal).await);
            }
        };
        let position = |cursor: &str| {
            let (at, id) = cursor.split_once('.')?;
            Some((at.parse::<i64>().ok()?, id.to_owned()))
        };
        let wrong = || AppError::Invalid("this cursor is not one that a list of tokens gave".to_owned());
        let cursor = cursor.map(|cursor| position(cursor).ok_or_else(wrong)).transpose()?;
        let cursor = cursor.as_ref().map(|(at, id)| (*at, id.as_str()));
        Ok(self.store.tokens(&Which { r#type, owner }, cursor, limit).await?)
    }

    /// Revokes a token: one of the caller's own, or as an admin any.
    pub async fn revoke_token(&self, caller: &Caller, id: &str) -> Result<()> {
        let token = self.store.token(id).await?;
        let is_known = token.is_some();
        let was_revoked = token.as_ref().is_some_and(|token| token.revoked_at.is_some());
        let owner = token.and_then(|token| token.owner);
        let is_own = owner.is_some() && owner.as_deref() == caller.user();
        let permission = if is_own { Permission::ManageOneself } else { Permission::ManageTokens };
        self.permit(caller, permission, "token-revoke", id).await?;
        let deed = Deed::of(caller, "token-revoke", id);
        let deed = owner.iter().fold(deed, |deed, owner| deed.detail(format!("of {owner}")));
        if was_revoked {
            self.record_deed(&deed.outcome("ignored").detail("it was revoked before")).await;
            return Ok(());
        }
        let data = serde_json::json!({"id": id, "owner": owner});
        let draft = Draft::new(Kind::TokenRevoked).data(data).deed(deed);
        let revoked =
            self.carry_out(draft, async |event| self.store.revoke_token(id, Timestamp::now(), event).await).await;
        self.tell_access_changed();
        match revoked {
            // Somebody else was faster.
            Err(AppError::NotFound) if is_known => Ok(()),
            Err(AppError::NotFound) => Err(NoSuchTarget::new("token", id, [].into_iter()).into()),
            revoked => revoked,
        }
    }

    /// Records that somebody called with an API token that was good once. Of one that never was there is nothing to say.
    pub async fn note_ended_token(&self, text: &str, from: &str) {
        let Ok(Some((id, owner))) = self.store.api_token_id(&hash_of(text.as_bytes())).await else { return };
        let name = owner.unwrap_or_else(|| nobodys(&id));
        let refusal = NotAllowed::Ended { caller: name.clone(), token: id.clone() };
        let caller = Caller {
            credential: Credential::Token,
            from: from.to_owned(),
            token: Some(id.clone()),
            ..Caller::at_socket(name, None)
        };
        let _answered = self.refused(&caller, "token-use", &id, refusal).await;
    }

    /// Who calls with an API token. That it is used is noted beside the request.
    pub async fn caller_of_token(&self, text: &str, from: &str) -> Result<Option<Caller>> {
        let hash: Hash = hash_of(text.as_bytes());
        let now = Timestamp::now();
        let Some(token) = self.store.api_token(&hash, now).await? else { return Ok(None) };
        let is_noted = token.last_used_at.is_some_and(|at| at > now.before(NOTE_EVERY));
        if !is_noted && self.uses.is_news(&token.id, Instant::now()) {
            let (store, id, from) = (self.store.clone(), token.id.clone(), from.to_owned());
            tokio::spawn(async move {
                if let Err(error) = store.note_use(&id, &from, now).await {
                    tracing::warn!("cannot note that the token {id} is used: {error}");
                }
            });
        }
        Ok(Some(Caller {
            name: token.owner.unwrap_or_else(|| nobodys(&token.id)),
            role: Some(token.role),
            credential: Credential::Token,
            from: from.to_owned(),
            targets: token.targets,
            token: Some(token.id),
            expires_at: Some(token.expires_at),
        }))
    }
}

/// Whether a caller may make a token: join tokens as an admin; API tokens up to the caller's own role, for oneself, or
/// as an admin for anybody and for nobody. With an API token join tokens only.
fn may_make(caller: &Caller, wanted: &Wanted) -> std::result::Result<(), NotAllowed> {
    let Wanted::Api { role, owner, .. } = wanted else { return caller.may(Permission::ManageTokens) };
    caller.may(Permission::ManageOneself)?;
    // What a token makes is still there when it is revoked.
    caller.without_token()?;
    caller.has(*role)?;
    match (owner.as_deref(), caller.user()) {
        (None, Some(_)) => Ok(()),
        (Some(owner), Some(user)) if owner == user => Ok(()),
        (None, None) if caller.may(Permission::ManageTokens).is_err() => {
            Err(NotAllowed::NoUser { caller: caller.name.clone() })
        }
        _ => caller.may(Permission::ManageTokens),
    }
}

/// What a token that is only wanted is about.
fn subject_of(caller: &Caller, wanted: &Wanted) -> String {
    match wanted {
        Wanted::Join { .. } => "join".to_owned(),
        Wanted::Api { owner, .. } => owner.as_deref().or(caller.user()).unwrap_or("api").to_owned(),
    }
}

fn in_words(token: &Token) -> String {
    match token.r#type {
        TokenType::Join => match &token.machine {
            Some(machine) => format!("a join token for {machine}"),
            None => match token.max_uses {
                Some(1) | None => "a join token for one machine".to_owned(),
                Some(uses) => format!("a join token for {uses} machines"),
            },
        },
        TokenType::Api => {
            let role = token.role.map_or("none", Role::as_str);
            let owner = token.owner.as_deref().unwrap_or("nobody");
            let targets = token.targets.as_ref().map(|targets| format!(", only {}", targets.join(", ")));
            format!("an API token of {owner} with the role {role}{}", targets.unwrap_or_default())
        }
    }
}

fn checked(targets: Option<Vec<Target>>) -> Result<Option<Vec<String>>> {
    let Some(mut targets) = targets.map(|targets| targets.iter().map(ToString::to_string).collect::<Vec<_>>()) else {
        return Ok(None);
    };
    targets.sort();
    targets.dedup();
    if targets.is_empty() || targets.len() > MOST_TARGETS {
        return Err(AppError::Invalid(format!("a token that is limited has 1 to {MOST_TARGETS} targets")));
    }
    Ok(Some(targets))
}

fn described(description: String) -> Result<String> {
    if description.chars().count() > LONGEST_DESCRIPTION || description.chars().any(char::is_control) {
        let message = format!("a description has at most {LONGEST_DESCRIPTION} characters, on one line");
        return Err(AppError::Invalid(message));
    }
    Ok(description)
}

#[cfg(test)]
mod tests;
