//! `/api/v1/explain`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Body, targets};
use crate::{
    app::{App, AppError},
    grid::{audit::in_one_line, command::Command, explain::view::Explanation, schema},
    http::{
        auth::Authenticated,
        openapi::answers::{BadBody, LoginNeeded, NotThere},
    },
};

/// What is to be explained.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// The command.
    pub command: Command,
    /// On what.
    #[schema(value_type = Vec<schema::Target>, min_items = 1, max_items = 1000)]
    pub targets: Vec<String>,
}

/// Explains a command: what would become of each service, and every limit, hook, claim and permission that would apply.
///
/// Whoever may see the services may ask. Nothing is begun.
#[utoipa::path(
    post,
    path = "/explain",
    tag = "services",
    request_body = ExplainRequest,
    responses(
        (status = 200, description = "What the command would do now, and why so", body = Explanation),
        BadBody,
        NotThere,
        LoginNeeded,
    ),
)]
pub async fn explain(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<ExplainRequest>,
) -> Answer<Explanation> {
    if request.targets.is_empty() {
        return Err(AppError::Invalid("name at least one target".to_owned()).into());
    }
    let targets = targets(&request.targets)?;
    let told = app.explain(&caller, request.command, targets);
    Ok(Json(app.recorded(&caller, "explain", &in_one_line(request.targets.into_iter()), told).await?))
}
