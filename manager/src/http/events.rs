//! `/api/v1/events`: the stream of events (server-sent events).

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError, error::TryRecvError},
    time::Instant,
};

use super::{
    api::Params,
    auth::{Authenticated, Shown},
    problem::Problem,
};
use crate::{
    app::{
        App,
        journal::{Published, Start, Told},
    },
    grid::access::Caller,
};

/// Under load events are sent together once in this time; the first after a pause is sent at once.
const FLUSH: Duration = Duration::from_millis(10);

/// How often an idle stream shows that it lives, and how often each looks again at who watches.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What shows it. An event and no comment, because browsers do not tell pages of comments.
const ALIVE: &[u8] = b"event: alive\ndata: {}\n\n";

/// The most that is sent at once, in bytes.
const MAX_CHUNK: usize = 256 * 1024;

/// What `GET /events` takes.
#[derive(Debug, Default, Deserialize)]
pub struct EventsQuery {
    /// Events after this one.
    since: Option<String>,
}

/// `GET /events`: resumes after `Last-Event-ID` or `?since=`. An id that is unknown or gone gets a `reset` event with
/// a snapshot; so does a watcher that falls too far behind.
pub async fn stream(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    shown: Shown,
    Params(query): Params<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let since = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(query.since);
    let (start, live) = app.watch(&caller, since.as_deref()).await?;
    let (told, pending) = match start {
        Start::Resume(events) => {
            let last = events.last().map_or(0, |event| event.seq);
            (last, events.iter().filter(|event| app.sees(&caller, &event.topic)).map(frame).collect())
        }
        Start::Reset => {
            let (seq, snapshot) = reset(&app, &caller);
            (seq, VecDeque::from([snapshot]))
        }
    };
    let watcher = Watcher { app, caller, shown, looked: Instant::now(), live, told, pending, last_flush: None };
    let body = Body::from_stream(watcher.chunks());
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One stream.
struct Watcher {
    app: Arc<App>,
    caller: Caller,
    shown: Shown,
    looked: Instant,
    live: Receiver<Told>,
    told: u64,
    pending: VecDeque<Bytes>,
    last_flush: Option<Instant>,
}

impl Watcher {
    fn chunks(mut self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        // The comment makes the headers leave at once.
        self.pending.push_front(Bytes::from_static(b": tomcat-grid\n\n"));
        stream::unfold(self, |mut watcher| async move { watcher.next_chunk().await.map(|chunk| (Ok(chunk), watcher)) })
    }

    async fn next_chunk(&mut self) -> Option<Bytes> {
        if self.looked.elapsed() >= KEEP_ALIVE && !self.may_go_on().await {
            return None;
        }
        if self.pending.is_empty() {
            match tokio::time::timeout_at(self.looked + KEEP_ALIVE, self.live.recv()).await {
                Err(_) => return self.may_go_on().await.then(|| Bytes::from_static(ALIVE)),
                Ok(Ok(Told::Event(event))) => self.take(&event),
                Ok(Ok(Told::Lost) | Err(RecvError::Lagged(_))) => self.begin_anew(),
                Ok(Err(RecvError::Closed)) => return None,
            }
            // Under load what comes within a moment is sent together.
            if let Some(last) = self.last_flush.filter(|last| last.elapsed() < FLUSH) {
                tokio::time::sleep_until(last + FLUSH).await;
            }
            loop {
                match self.live.try_recv() {
                    Ok(Told::Event(event)) => self.take(&event),
                    Ok(Told::Lost) | Err(TryRecvError::Lagged(_)) => self.begin_anew(),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
        }
        self.last_flush = Some(Instant::now());
        let mut chunk = Vec::new();
        while let Some(frame) = self.pending.pop_front() {
            chunk.extend_from_slice(&frame);
            if chunk.len() >= MAX_CHUNK {
                break;
            }
        }
        Some(chunk.into())
    }

    /// Looks again at who watches.
    async fn may_go_on(&mut self) -> bool {
        self.looked = Instant::now();
        let now = self.shown.caller(&self.app).await;
        self.app.may_go_on_watching(&self.caller, &now)
    }

    fn take(&mut self, event: &Published) {
        if event.seq > self.told {
            self.told = event.seq;
            if !self.app.sees(&self.caller, &event.topic) {
                return;
            }
            self.pending.push_back(frame(event));
        }
    }

    /// Too far behind: what was missed is in the snapshot.
    fn begin_anew(&mut self) {
        let (seq, snapshot) = reset(&self.app, &self.caller);
        self.told = seq;
        self.pending.clear();
        self.pending.push_back(snapshot);
    }
}

fn frame(event: &Published) -> Bytes {
    // The body begins with its id, which is written here again for the browser's own resuming.
    let id = event.body.split('"').nth(3).unwrap_or_default();
    format!("id: {id}\ndata: {}\n\n", event.body).into()
}

fn reset(app: &App, caller: &Caller) -> (u64, Bytes) {
    let seq = app.journal.last().seq;
    let snapshot = app.status(caller, &[]).ok();
    let id = snapshot.as_ref().map_or_else(|| app.journal.last().to_string(), |status| status.seq.clone());
    let data = serde_json::to_string(&snapshot).unwrap_or_else(|_| "null".to_owned());
    (seq, format!("id: {id}\nevent: reset\ndata: {data}\n\n").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::event::Topic;

    #[test]
    fn a_frame_carries_the_id_of_its_event() {
        let body = r#"{"id":"1-7","at":"x"}"#;
        let event = Published { seq: 7, body: body.into(), topic: Topic::of_body(body).into() };
        assert_eq!(&frame(&event)[..], b"id: 1-7\ndata: {\"id\":\"1-7\",\"at\":\"x\"}\n\n");
    }
}
