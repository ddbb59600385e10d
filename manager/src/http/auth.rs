//! Who calls: read from the socket's peer, an API token, or a browser's session. Handlers take [`Caller`] as an
//! argument, so none can forget to ask.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{Method, StatusCode, header, request::Parts},
};

use protocol::secret::Secret;

use super::{Peer, problem::Problem};
use crate::{
    app::{App, AppError},
    grid::access::Caller,
};

/// The name of the session's cookie. The prefix makes browsers insist on TLS and on this host.
pub const COOKIE: &str = "__Host-tomcat-grid";

/// Who calls.
pub struct Authenticated(pub Caller);

impl FromRequestParts<Arc<App>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let shown = Shown::from_request_parts(parts, app).await?;
        let caller = shown.caller(app).await?.ok_or_else(Problem::unauthorized)?;
        if matches!(shown, Shown::Session(..)) {
            refuse_cross_site(parts)?;
        }
        Ok(Self(caller))
    }
}

/// What a caller shows. It can be looked at again: what was good once may be revoked.
pub enum Shown {
    /// Itself, at the socket.
    Peer(Caller),
    /// An API token, and from where it is shown.
    Token(Secret, String),
    /// A browser's session, and from where it is shown.
    Session(Secret, String),
}

impl Shown {
    /// Whose it is now; nobody's if it is not good any more.
    pub async fn caller(&self, app: &App) -> Result<Option<Caller>, AppError> {
        match self {
            Shown::Peer(caller) => Ok(Some(caller.clone())),
            Shown::Token(token, from) => app.caller_of_token(token.expose(), from).await,
            Shown::Session(secret, from) => app.caller_of_session(secret.expose(), from).await,
        }
    }
}

impl FromRequestParts<Arc<App>> for Shown {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &Arc<App>) -> Result<Self, Problem> {
        if let Some(Peer::Local { caller }) = parts.extensions.get::<Peer>() {
            return Ok(Shown::Peer(caller.clone()));
        }
        let from = parts.extensions.get::<Peer>().map(Peer::from).unwrap_or_default();
        if let Some(token) = bearer(parts) {
            return Ok(Shown::Token(token.to_owned().into(), from));
        }
        let secret = session_secret(parts).ok_or_else(Problem::unauthorized)?;
        Ok(Shown::Session(secret.to_owned().into(), from))
    }
}

/// Who is at the other end.
impl FromRequestParts<Arc<App>> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &Arc<App>) -> Result<Self, Problem> {
        let unknown = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the connection has no peer");
        parts.extensions.get::<Peer>().cloned().ok_or_else(unknown)
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The secret of the session whose cookie a browser sends.
pub fn session_secret(parts: &Parts) -> Option<&str> {
    let cookies = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

/// Refuses what another site makes a browser do with its user's cookie.
pub fn refuse_cross_site(parts: &Parts) -> Result<(), Problem> {
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let same_site = match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = parts.uri.authority().map(|authority| authority.as_str()).or_else(|| header("host"));
            host.is_some_and(|host| origin == format!("https://{host}"))
        }
        (None, None) => false,
    };
    if same_site {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "cross_site", "requests of other sites are refused"))
}
