//! `/healthz` and `/readyz`: for supervisors and load balancers; they need no login and tell no secrets.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// Whether the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "manager",
    security(()),
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")),
)]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// How the manager is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether it can record and change things.
    ready: bool,
    /// What is wrong, in words.
    problems: Vec<String>,
}

/// Whether the manager can also record and change things.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "manager",
    security(()),
    responses(
        (status = 200, description = "It can", body = Readiness),
        (status = 503, description = "It cannot; what is shown is right all the same", body = Readiness),
    ),
)]
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    let problems = app.problems();
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready: problems.is_empty(), problems })).into_response()
}
