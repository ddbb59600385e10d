//! `/api/v1/tags`

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use protocol::name::{MachineName, ServiceName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Body, Params, page::PageQuery};
use crate::{
    app::{App, AppError, tags::TagsChanged, to_the_end},
    grid::{
        page::Page,
        schema,
        tags::{Tag, TagChange, TagView},
    },
    http::{
        auth::Authenticated,
        openapi::answers::{BadBody, BadParameters, InTheWay, LoginNeeded, NotThere, Stored},
        problem::Problem,
    },
};

/// What is to be tagged, and how.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TagRequest {
    /// Tags to have.
    #[schema(max_items = 32)]
    pub add: BTreeSet<Tag>,
    /// Tags not to have.
    #[schema(max_items = 32)]
    pub remove: BTreeSet<Tag>,
    /// The services; no agents, whose machines can be tagged.
    #[schema(value_type = Vec<schema::ServiceName>, max_items = 1000)]
    pub services: BTreeSet<ServiceName>,
    /// The machines.
    #[schema(value_type = Vec<schema::MachineName>, max_items = 1000)]
    pub machines: BTreeSet<MachineName>,
}

/// Tags machines and services.
///
/// At least one tag and one thing are named. All of it is done, or nothing.
#[utoipa::path(
    post,
    path = "/tags",
    tag = "services",
    operation_id = "tag",
    request_body = TagRequest,
    responses(
        (status = 200, description = "What has other tags now", body = TagsChanged),
        BadBody,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn change(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<TagRequest>,
) -> Result<Json<TagsChanged>, Problem> {
    let TagRequest { add, remove, services, machines } = request;
    let change = TagChange::new(add, remove).map_err(AppError::Invalid)?;
    let changed = to_the_end(async move { app.change_tags(&caller, &change, &services, &machines).await }).await?;
    Ok(Json(changed))
}

/// The tags that are in use.
#[utoipa::path(
    get,
    path = "/tags",
    tag = "services",
    operation_id = "tags",
    params(PageQuery),
    responses((status = 200, description = "A part of them, by name", body = Page<TagView>), BadParameters, LoginNeeded),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<TagView>>, Problem> {
    let tags = app.tags(&caller, page.cursor::<Tag>()?.as_ref(), page.limit());
    Ok(Json(app.recorded(&caller, "tag-list", "", tags).await?))
}
