//! `/api/v1/schedules`

use std::sync::Arc;

use axum::{Json, extract::State};

use super::{Answer, Params, page::PageQuery};
use crate::{
    app::App,
    grid::{page::Page, schedule::ScheduleView},
    http::{
        auth::Authenticated,
        openapi::answers::{BadParameters, LoginNeeded},
    },
};

/// The schedules, when they are due, and how they go.
#[utoipa::path(
    get,
    path = "/schedules",
    tag = "configuration",
    operation_id = "schedules",
    params(PageQuery),
    responses(
        (status = 200, description = "A part of them, by name", body = Page<ScheduleView>),
        BadParameters,
        LoginNeeded,
    ),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Answer<Page<ScheduleView>> {
    Ok(Json(app.schedules(&caller, page.text(), page.limit()).await?))
}
