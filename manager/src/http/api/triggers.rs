//! `/api/v1/trigger`

use std::sync::Arc;

use axum::{Json, extract::State};
use protocol::state::Action;
use serde::{Deserialize, Serialize};

use super::{Answer, Body, targets};
use crate::{
    app::{App, AppError, to_the_end},
    grid::view::TriggerResult,
    http::auth::Authenticated,
};

/// What `POST /trigger` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// What to deliver.
    pub action: Action,
    /// To what.
    pub targets: Vec<String>,
    /// Say only what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct TriggerResponse {
    /// What became of it, on each service.
    pub results: Vec<TriggerResult>,
}

/// `POST /trigger`
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
