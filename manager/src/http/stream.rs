//! `/api/v1/events`: the stream of events, as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError, error::TryRecvError},
        watch,
    },
    time::Instant,
};
use utoipa::IntoParams;

use super::{
    api::Params,
    auth::{Authenticated, Shown},
    openapi::answers::{BadParameters, LoginNeeded},
    problem::Problem,
};
use crate::{
    app::{
        App,
        journal::{Published, Start, Told},
        traffic::Held,
    },
    grid::{access::Caller, event::Kind},
};

/// Under load events are sent together once in this time; the first after a pause is sent at once.
const FLUSH: Duration = Duration::from_millis(10);

/// How often an idle stream shows that it lives, and how often each looks again at who watches, if nothing says sooner
/// that it must.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What shows it. An event and no comment, because browsers do not tell pages of comments.
const ALIVE: &[u8] = b"event: alive\ndata: {}\n\n";

/// What a stream begins with: it makes the headers leave at once.
const GREETING: &[u8] = b": tomcat-grid\n\n";

/// About the most that is sent at once, in bytes.
const MAX_CHUNK: usize = 256 * 1024;

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
/// comes with a whole `Status` as `data:`. The stream ends when the session or the token does, or gives other rights.
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
    let watcher = Watcher::open(app, caller, shown, since.as_deref()).await?;
    let chunks = stream::unfold(watcher, |mut watcher| async move {
        watcher.next_chunk().await.map(|chunk| (Ok::<_, Infallible>(chunk), watcher))
    });
    let mut response = Body::from_stream(chunks).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One stream.
struct Watcher {
    app: Arc<App>,
    caller: Caller,
    shown: Shown,
    /// When it was last looked at who watches.
    looked: Instant,
    access: watch::Receiver<u64>,
    /// What was missed, and is told first.
    missed: std::vec::IntoIter<Published>,
    live: Receiver<Told>,
    /// The last event that was told, or left out because it is not to be seen.
    told: u64,
    /// What is to be sent next.
    chunk: Vec<u8>,
    gathered: Option<Instant>,
    _counted: Held,
}

impl Watcher {
    async fn open(app: Arc<App>, caller: Caller, shown: Shown, since: Option<&str>) -> Result<Self, Problem> {
        let access = app.access_changed.subscribe();
        let (start, live) = app.watch(&caller, since).await?;
        let mut watcher = Self {
            access,
            live,
            looked: Instant::now(),
            missed: Vec::new().into_iter(),
            told: 0,
            chunk: GREETING.to_vec(),
            gathered: None,
            _counted: app.traffic.streams.hold(),
            app,
            caller,
            shown,
        };
        match start {
            Start::Resume(events) => watcher.missed = events.into_iter(),
            Start::Reset => watcher.begin_anew(),
        }
        Ok(watcher)
    }

