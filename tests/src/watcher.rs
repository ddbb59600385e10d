//! Watches the stream of events, and remembers everything with the moment it came.

use std::{
    io::BufRead,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{http, https::Https, wait};

/// An event, and when it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// The event.
    pub event: Value,
}

/// A watcher of a manager's events. It ends with the manager.
pub struct Watcher {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Watcher {
    /// Begins to watch; returns when the stream is open.
    pub fn open(socket: &Path) -> Self {
        Self::open_after(socket, None)
    }

    /// Begins to watch after an event.
    pub fn open_after(socket: &Path, since: Option<&str>) -> Self {
        let headers = since.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        Self::read(http::stream(socket, "/api/v1/events", &headers).expect("the stream opens"))
    }

    /// Begins to watch over TLS, as a client that may; returns when the stream is open.
    pub fn over_tls(client: &Https) -> Self {
        Self::read(client.open("/api/v1/events").expect("the stream opens"))
    }

    fn read(mut reader: impl BufRead + Send + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let shared = seen.clone();
        // The first line is a comment: by then the manager has subscribed.
        reader.read_line(&mut String::new()).expect("the stream begins");
        std::thread::spawn(move || {
            let mut line = String::new();
            let mut kind = String::new();
            while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
                if let Some(name) = line.strip_prefix("event: ") {
                    kind = name.trim().to_owned();
                }
                if let Some(data) = line.strip_prefix("data: ") {
                    let mut event: Value = serde_json::from_str(data).expect("an event is JSON");
                    if kind == "reset" {
                        event = serde_json::json!({"kind": "reset", "data": event});
                    }
                    let alive = kind == "alive";
                    kind.clear();
                    if alive {
                        line.clear();
                        continue;
                    }
                    shared.lock().unwrap().push(Seen { at: Instant::now(), event });
                }
                line.clear();
            }
        });
        Self { seen }
    }

    /// Forgets everything seen so far.
    pub fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    /// Everything seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The states that a service was seen in, in order, each once in a row.
    pub fn states_of(&self, service: &str) -> Vec<String> {
        let mut states: Vec<String> = self
            .seen()
            .iter()
            .filter(|seen| seen.event["service"] == service && seen.event["kind"] == "service.state")
            .map(|seen| seen.event["data"]["state"].as_str().unwrap_or_default().to_owned())
            .collect();
        states.dedup();
        states
    }

    /// Waits for an event that fits, from the beginning of the watch on.
    pub fn wait_for(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Seen {
        wait::until(what, Duration::from_secs(30), || self.seen().into_iter().find(|seen| fits(&seen.event)))
    }

    /// Waits until a service is seen in a state, after a moment.
    pub fn wait_state(&self, service: &str, state: &str, after: Instant) -> Seen {
        wait::until(&format!("{service} to be {state}"), Duration::from_secs(30), || {
            self.seen().into_iter().find(|seen| {
                seen.at >= after && seen.event["service"] == service && seen.event["data"]["state"] == state
            })
        })
    }
}
