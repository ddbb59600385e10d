//! HTTP: the API and the pages for people, and what agents call. Translates; decides nothing.

pub mod agent_join;
pub mod agent_link;
pub mod api;
pub mod assets;
pub mod auth;
pub mod connection;
pub mod crowd;
pub mod health;
pub mod listener;
pub mod metrics;
pub mod problem;
pub mod sessions;
pub mod stream;
pub mod unix;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{delete, get, patch, post, put},
};
use rustls::pki_types::CertificateDer;

use crate::app::App;

/// How long the body of a request may take to come; the largest there is holds a few kilobytes.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection; every request carries it.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Somebody at the TLS port.
    Remote {
        /// From where.
        address: SocketAddr,
    },
    /// An agent.
    Agent {
        /// From where.
        address: SocketAddr,
        /// The certificate it showed; of the grid's authority, and its key is held.
        certificate: Option<CertificateDer<'static>>,
    },
    /// A user of the manager's host at the Unix socket.
    Local {
        /// The user, and what the configuration makes of it.
        caller: crate::grid::access::Caller,
    },
}

impl Peer {
    /// From where, in words.
    pub fn from(&self) -> String {
        match self {
            Peer::Remote { address } | Peer::Agent { address, .. } => address.ip().to_canonical().to_string(),
            Peer::Local { caller } => caller.from.clone(),
        }
    }
}

/// What people and scripts call.
pub fn people(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/status", get(api::status::status))
        .route("/machines", get(api::machines::machines))
        .route("/machines/{name}", delete(api::machines::remove_machine))
        .route("/machines/{name}/revoke", post(api::machines::revoke_machine))
        .route("/trigger", post(api::triggers::trigger))
        .route("/tokens", get(api::tokens::tokens).post(api::tokens::create_token))
        .route("/tokens/{id}", delete(api::tokens::revoke_token))
        .route("/users", get(api::users::users).post(api::users::create))
        .route("/users/{name}", patch(api::users::change).delete(api::users::remove))
        .route("/users/{name}/password", post(api::users::reset_password))
        .route("/users/{name}/sessions", delete(api::users::log_out))
        .route("/me/password", put(api::me::change_password))
        .route("/me/sessions", delete(api::me::log_out_everywhere))
        .route("/whoami", get(api::me::whoami))
        .route("/events", get(stream::stream))
        .route("/journal", get(api::journal::list))
        .route("/tags", get(api::tags::list).post(api::tags::change))
        .route("/audit", get(api::audit::list))
        .route("/audit/verify", get(api::audit::verify))
        .route("/session", post(sessions::log_in).delete(sessions::log_out))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method);
    Router::new()
        .nest("/api/v1", api)
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .fallback_service(assets::router())
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn(security_headers))
        .with_state(app)
}

/// What agents call.
pub fn agents(app: Arc<App>) -> Router {
    Router::new()
        .route("/agent/v1/join", post(agent_join::join))
        .route("/agent/v1/link", get(agent_link::open))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(app)
}

/// What keeps a browser from being used against its user.
async fn security_headers(request: Request, next: Next) -> Response {
    // No Strict-Transport-Security: it holds for every port of the host, and Tomcats beside the manager speak HTTP.
    const HEADERS: [(HeaderName, HeaderValue); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                 form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
