//! `/api/v1/operations/{id}/stream`: one operation, as it goes on.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use tokio::{
    sync::{
        broadcast::{
            Receiver,
            error::{RecvError, TryRecvError},
        },
        watch,
    },
    time::Instant,
};

use super::{
    Subject,
    operations::{OperationPath, id},
};
use crate::{
    app::{
        App,
        operations::{Watched, live::Live},
        traffic::Held,
        watching::Place,
    },
    grid::{
        access::Caller,
        operation::view::{OperationDetail, OperationNews, OperationState, OperationView},
    },
    http::{
        auth::{Authenticated, Shown},
        openapi::answers::{BadParameters, LoginNeeded, NotThere, TooManyStreams},
        problem::Problem,
        stream::{
            ALIVE, FLUSH, KEEP_ALIVE, MAX_CHUNK, PATIENCE,
            parked::{Source, chunks},
            too_many,
        },
    },
};

/// Watches an operation, as server-sent events.
///
/// Each `data:` is an `OperationNews`. The first is the whole, and the whole comes again where something was missed; the
/// stream ends after the news that the operation has ended, or was interrupted. `event: alive` comes every 5 s.
#[utoipa::path(
    get,
    path = "/operations/{id}/stream",
    tag = "operations",
    operation_id = "watch_operation",
    params(OperationPath),
    responses(
        (status = 200, description = "News, until the operation ends", body = OperationNews, content_type = "text/event-stream"),
        BadParameters,
        NotThere,
        LoginNeeded,
        TooManyStreams,
    ),
)]
pub async fn stream(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    shown: Shown,
    Subject(text): Subject,
) -> Result<Response, Problem> {
    let id = id(&text)?;
    let place = app.watchers.enter(&caller).ok_or_else(too_many)?;
    let access = app.access_changed.subscribe();
    let caller = shown.caller(&app).await?.ok_or_else(Problem::unauthorized)?;
    let watched = app.watch_operation(&caller, id).await?;
    let mut watcher = Watcher {
        live: None,
        chunk: Vec::new(),
        is_over: false,
        gathered: None,
        looked: Instant::now(),
        sent: Instant::now(),
        whole: Instant::now(),
        is_behind: false,
        access,
        shown,
        _counted: app.traffic.streams.hold(),
        _place: place,
        caller,
        app,
    };
    match watched {
        Watched::Live(live, detail, news) => {
            watcher.begin(*detail);
            watcher.live = Some((live, news));
        }
        Watched::Still(detail) => {
            watcher.begin(*detail);
            watcher.is_over = true;
        }
    }
    let mut response = Body::from_stream(chunks(watcher, PATIENCE)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// How often the whole is sent at most to one who falls behind.
const WHOLE: Duration = Duration::from_secs(1);

/// One stream.
struct Watcher {
    app: Arc<App>,
    caller: Caller,
    shown: Shown,
    live: Option<(Arc<Live>, Receiver<Arc<OperationNews>>)>,
    /// What is to be sent next.
    chunk: Vec<u8>,
    /// Nothing more comes.
    is_over: bool,
    gathered: Option<Instant>,
    /// When it was last looked at who watches.
    looked: Instant,
    /// When something was sent last.
    sent: Instant,
    /// When the whole was sent last.
    whole: Instant,
    /// It is too far behind, and gets the whole.
    is_behind: bool,
    access: watch::Receiver<u64>,
    _counted: Held,
    _place: Place,
}

impl Source for Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.looked.elapsed() >= KEEP_ALIVE || self.access.has_changed().unwrap_or(true) {
                self.looked = Instant::now();
                self.access.mark_unchanged();
                let now = self.shown.caller(&self.app).await;
                if !self.app.may_go_on_watching(&self.caller, &now) {
                    return None;
                }
            }
            if !self.chunk.is_empty() {
                self.sent = Instant::now();
                return Some(std::mem::take(&mut self.chunk).into());
            }
            if self.is_over {
                return None;
            }
            if self.is_behind {
                // Who cannot follow is not made slower still.
                tokio::time::sleep_until(self.whole + WHOLE).await;
                self.begin_anew();
                continue;
            }
            let until = self.looked.min(self.sent) + KEEP_ALIVE;
            let Some((_, news)) = &mut self.live else { return None };
            let told = tokio::select! {
                _ = self.access.changed() => {
                    // It is looked at above, as if it had not been seen yet.
                    self.looked = Instant::now().checked_sub(KEEP_ALIVE).unwrap_or(self.looked);
                    continue;
                }
                told = tokio::time::timeout_at(until, news.recv()) => told,
            };
            match told {
                // Under load what comes within a moment is sent together.
                Ok(Ok(news)) => {
                    self.write(&news);
                    if let Some(last) = self.gathered.filter(|last| last.elapsed() < FLUSH) {
                        tokio::time::sleep_until(last + FLUSH).await;
                    }
                    self.gather();
                }
                Ok(Err(RecvError::Lagged(_))) => self.is_behind = true,
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) if self.sent.elapsed() >= KEEP_ALIVE => {
                    self.sent = Instant::now();
                    return Some(Bytes::from_static(ALIVE));
                }
                Err(_) => {}
            }
        }
    }
}

impl Watcher {
    /// Takes what there is.
    fn gather(&mut self) {
        self.gathered = Some(Instant::now());
        while self.chunk.len() < MAX_CHUNK && !self.is_over && !self.is_behind {
            let Some((_, news)) = &mut self.live else { return };
            match news.try_recv() {
                Ok(news) => self.write(&news),
                Err(TryRecvError::Lagged(_)) => self.is_behind = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn write(&mut self, news: &OperationNews) {
        if let OperationNews::Operation(view) = news {
            self.is_over = is_still(view);
        }
        self.chunk.extend_from_slice(b"data: ");
        // News are plain data, so they can always be written.
        self.chunk.extend(serde_json::to_vec(news).unwrap_or_default());
        self.chunk.extend_from_slice(b"\n\n");
    }

    fn begin(&mut self, detail: OperationDetail) {
        let view = detail.operation.clone();
        self.write(&OperationNews::Whole(Box::new(detail)));
        if is_still(&view) {
            self.write(&OperationNews::Operation(Box::new(view)));
        }
    }

    /// It was too far behind.
    fn begin_anew(&mut self) {
        (self.whole, self.is_behind) = (Instant::now(), false);
        let Some((live, _)) = &self.live else { return };
        let live = live.clone();
        let (detail, news) = live.watch();
        self.live = Some((live, news));
        self.begin(detail);
    }
}

/// Whether nothing more happens to an operation by itself.
fn is_still(view: &OperationView) -> bool {
    matches!(view.state, OperationState::Ended | OperationState::Interrupted)
}
