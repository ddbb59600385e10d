//! How soon the dashboard is there, how soon it shows a change, and how smooth it is: with 1,000 instances on 100
//! machines, in Chromium without a window, each beside a floor of the same run.
//!
//! Run by `script/bench`, which builds the programs as they are released. `cargo bench -p tests --bench dashboard -- frames`
//! measures one part only: `open`, `changes`, `frames`.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    browser::Browser,
    figures::Figures,
    fleet::{Fleet, Plan},
    https::Https,
    manager::{PASSWORD, TestManager},
    wait,
    watcher::Watcher,
};

/// The fleet.
const MACHINES: usize = 100;
const INSTANCES: usize = 10;

/// How often the page is opened by a browser that never saw it.
const COLD: usize = 5;

/// How many changes are timed.
const CHANGES: usize = 100;

/// How many other changes a second there are while they are timed again.
const BUSY: u32 = 100;

/// A gap between frames that a person sees, in milliseconds.
const VISIBLE: f64 = 50.0;

/// What the page is measured with.
const SCRIPT: &str = include_str!("dashboard.js");

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // `cargo test --benches` calls this too; there is nothing to measure in a debug build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    sizes();
    let manager = TestManager::start();
    let fleet = Fleet::start(&Plan { mixed: false, ..Plan::new(&manager.socket(), MACHINES, INSTANCES) });
    println!("{} instances on {MACHINES} machines", fleet.size());
    let session = log_in(&manager);
    let mut shown = None;
    let mut cold = Cold::default();
    let times = if wanted("open") { COLD } else { 1 };
    for _ in 0..times {
        let browser = cold.open(&manager, &session).await;
        if let Some(before) = shown.replace(browser) {
            Browser::close(before).await;
        }
    }
    let browser = shown.expect("it was opened");
    cold.print();
    floor_of_opening(&manager, &session);
    if wanted("changes") {
        let watcher = Watcher::over_tls(&Https::of(&manager).header("Cookie", &session));
        changes(&browser, &fleet, &watcher, "quiet").await;
        fleet.storm(BUSY);
        changes(&browser, &fleet, &watcher, &format!("with {BUSY} other changes a second")).await;
        fleet.storm(0);
    }
    if wanted("frames") {
        smooth(&browser, "quiet").await;
        fleet.storm(BUSY);
        smooth(&browser, &format!("with {BUSY} changes a second")).await;
    }
    browser.close().await;
}

/// The size of the page's files as they would be sent compressed.
fn sizes() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web");
    let size = |what: &str| -> f64 {
        let find = format!(
            "find . -type f \\( -name '*.js' -o -name '*.css' -o -name '*.html' \\) {what} -exec sh -c 'for f; do gzip -9 -c \"$f\" | wc -c; done' - {{}} +"
        );
        let found = Command::new("sh").arg("-c").arg(&find).current_dir(&web).output().expect("a shell runs");
        let sizes = String::from_utf8_lossy(&found.stdout).into_owned();
        sizes
            .split_ascii_whitespace()
            .map(|size| size.parse::<f64>().expect("a size"))
            .fold(0.0, |sum, size| sum + size / 1000.0)
    };
    let (own, vendor) = (size("! -path './vendor/*'"), size("-path './vendor/*'"));
    println!("the page's own code and styles:  {own:6.1} kB compressed (limit 150 kB), libraries {vendor:.1} kB");
}

/// Logs in, and returns the cookie.
fn log_in(manager: &TestManager) -> String {
    let login = json!({"name": "admin", "password": PASSWORD});
    let reply = Https::of(manager).request("POST", "/api/v1/session", Some(&login));
    let cookie = reply.header("set-cookie").unwrap_or_else(|| panic!("no session: {reply:?}"));
    cookie.split(';').next().expect("a cookie").to_owned()
}

/// What it takes to open the page.
#[derive(Default)]
struct Cold {
    paint: Figures,
    rows: Figures,
    last: Value,
}

impl Cold {
    /// Opens the page in a browser that has never seen it, and has no connection yet.
    async fn open(&mut self, manager: &TestManager, session: &str) -> Browser {
        let browser = Browser::open(1280).await;
        browser.viewport(1280, 800).await;
        browser.run_first(SCRIPT).await;
        let url = format!("https://{}/", manager.address());
        let (name, value) = session.split_once('=').expect("a cookie");
        let cookie = json!({"name": name, "value": value, "url": url, "path": "/", "secure": true, "httpOnly": true});
        browser.devtools("Network.setCookie", cookie).await;
        browser.go(&url).await;
        browser.wait_true("bench.firstRows > 0").await;
        let paint = "performance.getEntriesByName('first-contentful-paint')[0]";
        browser.wait_true(paint).await;
        let found = browser
            .run(&format!(
                "const files = performance.getEntriesByType('resource');
                 return {{paint: {paint}.startTime, firstRows: bench.firstRows, rows: bench.rows(),
                     elements: document.querySelectorAll('*').length, files: files.length,
                     bytes: files.reduce((sum, file) => sum + file.transferSize, 0)}}"
            ))
            .await;
        self.paint.add(number(&found, "paint"));
        self.rows.add(number(&found, "firstRows"));
        self.last = found;
        browser
    }

