//! One watcher: what it is told next, and whether it may go on.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{body::Bytes, http::StatusCode};
use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError, error::TryRecvError},
        watch,
    },
    time::Instant,
};

use crate::{
    app::{
        App,
        journal::{Published, Start, Told},
        traffic::Held,
        watching::{MOST_OF_ONE, Place},
    },
    grid::{access::Caller, event::Kind},
    http::{auth::Shown, problem::Problem},
};

/// Under load events are sent together once in this time; the first after a pause is sent at once.
pub(in crate::http) const FLUSH: Duration = Duration::from_millis(10);

/// How often an idle stream shows that it lives, and how often each looks again at who watches, if nothing says sooner
/// that it must.
pub(in crate::http) const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What shows it. An event and no comment, because browsers do not tell pages of comments.
pub(in crate::http) const ALIVE: &[u8] = b"event: alive\ndata: {}\n\n";

/// What a stream begins with: it makes the headers leave at once.
const GREETING: &[u8] = b": tomcat-grid\n\n";

/// About the most that is sent at once, in bytes.
pub(in crate::http) const MAX_CHUNK: usize = 256 * 1024;

/// One stream.
pub(super) struct Watcher {
    app: Arc<App>,
    caller: Caller,
    shown: Shown,
    /// When it was last looked at who watches.
    looked: Instant,
    /// When something was sent last.
    sent: Instant,
    access: watch::Receiver<u64>,
    /// What was missed, and is told first.
    missed: std::vec::IntoIter<Published>,
    live: Receiver<Told>,
    /// The last event that was told, or left out because it is not to be seen.
    told: u64,
    /// What is to be sent next.
    ready: VecDeque<Bytes>,
    /// What is to be sent after that.
    chunk: Vec<u8>,
    gathered: Option<Instant>,
    /// Nothing can be told any more.
    is_over: bool,
    _counted: Held,
    _place: Place,
}

