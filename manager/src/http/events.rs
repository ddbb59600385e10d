//! `/api/v1/journal`: what happened before.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    api::Params,
    auth::Authenticated,
    openapi::answers::{BadParameters, LoginNeeded},
    problem::Problem,
};
use crate::{
    app::{App, AppError, watching::Part},
    grid::event::{Event, EventId},
};

/// What `GET /journal` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Events after this one.
    #[param(pattern = r"^[0-9]{1,19}-[0-9]{1,19}$", example = "1-4711")]
    since: Option<String>,
    /// Events before this one.
    #[param(pattern = r"^[0-9]{1,19}-[0-9]{1,19}$", example = "1-4711")]
    before: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// What happened before.
///
/// After `since` oldest first, else the latest before `before` (or now), newest first.
#[utoipa::path(
    get,
    path = "/journal",
    tag = "status",
    params(EventsQuery),
    responses((status = 200, description = "The events", body = Vec<Event>), BadParameters, LoginNeeded),
)]
pub async fn journal(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<EventsQuery>,
) -> Result<Response, Problem> {
    let parse = |text: String| text.parse::<EventId>().map_err(|error| Problem::from(AppError::Invalid(error)));
    let part = match (query.since, query.before) {
        (Some(since), _) => Part::After(parse(since)?),
        (None, Some(before)) => Part::Before(parse(before)?),
        (None, None) => Part::Latest,
    };
    let bodies = app.past_events(&caller, part, query.limit.unwrap_or(100)).await?;
    let json = format!("[{}]", bodies.join(","));
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], json).into_response())
}
