//! A hundred watchers while a thousand changes come in each second: what each hears and how late, what the manager's
//! memory does, and what becomes of one that does not read. Beside it one watcher alone, in the same run.
//!
//! Run by `script/bench`, which builds the programs as they are released. `cargo bench -p tests --bench streams -- 20 200`
//! measures with 20 watchers and 200 changes a second.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    io::{BufRead, BufReader},
    time::{Duration, Instant},
};

use protocol::state::State;
use tests::{
    figures::{Figures, forget_peak, peak, resident},
    fleet::{Fleet, Plan, STAMP, epoch},
    https::{Https, Stream},
    manager::TestManager,
};
use tokio::task::JoinHandle;

/// The fleet.
const MACHINES: usize = 100;
const INSTANCES: usize = 10;

/// How many watch.
const WATCHERS: usize = 100;

/// Streams on one connection, where they share some.
const SHARED: usize = 10;

/// Changes a second.
const RATE: u32 = 1000;

/// How long they come. The one that does not read is behind by more than is kept for it (16,384 changes) afterwards.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(8);

/// What the last change says, by which a stream is known to be complete.
const LAST: &str = "the last of all";

#[tokio::main]
async fn main() {
    // `cargo test --benches` calls this too; there is nothing to measure in a debug build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u32>().ok());
    let watchers = numbers.next().map_or(WATCHERS, |watchers| watchers as usize).next_multiple_of(SHARED);
    let rate = numbers.next().unwrap_or(RATE);
    let manager = TestManager::start();
    let token = manager.token_with(&["--api", "--role", "viewer"]);
    let fleet = Fleet::start(&Plan { mixed: false, ..Plan::new(&manager.socket(), MACHINES, INSTANCES) });
    println!("{rate} changes a second of {} instances on {MACHINES} machines", fleet.size());
    let bench = Bench { fleet, manager, token, rate };
    let floor = bench.round("one watcher alone (the floor)", 1, 1, SHORT).await;
    let asleep = bench.sleeper();
    let many =
        bench.round(&format!("{watchers} watchers, a connection each; another does not read"), watchers, 1, LONG).await;
    bench.wake(asleep).await;
    let shared = bench.round(&format!("{watchers} watchers, {SHARED} on a connection"), watchers, SHARED, SHORT).await;
    for (what, lag) in [("a connection each", many), ("shared connections", shared)] {
        let (median, p99) = (lag.median() / floor.median(), lag.part(0.99) / floor.part(0.99));
        println!("lag of {watchers} as a multiple of that of one, {what}: median {median:.1}, p99 {p99:.1}");
    }
}

struct Bench {
    // Ends before the manager does, which it would complain of.
    fleet: Fleet,
    manager: TestManager,
    token: String,
    rate: u32,
}

/// What a watcher heard.
#[derive(Default)]
struct Heard {
    changes: u64,
    resets: u64,
    bytes: u64,
    /// From the agent's sending to the watcher's reading, in milliseconds.
    lag: Vec<f64>,
}

