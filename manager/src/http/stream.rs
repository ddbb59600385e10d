//! `/api/v1/events`: the stream of events, as server-sent events.

pub(super) mod parked;
mod watcher;

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

pub(super) use self::watcher::{ALIVE, FLUSH, KEEP_ALIVE, MAX_CHUNK, too_many};
use self::{parked::Source, watcher::Watcher};
use super::{
    api::Params,
    auth::{Authenticated, Shown},
    openapi::answers::{BadParameters, LoginNeeded, TooManyStreams},
    problem::Problem,
};
use crate::app::App;

/// How long nothing may be taken of a stream, as long as its connection goes on. A snapshot over a slow line needs a
/// while.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What `GET /events` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// Events after this one; a header `Last-Event-ID` goes before it.
    #[param(example = "1-4711")]
    since: Option<String>,
}

/// The stream of events, as server-sent events.
///
/// Each event has its `id:` and, as `data:`, an `Event` as `GET /journal` shows it. `event: alive` comes every 5 s, so
/// that who hears nothing for 10 s knows that the connection is lost. Whoever comes back names the last id, and misses
/// nothing; where that cannot be, because the id is unknown or gone, or the watcher is too far behind, `event: reset`
/// comes with a whole `Status` as `data:`. `event: passing` is an event that is only of the moment, such as how far an
/// operation is: it has no `id:`, no journal has it, and it does not come again. The stream ends when the session or the token does, or gives other rights.
#[utoipa::path(
    get,
    path = "/events",
    tag = "status",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Events after this one; browsers send it themselves"),
    ),
    responses(
        (status = 200, description = "Events, until one side ends it", body = String, content_type = "text/event-stream"),
        BadParameters,
        LoginNeeded,
        TooManyStreams,
    ),
)]
pub async fn stream(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    shown: Shown,
    Params(query): Params<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let since = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(query.since);
    let watcher = Watcher::open(app, &caller, shown, since.as_deref()).await?;
    let mut response = Body::from_stream(parked::chunks(watcher, PATIENCE)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Source for Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        self.next_chunk().await
    }
}
