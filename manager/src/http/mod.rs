//! HTTP: the API and the pages for people, and what agents call. Translates; decides nothing.

pub mod agent_blobs;
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
pub mod openapi;
pub mod problem;
pub mod sessions;
pub mod stream;
pub mod unix;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use rustls::pki_types::CertificateDer;
use tower_http::{CompressionLevel, compression::CompressionLayer};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::openapi::Description;
use crate::app::App;

/// How long the body of a request may take to come; see [`MAX_BODY`].
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest body of a request, in bytes: a thousand targets with the longest names are fewer.
const MAX_BODY: usize = 512 * 1024;

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

/// What people and scripts call: every operation, with its description.
fn operations() -> OpenApiRouter<Arc<App>> {
    // The largest answer, and nothing secret is in it, so that its size tells nothing.
    let status = OpenApiRouter::new()
        .routes(routes!(api::status::status))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
    let api = status
        .routes(routes!(api::machines::machines))
        .routes(routes!(api::machines::remove_machine))
        .routes(routes!(api::machines::revoke_machine))
        .routes(routes!(api::triggers::trigger))
        .routes(routes!(api::operations::begin, api::operations::list))
        .routes(routes!(api::operations::show))
        .routes(routes!(api::operations::log))
        .routes(routes!(api::operations::cancel))
        .routes(routes!(api::operations::resume))
        .routes(routes!(api::operations::retry))
        .routes(routes!(api::operation_stream::stream))
        .routes(routes!(api::explain::explain))
        .routes(routes!(api::tokens::tokens, api::tokens::create_token))
        .routes(routes!(api::tokens::revoke_token))
        .routes(routes!(api::users::users, api::users::create))
        .routes(routes!(api::users::change, api::users::remove))
        .routes(routes!(api::users::reset_password))
        .routes(routes!(api::users::log_out))
        .routes(routes!(api::me::change_password))
        .routes(routes!(api::me::log_out_everywhere))
        .routes(routes!(api::me::whoami))
        .routes(routes!(stream::stream))
        .routes(routes!(api::journal::list))
        .routes(routes!(api::tags::list, api::tags::change))
        .routes(routes!(api::schedules::list))
        .routes(routes!(api::audit::list))
        .routes(routes!(api::audit::verify))
        .routes(routes!(api::hooks::hooks, api::hooks::add_program))
        .routes(routes!(api::hooks::program, api::hooks::remove_program))
        .routes(routes!(api::config::current, api::config::apply))
        .routes(routes!(api::config::diff))
        .routes(routes!(api::config::history))
        .routes(routes!(api::config::version))
        .routes(routes!(api::config::restore))
        .routes(routes!(api::collections::list))
        .routes(routes!(api::collections::set, api::collections::remove))
        .routes(routes!(sessions::log_in, sessions::log_out))
        .routes(routes!(openapi::description))
        .fallback(problem::no_such_path);
    OpenApiRouter::with_openapi(openapi::Whole::openapi())
        .nest("/api/v1", api)
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
}

/// What people and scripts call, and the pages.
pub fn people(app: Arc<App>) -> Router {
    let (router, description) = operations().split_for_parts();
    router
        .fallback_service(assets::router())
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(Extension(Description::of(&description)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(security_headers))
        .with_state(app)
}

/// What agents call.
pub fn agents(app: Arc<App>) -> Router {
    Router::new()
        .route("/agent/v1/join", post(agent_join::join))
        .route("/agent/v1/link", get(agent_link::open))
        .route("/agent/v1/blobs/{hash}", get(agent_blobs::get))
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        app,
        grid::access::{Caller, Role},
    };

    #[tokio::test]
    async fn only_the_status_is_compressed() {
        let (_dir, app) = app::temporary::app().await;
        let router = people(app);
        let caller = Caller::at_socket("me".to_owned(), Some(Role::Admin));
        for (path, encoding) in [("status", Some("gzip")), ("whoami", None), ("journal", None), ("events", None)] {
            let request = Request::get(format!("/api/v1/{path}"))
                .header(header::ACCEPT_ENCODING, "gzip")
                .extension(Peer::Local { caller: caller.clone() });
            let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            let told = answer.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!(told, encoding, "{path}");
        }
    }
}
