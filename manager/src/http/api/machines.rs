//! `/api/v1/machines`

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use protocol::name::MachineName;

use super::{Answer, Params, Subject, machine, page::PageQuery};
use crate::{
    app::{App, to_the_end},
    grid::{page::Page, schema, view::MachineView},
    http::{
        auth::Authenticated,
        openapi::answers::{BadParameters, InTheWay, LoginNeeded, NotThere, Stored},
        problem::Problem,
    },
};

/// A machine in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "it describes what `Subject` takes")]
pub struct MachinePath {
    /// The machine's name.
    #[param(inline, value_type = schema::MachineName)]
    name: String,
}

/// The machines.
#[utoipa::path(
    get,
    path = "/machines",
    tag = "machines",
    params(PageQuery),
    responses((status = 200, description = "A part of them, by name", body = Page<MachineView>), BadParameters, LoginNeeded),
)]
pub async fn machines(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(page): Params<PageQuery>,
) -> Answer<Page<MachineView>> {
    let after = page.cursor::<MachineName>()?;
    let name = |machine: &MachineView| machine.name.to_string();
    let machines = app.recorded(&caller, "machine-list", "", app.machines(&caller)).await?;
    Ok(Json(Page::of(machines, name, after.as_ref().map(MachineName::as_str), page.limit())))
}

/// What `DELETE /machines/{name}` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// Also one whose agent is linked.
    #[serde(default)]
    force: bool,
}

/// Removes a machine.
///
/// Its services go with it, and its agent is turned away. One whose agent is linked is removed only by `force`.
#[utoipa::path(
    delete,
    path = "/machines/{name}",
    tag = "machines",
    params(MachinePath, RemoveQuery),
    responses((status = 204, description = "It is removed"), BadParameters, NotThere, InTheWay, Stored, LoginNeeded),
)]
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

/// Revokes the agent of a machine.
///
/// Its link ends at once, and its key is never taken again. The machine stays until it is removed.
#[utoipa::path(
    post,
    path = "/machines/{name}/revoke",
    tag = "machines",
    params(MachinePath),
    responses((status = 204, description = "It is revoked"), BadParameters, NotThere, InTheWay, Stored, LoginNeeded),
)]
pub async fn revoke_machine(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    let name = machine(&name)?;
    to_the_end(async move { app.revoke_machine(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