    fn print(&self) {
        let Self { paint, rows, last } = self;
        println!(
            "first paint, nothing cached:     median {:6.0} ms   worst {:6.0} ms   limit 1000 ms",
            paint.median(),
            paint.worst()
        );
        println!("  until the first rows are drawn: median {:5.0} ms   worst {:6.0} ms", rows.median(), rows.worst());
        println!(
            "  rows in the document {}, elements {}, files {}, {:.0} kB transferred",
            last["rows"],
            last["elements"],
            last["files"],
            number(last, "bytes") / 1000.0
        );
    }
}

/// What the page cannot do without: one connection, and the status over it.
fn floor_of_opening(manager: &TestManager, session: &str) {
    let client = Https::of(manager).header("Cookie", session);
    let mut floor = Figures::default();
    let mut size = 0;
    for _ in 0..COLD {
        let begun = Instant::now();
        size = client.get("/api/v1/status").body.len();
        floor.add(millis(begun.elapsed()));
    }
    let kilobytes = size as f64 / 1000.0;
    println!(
        "  floor, TLS and the status:      median {:5.0} ms   worst {:6.0} ms   ({kilobytes:.0} kB)",
        floor.median(),
        floor.worst()
    );
}

/// Times changes of services that are seen, from their agents to the screen.
async fn changes(browser: &Browser, fleet: &Fleet, watcher: &Watcher, when: &str) {
    // By name: a service that goes to where the problems are leaves the window, and is rightly not drawn there.
    browser.run("location.hash = '#/?sort=name'; scrollTo(0, 0); bench.touched.length = 0").await;
    let (mut seen, mut drawn, mut floor) = (Figures::default(), Figures::default(), Figures::default());
    let mut missed = 0;
    for _ in 0..CHANGES {
        let (name, machine, instance) = wait::until_async("a visible service", Duration::from_secs(10), async || {
            let visible = browser.run("return bench.visible()").await;
            let names = visible.as_array()?.iter().filter_map(Value::as_str);
            names.filter_map(|name| fleet.find(name).map(|(m, i)| (name.to_owned(), m, i))).last()
        })
        .await;
        watcher.forget();
        browser.run(&format!("bench.expect({name:?}, 'stopping')")).await;
        let sent = fleet.change(machine, instance, State::Stopping);
        let told = watcher.wait_state(&name, "stopping", sent.at).at;
        floor.add(millis(told.duration_since(sent.at)));
        let found = browser.run("return bench.expected.result").await;
        if found.is_null() {
            missed += 1;
        } else {
            seen.add(number(&found, "seen") - sent.millis);
            drawn.add(number(&found, "drawn") - sent.millis);
        }
        // Back again, and not timed.
        browser.run(&format!("bench.expect({name:?}, 'active')")).await;
        fleet.change(machine, instance, State::Active);
        browser.run("return bench.expected.result").await;
    }
    let touched = browser.run("return bench.touched").await;
    let touched: Figures = touched.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    println!("a change in the document, {when}:\n  {seen}   limit 100 ms");
    println!("  and drawn:\n  {drawn}");
    println!(
        "  floor, the same on an SSE stream:\n  {floor}   ratio of the medians {:.1}",
        seen.median() / floor.median()
    );
    println!(
        "  rows touched with it: median {:.0}, worst {:.0}; never seen: {missed}",
        touched.median(),
        touched.worst()
    );
}

/// Times frames while the page is scrolled and filtered.
async fn smooth(browser: &Browser, when: &str) {
    println!("milliseconds between frames, {when}:");
    for what in ["idle", "scroll", "drag", "filter"] {
        let found = browser.run(&format!("return bench.{what}()")).await;
        let Some(deltas) = found["deltas"].as_array() else {
            println!("  {what:7} the page has no such thing");
            continue;
        };
        let frames: Figures = deltas.iter().filter_map(Value::as_f64).collect();
        println!(
            "  {what:7} {frames}   above {VISIBLE:.0} ms: {}   long tasks: {}   most rows: {}",
            frames.above(VISIBLE),
            found["long"],
            found["mostRows"]
        );
        if !found["end"].is_null() {
            println!(
                "          frames with an empty middle: {}; the list is {} pixels long",
                found["empty"], found["end"]
            );
        }
    }
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(f64::NAN)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