impl Bench {
    /// Lets watchers watch for a while, `shared` of them on each connection; what they heard is printed, and their lag
    /// returned.
    async fn round(&self, what: &str, watchers: usize, shared: usize, time: Duration) -> Figures {
        let pid = self.manager.pid();
        let before = resident(pid);
        let mut watching: Vec<JoinHandle<Heard>> = Vec::new();
        for _ in 0..watchers / shared {
            let client = self.client(shared > 1);
            for _ in 0..shared {
                let url = format!("https://{}/api/v1/events", self.manager.address());
                let opened = client.get(url).bearer_auth(&self.token).send().await.expect("the stream opens");
                assert_eq!(opened.status(), 200);
                watching.push(tokio::spawn(watch(opened)));
            }
        }
        let opened = resident(pid);
        forget_peak(pid);
        let told = self.fleet.told();
        let (begun, used) = (Instant::now(), cpu(pid));
        self.fleet.storm(self.rate);
        tokio::time::sleep(time).await;
        self.fleet.storm(0);
        let (took, used) = (begun.elapsed().as_secs_f64(), cpu(pid) - used);
        let told = self.fleet.told() - told;
        // Each machine's last comes after its others.
        for machine in 0..MACHINES {
            self.fleet.change_with(machine, 0, State::Active, Some(LAST));
        }
        let mut lag = Figures::default();
        let (mut least, mut most, mut resets, mut bytes) = (u64::MAX, 0, 0, 0);
        for watcher in watching {
            let heard = tokio::time::timeout(Duration::from_secs(60), watcher).await;
            let heard = heard.expect("every watcher hears the end").expect("no watcher fails");
            (least, most) = (least.min(heard.changes), most.max(heard.changes));
            (resets, bytes) = (resets + heard.resets, bytes + heard.bytes);
            lag.extend(heard.lag);
        }
        let peak = peak(pid);
        println!("{what}:");
        println!("  {told} changes told in {took:.1} s; heard by each {least} to {most}; resets {resets}");
        println!("  lag from the agent's sending: {lag}");
        println!(
            "  the manager's memory: before {before:.0} MB, streams open {opened:.0} MB, most {peak:.0} MB, after {:.0} MB",
            resident(pid)
        );
        println!(
            "  the manager's processors: {:.0} % of one; {:.1} MB/s to the watchers",
            used / took * 100.0,
            bytes as f64 / took / 1e6
        );
        lag
    }

    /// A client with connections of its own.
    fn client(&self, http2: bool) -> reqwest::Client {
        let mut config = Https::trusting(&self.manager);
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let builder = reqwest::Client::builder().tls_backend_preconfigured(config);
        let builder = if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
        builder.build().expect("a client")
    }

    /// A watcher that reads the beginning, and then no more.
    fn sleeper(&self) -> BufReader<Stream> {
        let client = Https::of(&self.manager).bearer(&self.token);
        let mut stream = client.open("/api/v1/events").expect("the stream opens");
        stream.read_line(&mut String::new()).expect("it begins");
        stream
    }

    /// Has it read again, until it knows the present.
    async fn wake(&self, mut asleep: BufReader<Stream>) {
        let begun = Instant::now();
        let (mut lines, mut resets) = (0_u64, 0_u64);
        self.fleet.change_with(0, 1, State::Stopping, Some("good morning"));
        let (mut line, mut last, mut cut_off) = (String::new(), String::new(), 0);
        while !line.contains("good morning") {
            line.clear();
            if asleep.read_line(&mut line).map_or(true, |length| length == 0) {
                cut_off += 1;
                assert!(cut_off < 10, "it is cut off again and again");
                let client = Https::of(&self.manager).bearer(&self.token).header("Last-Event-ID", &last);
                asleep = client.open("/api/v1/events").expect("the stream opens again");
            }
            lines += 1;
            resets += u64::from(line.starts_with("event: reset"));
            if let Some(id) = line.strip_prefix("id: ") {
                last = id.trim().to_owned();
            }
        }
        println!(
            "one that did not read meanwhile: on reading again {lines} lines, cut off {cut_off} times, \
             {resets} resets, then it knew the present (after {:.0} ms)",
            begun.elapsed().as_secs_f64() * 1000.0
        );
    }
}

/// Reads a stream until every machine's last change.
async fn watch(mut stream: reqwest::Response) -> Heard {
    let mut heard = Heard::default();
    let mut rest: Vec<u8> = Vec::new();
    let mut last = 0;
    while last < MACHINES {
        let chunk = stream.chunk().await.expect("the stream goes on").expect("the stream goes on");
        let now = epoch().as_micros() as f64;
        heard.bytes += chunk.len() as u64;
        rest.extend_from_slice(&chunk);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        let whole = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest.drain(..=end);
        for line in whole.lines() {
            heard.resets += u64::from(line.starts_with("event: reset"));
            if let Some(stamp) = line.split(STAMP).nth(1) {
                heard.changes += 1;
                let digits = stamp.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
                heard.lag.push((now - digits.parse::<f64>().expect("a stamp")) / 1000.0);
            }
            last += usize::from(line.contains(LAST));
        }
    }
    heard
}

/// The processor time that a process has used, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
