//! `/api/v1/machines`

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;

use protocol::name::MachineName;

use super::{Answer, Params, Subject, machine, page::PageQuery};
use crate::{
    app::{App, to_the_end},
    grid::{page::Page, view::MachineView},
    http::{auth::Authenticated, problem::Problem},
};

/// `GET /machines`
pub async fn machines(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Answer<Page<MachineView>> {
    let after = page.cursor::<MachineName>()?;
    let name = |machine: &MachineView| machine.name.to_string();
    Ok(Json(Page::of(app.machines(&caller)?, name, after.as_ref().map(MachineName::as_str), page.limit())))
}

/// What `DELETE /machines/{name}` takes.
#[derive(Debug, Default, Deserialize)]
pub struct RemoveQuery {
    /// Also one whose agent is linked.
    #[serde(default)]
    force: bool,
}

/// `DELETE /machines/{name}`
pub async fn remove_machine(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
    Params(query): Params<RemoveQuery>,
) -> Result<StatusCode, Problem> {
    let name = machine(&name)?;
    to_the_end(async move { app.remove_machine(&caller, &name, query.force).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /machines/{name}/revoke`
pub async fn revoke_machine(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    let name = machine(&name)?;
    to_the_end(async move { app.revoke_machine(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
