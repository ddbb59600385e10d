//! `/api/v1/tokens`

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use protocol::name::MachineName;
use serde::{Deserialize, Serialize};

use super::{Answer, Body, Params, Subject, page::PageQuery, targets};
use crate::{
    app::{App, to_the_end, tokens::Wanted},
    grid::{access::Role, page::Page},
    http::{auth::Authenticated, problem::Problem},
    store::tokens::{Token, TokenType},
};

/// What `POST /tokens` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum TokenRequest {
    /// A join token.
    Join {
        /// How long it lives, in seconds.
        ttl_seconds: u64,
        /// How many machines it may serve.
        uses: u32,
        /// The only machine it serves.
        #[serde(default)]
        machine: Option<MachineName>,
    },
    /// An API token.
    Api {
        /// How long it lives, in seconds.
        ttl_seconds: u64,
        /// The role it gives.
        role: Role,
        /// The only targets it is for; everything without it.
        #[serde(default)]
        targets: Option<Vec<String>>,
        /// What it is for, in words.
        #[serde(default)]
        description: String,
        /// The user whose it is to be; the caller's own without it.
        #[serde(default)]
        owner: Option<String>,
    },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// The token itself, shown this once.
    pub secret: String,
}

/// `POST /tokens`
pub async fn create_token(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<TokenResponse>), Problem> {
    let (wanted, seconds) = match request {
        TokenRequest::Join { ttl_seconds, uses, machine } => (Wanted::Join { uses, machine }, ttl_seconds),
        TokenRequest::Api { ttl_seconds, role, targets: texts, description, owner } => {
            let targets = texts.map(|texts| targets(&texts)).transpose()?;
            (Wanted::Api { role, targets, description, owner }, ttl_seconds)
        }
    };
    let ttl = Duration::from_secs(seconds);
    let (token, secret) = to_the_end(async move { app.create_token(&caller, wanted, ttl).await }).await?;
    Ok((StatusCode::CREATED, Json(TokenResponse { token, secret })))
}

/// What `GET /tokens` takes.
#[derive(Debug, Default, Deserialize)]
pub struct TokensQuery {
    /// Only tokens of this type.
    r#type: Option<TokenType>,
    /// Which part.
    #[serde(flatten)]
    page: PageQuery,
}

/// `GET /tokens`
pub async fn tokens(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<TokensQuery>,
) -> Answer<Page<Token>> {
    Ok(Json(app.tokens(&caller, query.r#type, query.page.text(), query.page.limit()).await?))
}

/// `DELETE /tokens/{id}`
pub async fn revoke_token(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(id): Subject,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { app.revoke_token(&caller, &id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
