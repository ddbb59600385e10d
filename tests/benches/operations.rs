//! How long a parallel restart of 1,000 services takes, beside what the simulated services themselves take, and whether
//! the manager's database holds every step of it.
//!
//! Run by `script/bench`.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{
    figures::{Figures, resident},
    fleet::{Fleet, Plan, START, STOP},
    manager::TestManager,
    sqlite, wait,
};

/// The fleet: so many machines of so many instances.
const MACHINES: usize = 100;
const INSTANCES: usize = 10;

/// How often all of it is restarted.
const ROUNDS: usize = 5;

fn main() {
    // `cargo test --benches` calls this too; there is nothing to measure in a debug build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let manager = TestManager::start();
    // All of them obey: none takes longer than it says.
    let plan = Plan { mixed: false, ..Plan::new(&manager.socket(), MACHINES, INSTANCES) };
    let _fleet = Fleet::start(&plan);
    let order = json!({"mode": "parallel", "on_failure": "continue"});
    let request = json!({"command": "restart", "targets": ["all"], "order": order});
    let (mut accepted, mut took, mut steps) = (Figures::default(), Figures::default(), 0);
    let before = resident(manager.pid());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let answer = manager.api("POST", "/operations", Some(&request)).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.body);
        accepted.add(begun.elapsed().as_secs_f64() * 1000.0);
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        // Asked seldom, so that asking costs little: the manager's own clock tells how long it took.
        let ended = wait::until("its end", Duration::from_secs(60), || {
            let listed = manager.api("GET", "/operations?limit=1", None)?.json()["items"][0].clone();
            (listed["state"] == "ended").then_some(listed)
        });
        assert_eq!((&ended["id"], &ended["result"]), (&json!(id), &json!("done")), "{ended:#}");
        took.add(millis(&ended["ended_at"]) - millis(&ended["created_at"]));
        let stored = format!("select count(*) from step where operation = '{id}' and ended_at is not null");
        steps = sqlite::number(&manager.data().join("grid.db"), &stored);
        assert!(steps >= (MACHINES * INSTANCES * 5) as u64, "{steps} ended steps are stored");
    }
    let own = (START + STOP).as_secs_f64() * 1000.0;
    println!("parallel restart of {} simulated services, to its end:", MACHINES * INSTANCES);
    println!("  {took}");
    println!(
        "  floor, a stop and a start of one of them: {own:.0} ms   ratio {:.2} (median)   limit 1.5",
        took.median() / own
    );
    println!("planned, stored and accepted:\n  {accepted}");
    println!("steps stored with their end: {steps} of each; resident {before:.0} -> {:.0} MB", resident(manager.pid()));
}

fn millis(time: &Value) -> f64 {
    let time = time.as_str().and_then(|text| text.parse::<protocol::time::Timestamp>().ok()).expect("a time");
    time.as_millis() as f64
}
