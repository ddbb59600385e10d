//! How soon a death and a first answer are told, and what an idle agent costs: each beside a floor of the same run.
//!
//! Run by `script/bench`, which builds the programs as they are released.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use tests::{
    agent::TestAgent,
    manager::TestManager,
    processes::{self, Signal},
    tomcat::TomcatBase,
    wait,
    watcher::Watcher,
};

/// How often each is measured.
const ROUNDS: usize = 20;

/// How long the idle agent is looked at.
const IDLE: Duration = Duration::from_secs(30);

fn main() {
    // `cargo test --benches` calls this too; there is nothing to measure in a debug build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let manager = TestManager::start();
    let bases: Vec<TomcatBase> =
        ["a", "b", "c", "d"].iter().map(|name| TomcatBase::builder(manager.dir(), name).build()).collect();
    let agent =
        TestAgent::builder(&manager, "web-1", manager.dir()).config("[tomcat]\nuser = \"root\"").start(&manager);
    let watcher = manager.watch();
    lives(&manager, &bases[0], &watcher);
    for name in ["a@web-1", "b@web-1", "c@web-1", "d@web-1"] {
        manager.trigger("start", name);
        manager.wait_state(name, "active");
    }
    idle(agent.pid());
}

/// Starts and kills one instance again and again.
fn lives(manager: &TestManager, base: &TomcatBase, watcher: &Watcher) {
    let (mut deaths, mut floors, mut actives) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        manager.trigger("start", "a@web-1");
        let answered = wait::until("an answer", Duration::from_secs(30), || base.get("/").map(|_| Instant::now()));
        let active = watcher.wait_state("a@web-1", "active", started).at;
        actives.push(signed_millis(answered, active));

        let pid = base.pid().expect("it runs");
        let floor = floor_of_death(pid);
        let killed = Instant::now();
        processes::send(pid, Signal::KILL);
        floors.push(floor.join().expect("the floor is measured").duration_since(killed).as_secs_f64() * 1000.0);
        let told = watcher.wait_state("a@web-1", "stopped", killed).at;
        deaths.push(told.duration_since(killed).as_secs_f64() * 1000.0);
    }
    let (death, floor) = (median(&mut deaths), median(&mut floors));
    println!(
        "death (kill -9) on an SSE stream:   median {death:7.2} ms   worst {:7.2} ms   limit 50 ms",
        worst(&deaths)
    );
    println!(
        "  floor, poll(2) on its pidfd:      median {floor:7.2} ms   worst {:7.2} ms   ratio {:.1}",
        worst(&floors),
        death / floor
    );
    println!(
        "active on it after the first answer: median {:6.2} ms   worst {:7.2} ms   limit 100 ms",
        median(&mut actives),
        worst(&actives)
    );
    println!("  (the floor is 0: a client that asks without a pause; below 0 the agent knew it first)");
}

/// Waits for the end of a process in a thread of its own, as directly as the system allows.
fn floor_of_death(pid: u32) -> std::thread::JoinHandle<Instant> {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    let fd = pidfd_open(pid, PidfdFlags::empty()).expect("a pidfd");
    std::thread::spawn(move || {
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).expect("poll");
        Instant::now()
    })
}

/// What the agent costs while nothing happens, with four Tomcats.
fn idle(pid: u32) {
    let ticks = || -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the agent runs");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
        fields[11].parse::<u64>().unwrap_or(0) + fields[12].parse::<u64>().unwrap_or(0)
    };
    let before = ticks();
    std::thread::sleep(IDLE);
    let used = (ticks() - before) as f64 / 100.0;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the agent runs");
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default().trim().to_owned();
    println!(
        "idle agent with 4 Tomcats:          {rss} resident (limit 20 MB), {:.2} % of a core (limit 0.5 %)",
        used / IDLE.as_secs_f64() * 100.0
    );
}

fn signed_millis(from: Instant, to: Instant) -> f64 {
    if to >= from { (to - from).as_secs_f64() * 1000.0 } else { -((from - to).as_secs_f64() * 1000.0) }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MIN, f64::max)
}
