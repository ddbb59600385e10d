//! Streams of events under load: who does not read costs little, hears that it missed something, and is right afterwards.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use protocol::state::State;
use serde_json::Value;
use tests::{
    figures::resident,
    fleet::{Fleet, Plan, STAMP},
    http,
    manager::TestManager,
    wait,
    watcher::Watcher,
};

/// More changes than the manager keeps for a watcher that is behind (16,384), and what the socket's buffers hold.
const TOO_MANY: u64 = 19_000;

/// How long a wave may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much memory watchers that do not read may take, in MB: the changes kept for them once, and a piece for each.
const LITTLE: f64 = 80.0;

fn fleet(manager: &TestManager, machines: usize) -> Fleet {
    Fleet::start(&Plan { mixed: false, ..Plan::new(&manager.socket(), machines, 4) })
}

fn open(manager: &TestManager) -> BufReader<UnixStream> {
    open_with(manager, "")
}

fn open_after(manager: &TestManager, id: &str) -> BufReader<UnixStream> {
    open_with(manager, &format!("Last-Event-ID: {id}\r\n"))
}

fn open_with(manager: &TestManager, headers: &str) -> BufReader<UnixStream> {
    let mut stream = http::stream(&manager.socket(), "/api/v1/events", headers).expect("the stream opens");
    // By then the manager has subscribed.
    stream.read_line(&mut String::new()).expect("the stream begins");
    stream
}

/// Somebody who watches and only counts the changes of storms.
fn count(manager: &TestManager) -> Arc<AtomicU64> {
    let (stream, heard) = (open(manager), Arc::<AtomicU64>::default());
    let shared = heard.clone();
    std::thread::spawn(move || {
        for line in stream.lines().map_while(Result::ok).filter(|line| line.contains(STAMP)) {
            assert!(line.starts_with("data: {"));
            shared.fetch_add(1, Ordering::Relaxed);
        }
    });
    heard
}

/// Has so many changes told, in waves: what is told and not yet heard is never much.
fn storm(fleet: &Fleet, changes: u64, heard: &AtomicU64) {
    const WAVE: u64 = 1000;
    let (told, begun) = (fleet.told(), heard.load(Ordering::Relaxed));
    for wave in 1..=changes.div_ceil(WAVE) {
        fleet.storm(20_000);
        wait::until("many changes", PATIENCE, || (fleet.told() - told >= wave * WAVE).then_some(()));
        fleet.storm(0);
        let told = fleet.told() - told;
        wait::until("all of them to be heard", PATIENCE, || {
            (heard.load(Ordering::Relaxed) - begun >= told).then_some(())
        });
    }
}

/// A watcher as the page is one: what it believes, and what it does when it was cut off.
struct Page<'a> {
    manager: &'a TestManager,
    stream: BufReader<UnixStream>,
    last: String,
    services: BTreeMap<String, Value>,
    resets: usize,
}

impl<'a> Page<'a> {
    fn open(manager: &'a TestManager) -> Self {
        let status = manager.status();
        let last = status["seq"].as_str().expect("an id").to_owned();
        let stream = open_after(manager, &last);
        Self { manager, stream, last, services: services(&status), resets: 0 }
    }

    /// Reads until some service has this reason, whether a change or a snapshot says so.
    fn read_until(&mut self, reason: &str) {
        let deadline = Instant::now() + PATIENCE;
        let (mut is_reset, mut line, mut id) = (false, String::new(), None);
        while !self.services.values().any(|service| service["reason"] == reason) {
            assert!(Instant::now() < deadline, "`{reason}` is not told");
            line.clear();
            // A line without its end is the last of a stream that was cut off.
            if self.stream.read_line(&mut line).is_err() || !line.ends_with('\n') {
                id = None;
                self.stream = open_after(self.manager, &self.last);
                is_reset = false;
                continue;
            }
            is_reset |= line == "event: reset\n";
            if let Some(of_next) = line.strip_prefix("id: ") {
                id = Some(of_next.trim().to_owned());
            }
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Value = serde_json::from_str(data).expect("JSON");
            self.last = id.take().unwrap_or_else(|| self.last.clone());
            if std::mem::take(&mut is_reset) {
                self.resets += 1;
                self.services = services(&event);
            } else if event["kind"] == "service.state" {
                self.services.insert(event["service"].as_str().expect("a name").to_owned(), event["data"].clone());
            }
        }
    }
}

fn services(status: &Value) -> BTreeMap<String, Value> {
    let services = status["services"].as_array().expect("services").iter();
    services.map(|service| (service["name"].as_str().expect("a name").to_owned(), service.clone())).collect()
}

#[test]
fn watchers_that_do_not_read_cost_little_and_are_right_afterwards() {
    let manager = TestManager::start();
    let fleet = fleet(&manager, 4);
    let awake = count(&manager);
    let mut asleep: Vec<_> = (0..20).map(|_| Page::open(&manager)).collect();
    let before = resident(manager.pid());
    storm(&fleet, TOO_MANY, &awake);
    let grown = resident(manager.pid()) - before;
    assert!(grown < LITTLE, "20 watchers that do not read took {grown:.0} MB");
    fleet.change_with(0, 0, State::Stopping, Some("the last one"));
    // They read again, and find that they are cut off, or that there was too much: either way they begin anew.
    asleep.iter_mut().for_each(|page| page.read_until("the last one"));
    fleet.change_with(1, 1, State::Stopping, Some("afterwards"));
    for page in &mut asleep {
        page.read_until("afterwards");
        assert!(page.resets >= 1, "it must hear that it missed something");
        assert_eq!(page.services, services(&manager.status()));
    }
}

#[test]
fn watchers_that_read_all_see_the_same_and_miss_nothing() {
    let manager = TestManager::start();
    let fleet = fleet(&manager, 4);
    let watchers: Vec<Watcher> = (0..10).map(|_| Watcher::open(&manager.socket())).collect();
    storm(&fleet, 2000, &count(&manager));
    let told = fleet.told();
    let ids = |watcher: &Watcher| -> Vec<String> {
        // Of the machines that linked just before, some hear more than others.
        let of_storm = |event: &Value| event["data"]["reason"].as_str().is_some_and(|reason| reason.starts_with(STAMP));
        let storm = watcher.seen().into_iter().filter(|seen| of_storm(&seen.event));
        storm.map(|seen| seen.event["id"].as_str().expect("an id").to_owned()).collect()
    };
    fleet.change_with(0, 0, State::Stopping, Some("the last one"));
    let last = |event: &Value| event["data"]["reason"] == "the last one";
    watchers.iter().for_each(|watcher| drop(watcher.wait_for("the last one", last)));
    let first = ids(&watchers[0]);
    assert_eq!(first.len() as u64, told);
    for watcher in &watchers[1..] {
        assert_eq!(ids(watcher), first);
    }
}
