//! `/api/v1/session`: logging in and out of the dashboard.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::secret::Secret;
use serde::Deserialize;

use super::{
    Peer,
    api::Body,
    auth::{COOKIE, refuse_cross_site, session_secret},
    problem::Problem,
};
use crate::app::{App, login::SESSION, to_the_end};

/// What `POST /session` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    name: String,
    password: Secret,
}

/// `POST /session`
pub async fn log_in(State(app): State<Arc<App>>, peer: Peer, Body(login): Body<Login>) -> Result<Response, Problem> {
    let from = peer.from();
    let secret = to_the_end(async move { app.log_in(&login.name, login.password, &from).await }).await?;
    let secret = secret.ok_or_else(|| {
        Problem::new(StatusCode::UNAUTHORIZED, "wrong_password", "this name and this password do not fit together")
    })?;
    let cookie = format!("{COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}", SESSION.as_secs());
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// `DELETE /session`
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
