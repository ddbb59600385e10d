//! `/api/v1/journal`: what happened before.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{api::Params, auth::Authenticated, problem::Problem};
use crate::{
    app::{App, AppError, watching::Part},
    grid::event::EventId,
};

/// What `GET /journal` takes.
#[derive(Debug, Default, Deserialize)]
pub struct EventsQuery {
    /// Events after this one.
    since: Option<String>,
    /// Events before this one.
    before: Option<String>,
    /// How many at most.
    limit: Option<u32>,
}

/// `GET /journal`: past events as a JSON array; after `since` oldest first, else the latest before `before` (or now),
/// newest first.
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
