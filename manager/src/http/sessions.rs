//! `/api/v1/session`: logging in and out of the dashboard.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::secret::Secret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Peer,
    api::Body,
    auth::{COOKIE, NotCrossSite, refuse_cross_site, session_secret},
    openapi::answers::{BadBody, CrossSite, Failed, NoLogin, Stored, TooManyLogins, WrongPassword},
    problem::Problem,
};
use crate::app::{App, login::SESSION, to_the_end};

/// A user's name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The name.
    name: String,
    /// The password.
    #[schema(value_type = String, format = Password)]
    password: Secret,
}

/// Logs in, for browsers. At the Unix socket only for those who have a role there.
#[utoipa::path(
    post,
    path = "/session",
    tag = "access",
    security(()),
    request_body = Login,
    responses(
        (
            status = 204,
            description = "The session is in the cookie",
            headers(("Set-Cookie" = String, description = "The session")),
        ),
        BadBody,
        WrongPassword,
        NoLogin,
        TooManyLogins,
        Stored,
        Failed,
    ),
)]
pub async fn log_in(
    State(app): State<Arc<App>>,
    peer: Peer,
    _: NotCrossSite,
    Body(login): Body<Login>,
) -> Result<Response, Problem> {
    if let Peer::Local { caller } = &peer {
        app.may_log_in(caller).await?;
    }
    let from = peer.from();
    let secret = to_the_end(async move { app.log_in(&login.name, login.password, &from).await }).await?;
    let secret = secret.ok_or_else(|| {
        Problem::new(StatusCode::UNAUTHORIZED, "wrong_password", "this name and this password do not fit together")
    })?;
    let cookie = format!("{COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}", SESSION.as_secs());
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Logs out, and clears the cookie; without a session nothing happens.
#[utoipa::path(
    delete,
    path = "/session",
    tag = "access",
    security(()),
    responses(
        (
            status = 204,
            description = "The session is over",
            headers(("Set-Cookie" = String, description = "Clears the session")),
        ),
        CrossSite,
        Stored,
        Failed,
    ),
)]
pub async fn log_out(State(app): State<Arc<App>>, peer: Peer, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    refuse_cross_site(&parts)?;
    if let Some(secret) = session_secret(&parts) {
        let (secret, from) = (secret.to_owned(), peer.from());
        to_the_end(async move { app.log_out(&secret, &from).await }).await?;
    }
    Ok(without_cookie())
}

/// The answer to somebody who is logged out now: the browser forgets the cookie.
pub fn without_cookie() -> Response {
    let cookie = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}
