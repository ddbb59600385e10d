//! `/api/v1/whoami` and `/api/v1/me`: who calls, and what users do with their own passwords and sessions.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use protocol::{secret::Secret, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::Body;
use crate::{
    app::{App, to_the_end},
    grid::access::Role,
    http::{
        auth::{Authenticated, Shown},
        problem::Problem,
        sessions::without_cookie,
    },
};

/// Who calls.
#[derive(Debug, Serialize, Deserialize)]
pub struct Whoami {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Option<Role>,
    /// By what the caller was recognised: `socket`, `token` or `session`.
    pub credential: String,
    /// The grid.
    pub grid: String,
    /// The only targets that the caller sees and acts on; everything without it.
    pub targets: Option<Vec<String>>,
    /// When the session or the token ends.
    pub expires_at: Option<Timestamp>,
    /// The manager's version.
    pub version: String,
}

/// `GET /whoami`
pub async fn whoami(State(app): State<Arc<App>>, Authenticated(caller): Authenticated) -> Json<Whoami> {
    Json(Whoami {
        name: caller.name,
        role: caller.role,
        credential: caller.credential.as_str().to_owned(),
        grid: app.meta.grid_name.clone(),
        targets: caller.targets.map(|targets| targets.iter().map(ToString::to_string).collect()),
        expires_at: caller.expires_at,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// What `PUT /me/password` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    old: Secret,
    new: Secret,
}

/// `PUT /me/password`
pub async fn change_password(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    shown: Shown,
    Body(PasswordChange { old, new }): Body<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let session = match shown {
        Shown::Session(secret, _) => secret,
        // Whoever shows something else is refused.
        Shown::Peer(_) | Shown::Token(..) => String::new().into(),
    };
    to_the_end(async move { app.change_own_password(&caller, session.expose(), old, new).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /me/sessions`
pub async fn log_out_everywhere(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
) -> Result<Response, Problem> {
    to_the_end(async move { app.log_out_oneself_everywhere(&caller).await }).await?;
    Ok(without_cookie())
}
