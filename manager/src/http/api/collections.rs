//! `/api/v1/collections`

use std::{num::NonZeroU32, sync::Arc};

use axum::{Json, extract::State};
use protocol::name::ServiceName;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, Body, Params, Subject, page::PageQuery};
use crate::{
    app::{
        App, AppError,
        collections::CollectionDetail,
        configuration::{Applied, Edit, How},
        to_the_end,
    },
    grid::{
        config::{Budget, Collection, Mode, OnFailure},
        page::Page,
        schema,
    },
    http::{
        auth::Authenticated,
        openapi::answers::{BadBody, BadParameters, InTheWay, LoginNeeded, NotThere, Stored},
        problem::Problem,
    },
};

/// What a collection is to be; its limits stay as they are.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionRequest {
    /// In what order its members are worked on.
    #[serde(default)]
    pub mode: Mode,
    /// How many at a time, in parallel mode; `null` for all.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub max_parallel: Option<NonZeroU32>,
    /// What happens at the first failure.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// How many services in it may fail.
    #[serde(default)]
    pub failure_budget: Option<Budget>,
    /// Its members, in order: services and collections.
    #[schema(value_type = Vec<schema::ServiceName>, example = json!([]))]
    pub members: Vec<ServiceName>,
    /// Only say what would come of it.
    #[serde(default)]
    pub dry_run: bool,
    /// Only if this version of the configuration is in force.
    #[serde(default)]
    #[schema(example = json!(null))]
    pub if_version: Option<u64>,
}

/// The collections.
#[utoipa::path(
    get,
    path = "/collections",
    tag = "configuration",
    operation_id = "collections",
    params(PageQuery),
    responses(
        (status = 200, description = "A part of them, by name", body = Page<CollectionDetail>),
        BadParameters,
        LoginNeeded,
    ),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Answer<Page<CollectionDetail>> {
    let collections = app.collections(&caller, page.text(), page.limit());
    Ok(Json(app.recorded(&caller, "collection-list", "", collections).await?))
}

/// Sets a collection.
///
/// The configuration is changed in place, with the same checks as when all of it is applied.
#[utoipa::path(
    put,
    path = "/collections/{name}",
    tag = "configuration",
    operation_id = "set_collection",
    params(("name" = schema::ServiceName, Path, description = "Its name", example = "front")),
    request_body = CollectionRequest,
    responses(
        (status = 200, description = "What came of it, or would come of it", body = Applied),
        BadBody,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn set(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(subject): Subject,
    Body(request): Body<CollectionRequest>,
) -> Answer<Applied> {
    let name = name(&subject)?;
    let CollectionRequest { mode, max_parallel, on_failure, failure_budget, members, dry_run, if_version } = request;
    let collection = Collection { mode, max_parallel, on_failure, failure_budget, members, ..Collection::default() };
    let (edit, how) = (Edit::SetCollection(name, Box::new(collection)), How { dry_run, if_version });
    Ok(Json(to_the_end(async move { app.configure(&caller, edit, how).await }).await?))
}

/// How a collection is taken away.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
// What is misspelt must not make another thing of a dry run.
#[serde(deny_unknown_fields)]
pub struct RemoveQuery {
    /// Only say what would come of it.
    #[serde(default)]
    dry_run: bool,
    /// Only if this version of the configuration is in force.
    #[serde(default)]
    if_version: Option<u64>,
}

/// Takes a collection out of the configuration.
#[utoipa::path(
    delete,
    path = "/collections/{name}",
    tag = "configuration",
    operation_id = "remove_collection",
    params(("name" = schema::ServiceName, Path, description = "Its name", example = "front"), RemoveQuery),
    responses(
        (status = 200, description = "What came of it, or would come of it", body = Applied),
        BadParameters,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(subject): Subject,
    Params(RemoveQuery { dry_run, if_version }): Params<RemoveQuery>,
) -> Answer<Applied> {
    let (edit, how) = (Edit::RemoveCollection(name(&subject)?), How { dry_run, if_version });
    Ok(Json(to_the_end(async move { app.configure(&caller, edit, how).await }).await?))
}

fn name(text: &str) -> Result<ServiceName, Problem> {
    Ok(text.parse::<ServiceName>().map_err(|error| AppError::Invalid(error.to_string()))?)
}
