//! How long the plan of a large operation takes: a restart of 1,000 services in nested collections, with hooks, beside a
//! copy of the tree that comes of it.
//!
//! Run by `script/bench`.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use manager::grid::{
    config::{Collection, GridConfig, Hook, HookFailure, Limits, Mode, ServiceSettings},
    operation::{
        Tree,
        plan::plan,
        request::{OperationRequest, Order},
    },
    view::ServiceView,
};
use serde_json::json;

/// How often each is measured.
const ROUNDS: usize = 50;

/// The services, by the smallest collections that hold them, by machines.
const COLLECTIONS: usize = 100;
const SERVICES_EACH: usize = 10;
const MACHINES: usize = 100;

fn main() {
    // `cargo test --benches` calls this too; there is nothing to measure in a debug build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (services, config) = (services(), config());
    let restart = |target: &str| OperationRequest {
        command: "restart".parse().expect("a command"),
        targets: vec![target.parse().expect("a target")],
        order: Order::default(),
        dry_run: false,
    };
    for target in ["top", "all"] {
        let request = restart(target);
        let planned = || plan(&request, &config, &services).expect("a plan");
        let tree = planned();
        assert_eq!(tree.services(), COLLECTIONS * SERVICES_EACH);
        let planning = median(planned);
        let floor = median(|| tree.clone());
        println!(
            "plan of `restart {target}`: median {planning:6.2} ms   limit 50 ms   {} services, {} steps",
            tree.services(),
            steps(&tree)
        );
        println!("  floor, a copy of the tree: median {floor:6.2} ms   ratio {:.1}", planning / floor);
    }
}

/// The nodes without children of their own.
fn steps(tree: &Tree) -> usize {
    tree.children().iter().filter(|children| children.is_empty()).count()
}

fn name(number: usize) -> String {
    format!("shop-{number}@web-{}", number % MACHINES)
}

fn services() -> Vec<ServiceView> {
    let service = |number: usize| {
        let view = json!({
            "name": name(number), "machine": format!("web-{}", number % MACHINES), "type": "instance",
            "state": "active", "last_state": null, "reason": null, "last_exit": null,
            "since": "2026-01-01T00:00:00.000Z", "pid": null, "catalina_base": null,
            "tags": ["prod", if number.is_multiple_of(2) { "blue" } else { "green" }],
        });
        serde_json::from_value(view).expect("a service")
    };
    (0..COLLECTIONS * SERVICES_EACH).map(service).collect()
}

/// Collections in collections, three deep, limits at each level, and hooks on all kinds of targets.
fn config() -> GridConfig {
    let mut config = GridConfig::default();
    config.defaults.auto_kill = Some(true);
    config.defaults.restart_delay = Some(Duration::from_secs(5));
    let mut add = |name: String, members: Vec<String>, mode: Mode| {
        let limits = Limits { stop_timeout: Some(Duration::from_secs(30)), ..Limits::default() };
        let members = members.iter().map(|member| member.parse().expect("a name")).collect();
        let collection = Collection { limits, mode, members, ..Collection::default() };
        config.collections.insert(name.parse().expect("a name"), collection);
    };
    for inner in 0..COLLECTIONS {
        let members = (0..SERVICES_EACH).map(|at| name(inner * SERVICES_EACH + at)).collect();
        add(format!("inner-{inner}"), members, Mode::Sequential);
    }
    for middle in 0..COLLECTIONS / 10 {
        let members = (0..10).map(|at| format!("inner-{}", middle * 10 + at)).collect();
        add(format!("middle-{middle}"), members, Mode::Parallel);
    }
    add("top".to_owned(), (0..COLLECTIONS / 10).map(|at| format!("middle-{at}")).collect(), Mode::Parallel);
    for number in (0..COLLECTIONS * SERVICES_EACH).step_by(7) {
        let limits = Limits { start_timeout: Some(Duration::from_secs(90)), ..Limits::default() };
        let settings = ServiceSettings { limits, ..ServiceSettings::default() };
        config.services.insert(name(number).parse().expect("a name"), settings);
    }
    let middles = (0..COLLECTIONS / 10).map(|at| format!("middle-{at}")).collect::<Vec<_>>().join(" ");
    for (event, targets) in [
        ("pre-restart", "all"),
        ("post-restart", "#prod"),
        ("pre-trigger-stop", "#blue @web-3 @web-4"),
        ("post-trigger-start", "@web-1 shop-8@web-8 all"),
        ("pre-trigger-kill", "all"),
        ("pre-restart", middles.as_str()),
        ("post-restart", middles.as_str()),
        ("pre-restart", "grid top"),
    ] {
        config.hooks.push(Hook {
            event: event.parse().expect("an event"),
            targets: targets.split(' ').map(|target| target.parse().expect("a target")).collect(),
            program: format!("{event}.sh"),
            timeout: Duration::from_secs(30),
            on_failure: HookFailure::Abort,
            user: None,
            environment: BTreeMap::from([("REGION".to_owned(), "eu".to_owned())]),
            secrets: vec!["LB_TOKEN".to_owned()],
        });
    }
    config
}

/// How long something takes, in milliseconds.
fn median<T>(work: impl Fn() -> T) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            black_box(work());
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
