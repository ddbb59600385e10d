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
        let Some(caller) = shown.caller(app).await? else {
            if let Shown::Token(token, from) = &shown {
                app.note_ended_token(token.expose(), from).await;
            }
            return Err(Problem::unauthorized());
        };
        if matches!(shown, Shown::Session(..))
            && let Err(problem) = refuse_cross_site(parts)
        {
            app.note_cross_site(&caller, &format!("{} {}", parts.method, parts.uri.path())).await;
            return Err(problem);
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
    let same_site = is_same_site(parts).unwrap_or(false);
    if same_site {
        return Ok(());
    }
    Err(Problem::cross_site())
}

/// Whether a request comes from a page of this manager, or of none; unknown where the browser, or what is none, does
/// not say.
fn is_same_site(parts: &Parts) -> Option<bool> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) => Some(matches!(site, "same-origin" | "none")),
        (None, Some(origin)) => {
            let host = parts.uri.authority().map(|authority| authority.as_str()).or_else(|| header("host"));
            Some(host.is_some_and(|host| origin == format!("https://{host}")))
        }
        (None, None) => None,
    }
}

/// A request that no page of another site made a browser send. Programs that are no browsers say nothing of sites.
pub struct NotCrossSite;

impl FromRequestParts<Arc<App>> for NotCrossSite {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &Arc<App>) -> Result<Self, Problem> {
        if is_same_site(parts) == Some(false) { Err(Problem::cross_site()) } else { Ok(Self) }
    }
}
