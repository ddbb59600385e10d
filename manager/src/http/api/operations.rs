//! `/api/v1/operations`: commands that wait.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use protocol::name::ServiceName;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Answer, Body, Params, Subject, page::PageQuery};
use crate::{
    app::{App, AppError, operations::Begun, to_the_end},
    grid::{
        operation::{
            request::OperationRequest,
            view::{LogLine, OperationDetail, OperationState, OperationView},
        },
        page::Page,
        schema,
    },
    http::{
        auth::Authenticated,
        openapi::answers::{BadBody, BadParameters, InTheWay, LoginNeeded, NotThere, Stored},
        problem::Problem,
    },
    store::operations::OperationFilter,
};

/// Which operation.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it is described, and read as text")]
pub struct OperationPath {
    /// Its id.
    id: Uuid,
}

/// What `GET /operations` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OperationsQuery {
    /// Which part.
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
    /// How far it is.
    #[param(inline)]
    state: Option<OperationState>,
    /// Asked for by somebody.
    actor: Option<String>,
    /// With a service among its steps.
    #[param(inline, value_type = Option<schema::ServiceName>)]
    service: Option<ServiceName>,
}

/// How an operation is cancelled.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Leave what is in hand, and do not wait for its end.
    #[serde(default)]
    pub now: bool,
}

/// The id in a path.
pub(super) fn id(text: &str) -> Result<Uuid, Problem> {
    Ok(text.parse().map_err(|_| AppError::Invalid(format!("`{text}` is no id of an operation")))?)
}

/// Begins an operation: a command on targets, which waits for what it brings about.
///
/// The answer comes as soon as the operation is stored. A dry run is answered with its tree, and nothing is done.
#[utoipa::path(
    post,
    path = "/operations",
    tag = "operations",
    operation_id = "begin_operation",
    request_body = OperationRequest,
    responses(
        (status = 202, description = "It is begun", body = OperationView),
        (status = 200, description = "What would be done, for a dry run", body = OperationDetail),
        BadBody,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn begin(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Body(request): Body<OperationRequest>,
) -> Result<Response, Problem> {
    match to_the_end(async move { app.begin_operation(&caller, request).await }).await? {
        Begun::Planned(detail) => Ok(Json(detail).into_response()),
        Begun::Begun(view) => Ok((StatusCode::ACCEPTED, Json(view)).into_response()),
    }
}

/// Operations, newest first.
///
/// A page may have few operations or none and yet a `next`: at most about 500 are looked at for one, also where most are
/// not for the caller.
#[utoipa::path(
    get,
    path = "/operations",
    tag = "operations",
    operation_id = "operations",
    params(OperationsQuery, PageQuery),
    responses((status = 200, description = "A part of them", body = Page<OperationView>), BadParameters, LoginNeeded),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<OperationsQuery>,
) -> Answer<Page<OperationView>> {
    let (before, limit) = (query.page.cursor::<Uuid>()?, query.page.limit());
    let filter = OperationFilter { state: query.state, actor: query.actor, service: query.service };
    Ok(Json(app.operations(&caller, &filter, before, limit).await?))
}

/// An operation with all its steps.
#[utoipa::path(
    get,
    path = "/operations/{id}",
    tag = "operations",
    operation_id = "operation",
    params(OperationPath),
    responses((status = 200, description = "The operation", body = OperationDetail), BadParameters, NotThere, LoginNeeded),
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(text): Subject,
) -> Answer<OperationDetail> {
    Ok(Json(app.operation(&caller, id(&text)?).await?))
}

/// The log of an operation, oldest first: what its hooks wrote, and what happened to its services.
#[utoipa::path(
    get,
    path = "/operations/{id}/log",
    tag = "operations",
    operation_id = "operation_log",
    params(OperationPath, PageQuery),
    responses((status = 200, description = "A part of it", body = Page<LogLine>), BadParameters, NotThere, LoginNeeded),
)]
pub async fn log(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(text): Subject,
    Params(page): Params<PageQuery>,
) -> Answer<Page<LogLine>> {
    let after = page.cursor::<u64>()?.unwrap_or(0);
    Ok(Json(app.operation_log(&caller, id(&text)?, after, page.limit()).await?))
}

/// Cancels an operation: no other service is begun, and those in hand are finished, or with `now` left as they are.
#[utoipa::path(
    post,
    path = "/operations/{id}/cancel",
    tag = "operations",
    operation_id = "cancel_operation",
    params(OperationPath),
    request_body = CancelRequest,
    responses(
        (status = 200, description = "It is cancelled", body = OperationView),
        BadBody,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(text): Subject,
    Body(CancelRequest { now }): Body<CancelRequest>,
) -> Answer<OperationView> {
    let id = id(&text)?;
    Ok(Json(to_the_end(async move { app.cancel_operation(&caller, id, now).await }).await?))
}

/// Goes on with an operation that was interrupted by the end of a manager.
///
/// What was done stays done. Of what was sent and not answered the agents are asked what became of it.
#[utoipa::path(
    post,
    path = "/operations/{id}/resume",
    tag = "operations",
    operation_id = "resume_operation",
    params(OperationPath),
    responses(
        (status = 202, description = "It goes on", body = OperationView),
        BadParameters,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn resume(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(text): Subject,
) -> Result<(StatusCode, Json<OperationView>), Problem> {
    let id = id(&text)?;
    let view = to_the_end(async move { app.resume_operation(&caller, id).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Tries again what of an operation is neither done nor ignored: a new operation, of the same tree without the rest.
#[utoipa::path(
    post,
    path = "/operations/{id}/retry",
    tag = "operations",
    operation_id = "retry_operation",
    params(OperationPath),
    responses(
        (status = 202, description = "The new operation", body = OperationView),
        BadParameters,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn retry(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(text): Subject,
) -> Result<(StatusCode, Json<OperationView>), Problem> {
    let id = id(&text)?;
    let view = to_the_end(async move { app.retry_operation(&caller, id).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}