    /// Waits for something to send; `None` ends the stream.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            if self.must_look() && !self.may_go_on().await {
                return None;
            }
            if self.chunk.is_empty() && self.missed.len() == 0 {
                let told = tokio::select! {
                    biased;
                    _ = self.access.changed() => None,
                    told = tokio::time::timeout_at(self.looked + KEEP_ALIVE, self.live.recv()) => told.ok(),
                };
                match told {
                    None => return self.may_go_on().await.then(|| Bytes::from_static(ALIVE)),
                    Some(Ok(Told::Event(event))) => self.take(&event),
                    Some(Ok(Told::Lost) | Err(RecvError::Lagged(_))) => self.begin_anew(),
                    Some(Err(RecvError::Closed)) => return None,
                }
                // Under load what comes within a moment is sent together.
                if let Some(last) = self.gathered.filter(|last| last.elapsed() < FLUSH) {
                    tokio::time::sleep_until(last + FLUSH).await;
                }
            }
            self.gather();
            if !self.chunk.is_empty() {
                return Some(std::mem::take(&mut self.chunk).into());
            }
        }
    }

    /// Takes what there is: what was missed, then what is live.
    fn gather(&mut self) {
        self.gathered = Some(Instant::now());
        while self.chunk.len() < MAX_CHUNK {
            if let Some(event) = self.missed.next() {
                self.take(&event);
                continue;
            }
            match self.live.try_recv() {
                Ok(Told::Event(event)) => self.take(&event),
                Ok(Told::Lost) | Err(TryRecvError::Lagged(_)) => self.begin_anew(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn must_look(&self) -> bool {
        // The other end is held by the application, which is held here.
        self.looked.elapsed() >= KEEP_ALIVE || self.access.has_changed().unwrap_or(true)
    }

    /// Looks again at who watches.
    async fn may_go_on(&mut self) -> bool {
        self.looked = Instant::now();
        // What changes from here on is looked at again.
        self.access.mark_unchanged();
        let now = self.shown.caller(&self.app).await;
        self.app.may_go_on_watching(&self.caller, &now)
    }

    fn take(&mut self, event: &Published) {
        if event.seq > self.told {
            self.told = event.seq;
            if event.topic.kind == Kind::TagsChanged && self.caller.is_limited_by_tags() {
                // It may see other services from now on: those that it lost no event tells it of.
                return self.begin_anew();
            }
            if self.app.sees(&self.caller, &event.topic) {
                write_event(&mut self.chunk, event);
            }
        }
    }

    /// It is too far behind, or what it named is gone: it begins anew with a snapshot, which holds all that was missed.
    fn begin_anew(&mut self) {
        self.app.traffic.resets.count();
        self.missed = Vec::new().into_iter();
        self.told = self.app.journal.last().seq;
        let snapshot = self.app.status(&self.caller, &[]).ok();
        let id = snapshot.as_ref().map_or_else(|| self.app.journal.last().to_string(), |status| status.seq.clone());
        self.chunk.extend_from_slice(format!("id: {id}\nevent: reset\ndata: ").as_bytes());
        // A status is plain data, so it can always be written.
        let _never_fails = serde_json::to_writer(&mut self.chunk, &snapshot);
        self.chunk.extend_from_slice(b"\n\n");
    }
}

/// Writes an event straight to where it is sent from: with many watchers this is done more often than anything else.
fn write_event(chunk: &mut Vec<u8>, event: &Published) {
    // The body begins with its id, which is written here again for the browser's own resuming.
    let id = event.body.split('"').nth(3).unwrap_or_default();
    for part in ["id: ", id, "\ndata: ", &event.body, "\n\n"] {
        chunk.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        grid::{
            access::{Credential, Role},
            event::{Draft, Topic},
        },
        pki::authority::Authority,
        store::temporary,
    };

    async fn app() -> (tempfile::TempDir, Arc<App>) {
        let (dir, store) = temporary().await;
        let meta = store.meta(None).await.unwrap();
        let authority = Authority::load_or_make(dir.path(), meta.grid, None).unwrap();
        (dir, App::start(store, meta, authority, "here".to_owned()).await.unwrap())
    }

    fn caller(role: Role) -> Caller {
        let (name, from) = ("me".to_owned(), "here".to_owned());
        Caller {
            name,
            role: Some(role),
            credential: Credential::Socket,
            from,
            targets: None,
            token: None,
            expires_at: None,
        }
    }

    async fn watch(app: &Arc<App>, role: Role, since: Option<&str>) -> Watcher {
        let caller = caller(role);
        Watcher::open(app.clone(), caller.clone(), Shown::Peer(caller), since).await.unwrap_or_else(|_| panic!())
    }

    async fn next(watcher: &mut Watcher) -> String {
        String::from_utf8(watcher.next_chunk().await.expect("it goes on").to_vec()).unwrap()
    }

    #[test]
    fn an_event_is_sent_with_its_id() {
        let body = r#"{"id":"1-7","at":"x"}"#;
        let event = Published { seq: 7, body: body.into(), topic: Topic::of_body(body).into() };
        let mut chunk = Vec::new();
        write_event(&mut chunk, &event);
        assert_eq!(chunk, b"id: 1-7\ndata: {\"id\":\"1-7\",\"at\":\"x\"}\n\n");
    }

    #[tokio::test]
    async fn everybody_is_told_what_they_may_see() {
        let (_dir, app) = app().await;
        let mut watchers = [watch(&app, Role::Viewer, None).await, watch(&app, Role::Admin, None).await];
        for watcher in &mut watchers {
            assert_eq!(next(watcher).await.as_bytes(), GREETING);
        }
        app.journal.record(Draft::new(Kind::Login)).await.unwrap();
        app.journal.record(Draft::new(Kind::Trigger)).await.unwrap();
        let [viewer, admin] = &mut watchers;
        assert!(!next(viewer).await.contains("\"login\""));
        assert!(next(admin).await.contains("\"login\""));
    }

    #[tokio::test]
    async fn an_unknown_id_gets_a_snapshot_and_a_known_one_what_was_missed() {
        let (_dir, app) = app().await;
        let known = app.journal.last().to_string();
        app.journal.record(Draft::new(Kind::Trigger)).await.unwrap();
        let resumed = next(&mut watch(&app, Role::Viewer, Some(&known)).await).await;
        assert!(resumed.contains("\"trigger\"") && !resumed.contains("event: reset"), "{resumed}");
        let anew = next(&mut watch(&app, Role::Viewer, Some("9-9")).await).await;
        assert!(anew.contains("event: reset\ndata: {\"grid\""), "{anew}");
        assert_eq!(app.traffic.resets.get(), 1);
    }

    #[tokio::test]
    async fn a_stream_ends_at_once_when_its_credential_does() {
        let (_dir, app) = app().await;
        let token = Shown::Token("revoked".to_owned().into(), "here".to_owned());
        let mut watcher =
            Watcher::open(app.clone(), caller(Role::Admin), token, None).await.unwrap_or_else(|_| panic!());
        assert_eq!(next(&mut watcher).await.as_bytes(), GREETING);
        assert_eq!(app.traffic.streams.get(), 1);
        app.access_changed.send_modify(|count| *count += 1);
        let ended = tokio::time::timeout(KEEP_ALIVE / 2, watcher.next_chunk()).await;
        assert_eq!(ended.expect("it does not wait for the next look"), None);
        drop(watcher);
        assert_eq!(app.traffic.streams.get(), 0);
    }

    #[tokio::test]
    async fn a_stream_goes_on_when_somebody_else_s_access_changes() {
        let (_dir, app) = app().await;
        let mut watcher = watch(&app, Role::Viewer, None).await;
        next(&mut watcher).await;
        app.access_changed.send_modify(|count| *count += 1);
        app.journal.record(Draft::new(Kind::Trigger)).await.unwrap();
        assert!(next(&mut watcher).await.contains("\"trigger\""));
    }
}
