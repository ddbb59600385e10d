//! `/api/v1/hooks`

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body as RawBody, to_bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use protocol::hook::MAX_PROGRAM;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Params, Subject};
use crate::{
    app::{App, AppError, to_the_end},
    grid::hooks::program::{HooksView, ProgramView},
    http::{
        auth::Authenticated,
        openapi::answers::{BadParameters, BadProgram, InTheWay, LoginNeeded, NotThere, Stored},
        problem::Problem,
    },
};

/// How long a program may take to come.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// The content type of a program.
const PROGRAM: &str = "application/octet-stream";

/// The hook programs with the machines that have them, and the hooks of the configuration.
#[utoipa::path(
    get,
    path = "/hooks",
    tag = "hooks",
    responses((status = 200, description = "All of them", body = HooksView), LoginNeeded),
)]
pub async fn hooks(State(app): State<Arc<App>>, Authenticated(caller): Authenticated) -> Answer<HooksView> {
    Ok(Json(app.hooks(&caller).await?))
}

/// What `POST /hooks` takes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProgramQuery {
    /// The program's name. A program of this name is replaced.
    #[param(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
    name: String,
}

/// Adds a hook program, or replaces the one of its name.
///
/// It is a script that begins with `#!` and the path of its interpreter, or an executable of Linux, of at most 16 MiB. It
/// is brought to the machines that need it by itself.
#[utoipa::path(
    post,
    path = "/hooks",
    tag = "hooks",
    params(ProgramQuery),
    request_body(content = String, content_type = "application/octet-stream", description = "The program", example = "#!/bin/sh\n"),
    responses(
        (status = 201, description = "The program", body = ProgramView),
        BadProgram,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn add_program(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(ProgramQuery { name }): Params<ProgramQuery>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<(StatusCode, Json<ProgramView>), Problem> {
    // Before the body is read: only who may add programs may send large ones.
    app.may_add_program(&caller, &name).await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|found| !found.eq_ignore_ascii_case(PROGRAM)) {
        let message = format!("send the program as it is, as {PROGRAM}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid", message));
    }
    let Ok(read) = tokio::time::timeout(UPLOAD_TIMEOUT, to_bytes(body, MAX_PROGRAM)).await else {
        let message = format!("the program did not come within {} s", UPLOAD_TIMEOUT.as_secs());
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "invalid", message));
    };
    let bytes = read.map_err(|error| {
        if is_too_large(&error) {
            let message = format!("the program is larger than {} MiB", MAX_PROGRAM / 1024 / 1024);
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid", message);
        }
        AppError::Invalid("the program did not come to its end".to_owned()).into()
    })?;
    let added = to_the_end(async move { app.add_program(&caller, &name, bytes.into()).await }).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

fn is_too_large(error: &axum::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |&cause| cause.source());
    causes.into_iter().any(|cause| cause.is::<http_body_util::LengthLimitError>())
}

/// A hook program, with the machines that have it.
#[utoipa::path(
    get,
    path = "/hooks/{name}",
    tag = "hooks",
    params(("name" = String, Path, description = "The program's name", min_length = 1)),
    responses((status = 200, description = "The program", body = ProgramView), BadParameters, NotThere, LoginNeeded),
)]
pub async fn program(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Answer<ProgramView> {
    Ok(Json(app.program(&caller, &name)?))
}

/// Removes a hook program that no hook of the configuration runs.
#[utoipa::path(
    delete,
    path = "/hooks/{name}",
    tag = "hooks",
    params(("name" = String, Path, description = "The program's name", min_length = 1)),
    responses(
        (status = 204, description = "It is removed"),
        BadParameters,
        NotThere,
        InTheWay,
        Stored,
        LoginNeeded,
    ),
)]
pub async fn remove_program(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Subject(name): Subject,
) -> Result<StatusCode, Problem> {
    to_the_end(async move { app.remove_program(&caller, &name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
