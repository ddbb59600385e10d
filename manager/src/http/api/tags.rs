//! `/api/v1/tags`

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use protocol::name::{MachineName, ServiceName};
use serde::{Deserialize, Serialize};

use super::{Body, Params, page::PageQuery};
use crate::{
    app::{App, AppError, tags::TagsChanged, to_the_end},
    grid::{
        page::Page,
        tags::{Tag, TagChange, TagView},
    },
    http::{auth::Authenticated, problem::Problem},
};

/// What `POST /tags` takes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TagRequest {
    /// Tags to have.
    pub add: BTreeSet<Tag>,
    /// Tags not to have.
    pub remove: BTreeSet<Tag>,
    /// The services; no agents, whose machines can be tagged.
    pub services: BTreeSet<ServiceName>,
    /// The machines.
    pub machines: BTreeSet<MachineName>,
}

/// `POST /tags`
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

/// `GET /tags`
pub async fn list(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Result<Json<Page<TagView>>, Problem> {
    Ok(Json(app.tags(&caller, page.cursor::<Tag>()?.as_ref(), page.limit())?))
}
