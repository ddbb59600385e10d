//! `/api/v1/status`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Params, targets};
use crate::{
    app::App,
    grid::{audit::in_one_line, schema, view::Status},
    http::{
        auth::Authenticated,
        openapi::answers::{BadParameters, LoginNeeded, NotThere},
    },
};

/// What `GET /status` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatusQuery {
    /// Targets, divided by commas; everything without it.
    #[serde(default)]
    #[param(inline, value_type = schema::Targets, example = "all,@web-1")]
    targets: String,
}

/// The status of the grid, or of targets.
#[utoipa::path(
    get,
    path = "/status",
    tag = "status",
    params(StatusQuery),
    responses((status = 200, description = "What is", body = Status), BadParameters, NotThere, LoginNeeded),
)]
pub async fn status(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<StatusQuery>,
) -> Answer<Status> {
    let texts: Vec<String> = query.targets.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    let status = app.status(&caller, &targets(&texts)?);
    Ok(Json(app.recorded(&caller, "status-read", &in_one_line(texts.into_iter()), status).await?))
}
