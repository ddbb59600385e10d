//! `/api/v1/config`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Body, Params, Subject, page::PageQuery};
use crate::{
    app::{
        App, AppError,
        configuration::{Applied, ConfigDifference, ConfigView, Edit, How, VersionView},
        to_the_end,
    },
    grid::page::Page,
    http::{
        auth::Authenticated,
        openapi::answers::{BadBody, BadParameters, InTheWay, LoginNeeded, NotThere, Stored},
    },
};

/// A configuration to put in force.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigRequest {
    /// The text, as `grid.toml` holds it.
    #[schema(max_length = 262144, example = "[collection.front]\nmembers = []\n")]
    pub text: String,
    /// Only say what would come of it.
    #[serde(default)]
    pub dry_run: bool,
    /// Only if this version is in force.
    #[serde(default)]
    #[schema(example = json!(null))]
    pub if_version: Option<u64>,
}

/// A configuration to compare.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffRequest {
    /// The text, as `grid.toml` holds it.
    #[schema(max_length = 262144)]
    pub text: String,
}

/// A version to put in force again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// The version.
    #[schema(example = 1)]
    pub version: u64,
    /// Only say what would come of it.
    #[serde(default)]
    pub dry_run: bool,
}

/// The configuration in force.
#[utoipa::path(
    get,
    path = "/config",
    tag = "configuration",
    operation_id = "config",
    responses((status = 200, description = "The version in force, with its text", body = ConfigView), LoginNeeded),
)]
pub async fn current(State(app): State<Arc<App>>, Authenticated(caller): Authenticated) -> Answer<ConfigView> {
    let view = app.configuration(&caller).await;
    Ok(Json(app.recorded(&caller, "config-read", "", view).await?))
}

/// Applies a configuration.
///
/// All of it is checked before any of it counts. What is wrong is told as one line for each mistake, with line and
/// column. A text that is the one in force makes no new version.
#[utoipa::path(
    post,
    path = "/config",
    tag = "configuration",
    operation_id = "apply_config",
    request_body = ConfigRequest,
    responses(
        (status = 200, description = "What came of it, or would come of it", body = Applied),
        BadBody,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn apply(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<ConfigRequest>,
) -> Answer<Applied> {
    let ConfigRequest { text, dry_run, if_version } = request;
    let how = How { dry_run, if_version };
    Ok(Json(to_the_end(async move { app.configure(&caller, Edit::Apply(text), how).await }).await?))
}

/// Compares a text with the configuration in force.
#[utoipa::path(
    post,
    path = "/config/diff",
    tag = "configuration",
    operation_id = "diff_config",
    request_body = DiffRequest,
    responses((status = 200, description = "What is different", body = ConfigDifference), BadBody, LoginNeeded),
)]
pub async fn diff(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<DiffRequest>,
) -> Answer<ConfigDifference> {
    let difference = app.configuration_difference(&caller, request.text).await;
    Ok(Json(app.recorded(&caller, "config-read", "", difference).await?))
}

/// The versions that were applied.
#[utoipa::path(
    get,
    path = "/config/history",
    tag = "configuration",
    operation_id = "config_history",
    params(PageQuery),
    responses(
        (status = 200, description = "A part of them, newest first", body = Page<VersionView>),
        BadParameters,
        LoginNeeded,
    ),
)]
pub async fn history(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Answer<Page<VersionView>> {
    let versions = app.configuration_history(&caller, page.cursor::<u64>()?, page.limit()).await;
    Ok(Json(app.recorded(&caller, "config-read", "", versions).await?))
}

/// One version.
#[utoipa::path(
    get,
    path = "/config/history/{version}",
    tag = "configuration",
    operation_id = "config_version",
    params(("version" = u64, Path, description = "Its number", example = 1)),
    responses(
        (status = 200, description = "The version, with its text", body = ConfigView),
        BadParameters,
        NotThere,
        LoginNeeded,
    ),
)]
pub async fn version(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(version): Subject,
) -> Answer<ConfigView> {
    let number: u64 = version.parse().map_err(|_| AppError::Invalid("a version is a number".to_owned()))?;
    let view = app.configuration_version(&caller, number).await;
    Ok(Json(app.recorded(&caller, "config-read", &version, view).await?))
}

/// Puts a version in force again, as a new one.
#[utoipa::path(
    post,
    path = "/config/restore",
    tag = "configuration",
    operation_id = "restore_config",
    request_body = RestoreRequest,
    responses(
        (status = 200, description = "What came of it, or would come of it", body = Applied),
        BadBody,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn restore(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<RestoreRequest>,
) -> Answer<Applied> {
    let RestoreRequest { version, dry_run } = request;
    let how = How { dry_run, if_version: None };
    Ok(Json(to_the_end(async move { app.configure(&caller, Edit::Restore(version), how).await }).await?))
}
