//! `/api/v1/trigger`

use std::sync::Arc;

use axum::{Json, extract::State};
use protocol::state::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Body, targets};
use crate::{
    app::{App, AppError, to_the_end},
    grid::{schema, view::TriggerResult},
    http::{
        auth::Authenticated,
        openapi::answers::{BadBody, LoginNeeded, NotThere},
    },
};

/// What is to be triggered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// What to deliver.
    #[schema(value_type = schema::Action)]
    pub action: Action,
    /// To what.
    #[schema(value_type = Vec<schema::Target>, min_items = 1, max_items = 1000)]
    pub targets: Vec<String>,
    /// Say only what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of triggers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TriggerResponse {
    /// What became of it, on each service.
    pub results: Vec<TriggerResult>,
}

/// Triggers services: delivers a signal to each, and says what became of it.
///
/// The answer comes when every agent has said so, at the latest after 40 s, and later by the time that hooks of the
/// trigger take. What a service does then is told by events.
#[utoipa::path(
    post,
    path = "/trigger",
    tag = "services",
    request_body = TriggerRequest,
    responses(
        (status = 200, description = "What became of it, on each service", body = TriggerResponse),
        BadBody,
        NotThere,
        LoginNeeded,
    ),
)]
pub async fn trigger(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<TriggerRequest>,
) -> Answer<TriggerResponse> {
    if request.targets.is_empty() {
        return Err(AppError::Invalid("name at least one target".to_owned()).into());
    }
    let targets = targets(&request.targets)?;
    let results =
        to_the_end(async move { app.trigger(&caller, request.action, &targets, request.dry_run).await }).await?;
    Ok(Json(TriggerResponse { results }))
}
