//! `/api/v1/whoami` and `/api/v1/me`: who calls, and what users do with their own passwords and sessions.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use protocol::{secret::Secret, time::Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Body;
use crate::{
    app::{App, to_the_end},
    grid::{
        access::{Credential, Role},
        schema,
    },
    http::{
        auth::{Authenticated, Shown},
        openapi::answers::{BadBody, LoginNeeded, NotThere, Stored, TooManyLogins},
        problem::Problem,
        sessions::without_cookie,
    },
};

/// Who calls.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Option<Role>,
    /// By what the caller was recognised: `socket`, `token` or `session`.
    #[schema(value_type = Credential)]
    pub credential: String,
    /// The grid.
    pub grid: String,
    /// The only targets that the caller sees and acts on; everything without it.
    pub targets: Option<Vec<String>>,
    /// When the session or the token ends.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub expires_at: Option<Timestamp>,
    /// The manager's version.
    pub version: String,
}

/// Who calls, and what they may do.
#[utoipa::path(
    get,
    path = "/whoami",
    tag = "access",
    responses((status = 200, description = "Who calls", body = Whoami), LoginNeeded),
)]
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

/// A user's password, and the one that it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password now.
    #[schema(value_type = String, format = Password)]
    old: Secret,
    /// The new one.
    #[schema(value_type = schema::Password)]
    new: Secret,
}

/// Changes the caller's own password.
///
/// It needs a session, and ends the caller's other ones. A wrong old password is answered with 403 `wrong_password`.
#[utoipa::path(
    put,
    path = "/me/password",
    tag = "access",
    request_body = PasswordChange,
    responses((status = 204, description = "It is changed"), BadBody, NotThere, TooManyLogins, Stored, LoginNeeded),
)]
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

/// Logs the caller out everywhere, here too.
#[utoipa::path(
    delete,
    path = "/me/sessions",
    tag = "access",
    responses(
        (
            status = 204,
            description = "All sessions are over",
            headers(("Set-Cookie" = String, description = "Clears the session")),
        ),
        NotThere,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn log_out_everywhere(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
) -> Result<Response, Problem> {
    to_the_end(async move { app.log_out_oneself_everywhere(&caller).await }).await?;
    Ok(without_cookie())
}
