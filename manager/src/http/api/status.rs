//! `/api/v1/status`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{Answer, Params, targets};
use crate::{app::App, grid::view::Status, http::auth::Authenticated};

/// What `GET /status` takes.
#[derive(Debug, Default, Deserialize)]
pub struct StatusQuery {
    /// Targets, divided by commas; everything without it.
    #[serde(default)]
    targets: String,
}

/// `GET /status`
pub async fn status(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<StatusQuery>,
) -> Answer<Status> {
    let texts: Vec<String> = query.targets.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    Ok(Json(app.status(&caller, &targets(&texts)?)?))
}