impl Watcher {
    pub(super) async fn open(
        app: Arc<App>,
        caller: &Caller,
        shown: Shown,
        since: Option<&str>,
    ) -> Result<Self, Problem> {
        let place = app.watchers.enter(caller).ok_or_else(too_many)?;
        let access = app.access_changed.subscribe();
        // What changed before this moment is not told by `access`.
        let caller = shown.caller(&app).await?.ok_or_else(Problem::unauthorized)?;
        let (start, live) = app.watch(&caller, since).await?;
        let mut watcher = Self {
            access,
            live,
            looked: Instant::now(),
            sent: Instant::now(),
            missed: Vec::new().into_iter(),
            told: 0,
            ready: VecDeque::new(),
            chunk: GREETING.to_vec(),
            gathered: None,
            is_over: false,
            _counted: app.traffic.streams.hold(),
            _place: place,
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
    pub(super) async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            if self.must_look() && !self.may_go_on().await {
                return None;
            }
            if self.is_idle() {
                let until = self.looked.min(self.sent) + KEEP_ALIVE;
                let told = tokio::select! {
                    biased;
                    _ = self.access.changed() => {
                        // Who waited has seen that it changed, so it must be looked at here.
                        if !self.may_go_on().await {
                            return None;
                        }
                        continue;
                    }
                    told = tokio::time::timeout_at(until, self.live.recv()) => told.ok(),
                };
                match told {
                    None => {}
                    Some(Ok(Told::Event(event))) => self.take(&event),
                    Some(Ok(Told::Passing(event))) => self.pass(&event),
                    Some(Ok(Told::Lost) | Err(RecvError::Lagged(_))) => self.begin_anew(),
                    Some(Err(RecvError::Closed)) => return None,
                }
                // Under load what comes within a moment is sent together.
                if let Some(last) = self.gathered.filter(|last| last.elapsed() < FLUSH) {
                    tokio::time::sleep_until(last + FLUSH).await;
                }
            }
            self.gather();
            if let Some(chunk) = self.next_ready() {
                self.sent = Instant::now();
                return Some(chunk);
            }
            if self.is_over {
                return None;
            }
            // Whatever happens that is not for this caller: it must hear something.
            if self.sent.elapsed() >= KEEP_ALIVE {
                self.sent = Instant::now();
                return Some(Bytes::from_static(ALIVE));
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.chunk.is_empty() && self.missed.len() == 0 && !self.is_over
    }

    fn next_ready(&mut self) -> Option<Bytes> {
        let chunk = || Some(std::mem::take(&mut self.chunk)).filter(|chunk| !chunk.is_empty()).map(Bytes::from);
        self.ready.pop_front().or_else(chunk)
    }

    /// Takes what there is: what was missed, then what is live.
    fn gather(&mut self) {
        self.gathered = Some(Instant::now());
        while self.chunk.len() < MAX_CHUNK && self.ready.is_empty() && !self.is_over {
            if let Some(event) = self.missed.next() {
                self.take(&event);
                continue;
            }
            match self.live.try_recv() {
                Ok(Told::Event(event)) => self.take(&event),
                Ok(Told::Passing(event)) => self.pass(&event),
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
        if event.seq <= self.told {
            return;
        }
        self.told = event.seq;
        if self.app.unsettles(&self.caller, &event.topic) {
            return self.begin_anew();
        }
        if event.topic.kind == Kind::MachineState && self.caller.targets.is_some() {
            if let Some(body) = self.app.narrowed(&self.caller, &event.body) {
                write_event(&mut self.chunk, &body);
            }
        } else if self.app.sees(&self.caller, &event.topic) {
            write_event(&mut self.chunk, &event.body);
        }
    }

    /// What has no number is sent without an id: nobody can go on after it.
    fn pass(&mut self, event: &Published) {
        if self.app.sees(&self.caller, &event.topic) {
            for part in ["event: passing\ndata: ", &event.body, "\n\n"] {
                self.chunk.extend_from_slice(part.as_bytes());
            }
        }
    }

    /// It is too far behind, or what it named is gone: it begins anew with a snapshot, which holds all that was missed.
    fn begin_anew(&mut self) {
        self.app.traffic.resets.count();
        let Ok((snapshot, since)) = self.app.snapshot(&self.caller) else {
            self.is_over = true;
            return;
        };
        self.told = snapshot.id.seq;
        self.missed = since.into_iter();
        let head = format!("id: {}\nevent: reset\ndata: ", snapshot.id);
        // What was to be sent before goes before.
        self.chunk.extend_from_slice(head.as_bytes());
        self.ready.push_back(std::mem::take(&mut self.chunk).into());
        // Most often it is the same for many watchers, and so there is one of it.
        self.ready.push_back(Bytes::from_owner(snapshot.json.clone()));
        self.ready.push_back(Bytes::from_static(b"\n\n"));
    }
}

/// What is answered to a caller who has as many streams open as one may.
pub(in crate::http) fn too_many() -> Problem {
    let detail = format!("so many streams of one caller are open already: {MOST_OF_ONE} at once is the most");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail)
}

/// Writes an event straight to where it is sent from: with many watchers this is done more often than anything else.
fn write_event(chunk: &mut Vec<u8>, body: &str) {
    // The body begins with its id, which is written here again for the browser's own resuming.
    let id = body.split('"').nth(3).unwrap_or_default();
    for part in ["id: ", id, "\ndata: ", body, "\n\n"] {
        chunk.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::temporary::app,
        grid::{access::Role, event::Draft},
    };

    fn caller(role: Role) -> Caller {
        Caller::at_socket("me".to_owned(), Some(role))
    }

    async fn watch(app: &Arc<App>, role: Role, since: Option<&str>) -> Watcher {
        let caller = caller(role);
        Watcher::open(app.clone(), &caller, Shown::Peer(caller.clone()), since).await.unwrap_or_else(|_| panic!())
    }

    async fn next(watcher: &mut Watcher) -> String {
        String::from_utf8(watcher.next_chunk().await.expect("it goes on").to_vec()).unwrap()
    }

    #[test]
    fn an_event_is_sent_with_its_id() {
        let body = r#"{"id":"1-7","at":"x"}"#;
        let mut chunk = Vec::new();
        write_event(&mut chunk, body);
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
        let mut watcher = watch(&app, Role::Viewer, Some("9-9")).await;
        let anew = next(&mut watcher).await + &next(&mut watcher).await;
        assert!(anew.contains("event: reset\ndata: {\"grid\""), "{anew}");
        assert_eq!(app.traffic.resets.get(), 1);
    }

    #[tokio::test]
    async fn a_stream_ends_at_once_when_its_credential_does() {
        let (_dir, app) = app().await;
        let token = || Shown::Token("revoked".to_owned().into(), "here".to_owned());
        // One that ended just before is not let in.
        let opened = Watcher::open(app.clone(), &caller(Role::Admin), token(), None).await;
        assert_eq!(opened.err().map(|problem| problem.status), Some(401));
        let mut watcher = watch(&app, Role::Admin, None).await;
        watcher.shown = token();
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

    #[tokio::test]
    async fn a_stream_shows_that_it_lives_whatever_others_are_told() {
        let (_dir, app) = app().await;
        let mut watcher = watch(&app, Role::Viewer, None).await;
        next(&mut watcher).await;
        watcher.sent -= KEEP_ALIVE;
        // A viewer is not told of it.
        app.journal.record(Draft::new(Kind::Login)).await.unwrap();
        let alive = tokio::time::timeout(KEEP_ALIVE / 2, next(&mut watcher)).await;
        assert_eq!(alive.expect("it is due").as_bytes(), ALIVE);
    }

    #[tokio::test]
    async fn one_caller_has_so_many_streams_and_others_have_theirs() {
        let (_dir, app) = app().await;
        let me = caller(Role::Viewer);
        let mut places: Vec<Place> = (0..MOST_OF_ONE).map(|_| app.watchers.enter(&me).unwrap()).collect();
        let refused = Watcher::open(app.clone(), &me, Shown::Peer(me.clone()), None).await;
        assert_eq!(refused.err().map(|problem| problem.status), Some(429));
        assert!(app.watchers.enter(&Caller { name: "other".to_owned(), ..me.clone() }).is_some());
        places.pop();
        assert!(app.watchers.enter(&me).is_some());
    }

    #[tokio::test]
    async fn those_who_begin_anew_together_share_a_snapshot_and_miss_nothing() {
        let (_dir, app) = app().await;
        let one = app.snapshot(&caller(Role::Viewer)).unwrap().0;
        app.journal.record(Draft::new(Kind::Trigger)).await.unwrap();
        let (other, since) = app.snapshot(&caller(Role::Admin)).unwrap();
        assert!(Arc::ptr_eq(&one.json, &other.json));
        assert_eq!(since.last().map(|event| event.seq), Some(app.journal.last().seq));
        let limited = Caller { targets: Some(Vec::new()), ..caller(Role::Viewer) };
        assert!(!Arc::ptr_eq(&one.json, &app.snapshot(&limited).unwrap().0.json));
    }
}
