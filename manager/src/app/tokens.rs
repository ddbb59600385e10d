//! Tokens: making, listing, revoking.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::{name::MachineName, time::Timestamp, token::JoinToken};
use rand::RngCore;

use super::{
    App, AppError, Result,
    joining::{hash_of, short_id},
};
use crate::{
    grid::{
        access::{Caller, Credential, Permission, Role},
        event::{Draft, Kind},
        target::NoSuchTarget,
    },
    store::{
        StoreError,
        machines::Hash,
        tokens::{Token, TokenType},
    },
};

/// What an API token begins with.
const API_PREFIX: &str = "tga1.";

/// The longest time a token may live.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

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
    },
}

impl App {
    /// Makes a token, and returns it with its secret, which is shown this once.
    pub async fn create_token(&self, caller: &Caller, wanted: Wanted, ttl: Duration) -> Result<(Token, String)> {
        caller.may(Permission::ManageTokens)?;
        if ttl.is_zero() || ttl > LONGEST {
            return Err(AppError::Invalid("a token must live for more than nothing and at most ten years".to_owned()));
        }
        if matches!(wanted, Wanted::Join { uses: 0, .. }) {
            return Err(AppError::Invalid("a join token needs at least one use".to_owned()));
        }
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        let now = Timestamp::now();
        let token = Token {
            id: short_id(),
            r#type: TokenType::Join,
            role: None,
            machine: None,
            max_uses: None,
            uses: None,
            created_at: now,
            created_by: caller.name.clone(),
            expires_at: now.after(ttl),
            revoked_at: None,
        };
        let (token, text, hash) = match wanted {
            Wanted::Join { uses, machine } => {
                let join = JoinToken { grid: self.meta.grid, authority: self.authority.fingerprint(), secret };
                let machine = machine.map(String::from);
                (Token { max_uses: Some(uses), uses: Some(0), machine, ..token }, join.to_string(), join.hash())
            }
            Wanted::Api { role } => {
                let text = format!("{API_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
                let hash = hash_of(text.as_bytes());
                (Token { r#type: TokenType::Api, role: Some(role), ..token }, text, hash)
            }
        };
        let draft = Draft::new(Kind::TokenCreated).actor(&caller.name).data(
            serde_json::json!({"id": token.id, "type": token.r#type, "role": token.role, "machine": token.machine}),
        );
        self.journal
            .record_with(draft, async |event| self.journal.noting(self.store.add_token(&token, &hash, &event).await))
            .await?;
        Ok((token, text))
    }

    /// Every token, without their secrets.
    pub async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        caller.may(Permission::ManageTokens)?;
        Ok(self.store.tokens().await?)
    }

    /// Revokes a token.
    pub async fn revoke_token(&self, caller: &Caller, id: &str) -> Result<()> {
        caller.may(Permission::ManageTokens)?;
        let draft = Draft::new(Kind::TokenRevoked).actor(&caller.name).data(serde_json::json!({"id": id}));
        let revoked = self
            .journal
            .record_with(draft, async |event| {
                self.journal.noting(self.store.revoke_token(id, Timestamp::now(), &event).await)
            })
            .await;
        match revoked {
            Err(StoreError::NotFound) => Err(NoSuchTarget::new("token", id, [].into_iter()).into()),
            revoked => Ok(revoked?),
        }
    }

    /// Who calls with an API token.
    pub async fn caller_of_token(&self, text: &str, from: &str) -> Result<Option<Caller>> {
        let hash: Hash = hash_of(text.as_bytes());
        let found = self.store.api_token(&hash, Timestamp::now()).await?;
        Ok(found.map(|(id, role)| Caller {
            name: format!("token:{id}"),
            role: Some(role),
            credential: Credential::Token,
            from: from.to_owned(),
            targets: None,
        }))
    }
}
