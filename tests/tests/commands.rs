//! `start`, `stop`, `kill`, `restart`, `killstart` and `operations` as scripts and people meet them: waiting, exit codes,
//! what is shown where, and schedules.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
};

use protocol::{
    link::{FromAgent, Order, Outcome, ToAgent},
    state::State,
};
use serde_json::{Value, json};
use tests::{
    fleet::{Fleet, Plan},
    manager::{PATIENCE, TestManager},
    people,
    processes::{self, Signal},
    programs::Ran,
    raw_agent::{RawAgent, RawLink, report},
    sqlite, wait,
};

/// A manager and a machine in words only, `web-01`, whose instances are active and obey.
fn obedient(instances: usize) -> (TestManager, Fleet, Vec<String>) {
    let manager = TestManager::start();
    let plan = Plan { mixed: false, ..Plan::new(&manager.socket(), 1, instances) };
    let fleet = Fleet::start(&plan);
    let services = (0..instances).map(|at| fleet.service(0, at)).collect();
    (manager, fleet, services)
}

/// A manager and a machine `web-1` with active instances, which says what a test says.
fn puppet(instances: &[&str]) -> (TestManager, RawLink) {
    let manager = TestManager::start();
    let reports = instances.iter().map(|name| report(&format!("/srv/{name}"), State::Active)).collect();
    let link = RawAgent::join(&manager, "web-1").link_with(&manager, reports);
    manager.wait_state(&format!("{}@web-1", instances[0]), "active");
    (manager, link)
}

fn order(link: &mut RawLink) -> Order {
    loop {
        if let ToAgent::Order(order) = link.receive() {
            return order;
        }
    }
}

/// Runs a command while the agent answers the orders that come of it.
fn answered(manager: &TestManager, link: &mut RawLink, outcomes: &[Outcome], arguments: &[&str]) -> Ran {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| manager.cli(arguments));
        for outcome in outcomes {
            let id = order(link).id;
            link.send(&FromAgent::Outcome { order: id, outcome: outcome.clone() });
        }
        running.join().expect("the command ends")
    })
}

fn text(message: &str) -> String {
    message.to_owned()
}

/// Puts a configuration in force.
fn apply(manager: &TestManager, toml: &str) {
    let file = manager.dir().join("grid.toml");
    fs::write(&file, toml).expect("a file");
    let ran = manager.cli(&["apply", file.to_str().expect("a path")]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
}

/// Begins an operation, and returns its id.
fn begin(manager: &TestManager, arguments: &[&str]) -> String {
    let ran = manager.cli(&[arguments, &["--detach"]].concat());
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{} {}", ran.out, ran.err);
    ran.out.trim().to_owned()
}

fn operation(manager: &TestManager, id: &str) -> Value {
    manager.api("GET", &format!("/operations/{id}"), None).expect("an answer").json()
}

fn wait_ended(manager: &TestManager, id: &str) -> Value {
    wait::until("the operation to end", PATIENCE, || Some(operation(manager, id)).filter(|it| it["state"] == "ended"))
}

/// Runs a command, and leaves it running.
fn spawn(manager: &TestManager, arguments: &[&str]) -> Child {
    manager.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

#[test]
fn waits_tells_each_change_and_reports() {
    let (manager, _fleet, services) = obedient(2);
    let ran = manager.cli(&["restart", &services[0], &services[1]]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    assert!(ran.out.contains(&format!("{}  ✓ done", services[0])) && ran.out.contains("stopped after"), "{}", ran.out);
    assert!(ran.out.lines().last().unwrap().contains(": done; 2 done of 2 services, "), "{}", ran.out);
    let place = |text: String| ran.err.find(&text).unwrap_or_else(|| panic!("no `{text}` in {}", ran.err));
    let told = |at: usize, what: &str| place(format!("{} {what}", services[at]));
    assert!(told(0, "stopping (stop: SIGTERM was delivered)") < told(0, "is stopped after"));
    assert!(told(0, "is active after") < told(0, "done after") && told(0, "done after") < told(1, "begins"));
    let mut logs = fs::read_dir(manager.dir().join("log")).unwrap().map(|entry| entry.unwrap().path());
    let log = logs.find(|path| path.to_string_lossy().contains("_restart_")).expect("a log");
    let log = fs::read_to_string(log).unwrap();
    assert!(ran.err.lines().chain(ran.out.lines()).all(|line| log.contains(line)), "{log}");
}

#[test]
fn what_is_in_hand_is_told_again_and_again() {
    let (manager, _fleet, services) = obedient(1);
    let ran = manager.cli(&["restart", &services[0], "--interval", "200ms"]);
    assert!(ran.err.contains(&format!("{} waiting until it is stopped, 0.", services[0])), "{}", ran.err);
    let ran = manager.cli(&["restart", &services[0]]);
    assert!(!ran.err.contains("waiting"), "{}", ran.err);
    apply(&manager, "[grid]\nprogress_interval = \"1s\"\n");
    let begun = begin(&manager, &["stop", &services[0]]);
    assert_eq!(operation(&manager, &begun)["id"], begun);
    let request = json!({"command": "start", "targets": [services[0]]});
    let view = manager.api("POST", "/operations", Some(&request)).unwrap().json();
    assert_eq!(view["progress_interval_ms"], 1000);
}

#[test]
fn exits_14_on_wish_when_nothing_was_to_do() {
    let (manager, _fleet, services) = obedient(1);
    let ran = manager.cli(&["start", &services[0], "--detailed-exitcode"]);
    assert_eq!(ran.code, 14, "{} {}", ran.out, ran.err);
    assert!(ran.out.contains("= ignored") && ran.out.contains("it is active: a process exists"), "{}", ran.out);
    let quiet = manager.cli(&["start", &services[0], "--quiet"]);
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (0, "", ""));
}

#[test]
fn exits_by_what_became_of_the_order() {
    let (manager, mut link) = puppet(&["a"]);
    for (outcome, code, words) in [
        (Outcome::Failed { message: text("no Java") }, 1, "no Java"),
        (Outcome::Refused { message: text("stop is not allowed") }, 7, "stop is not allowed"),
    ] {
        let ran = answered(&manager, &mut link, &[outcome], &["stop", "a@web-1"]);
        assert_eq!(ran.code, code, "{words}: {} {}", ran.out, ran.err);
        assert!(ran.out.contains(words) && ran.err.contains("operations retry"), "{} {}", ran.out, ran.err);
    }
}

#[test]
fn exits_1_when_a_service_takes_too_long() {
    let (manager, mut link) = puppet(&["a"]);
    apply(&manager, "[service.\"a@web-1\"]\nstop_timeout = \"1s\"\n");
    let ran = answered(&manager, &mut link, &[Outcome::Done { message: text("sent") }], &["stop", "a@web-1"]);
    assert_eq!(ran.code, 1, "{} {}", ran.out, ran.err);
    assert!(ran.out.contains("✗ timed out") && ran.err.contains("is not stopped: timed out after"), "{}", ran.err);
}

#[test]
fn exits_2_for_a_call_that_is_wrong_and_9_where_there_is_no_such_thing() {
    let (manager, _link) = puppet(&["a"]);
    let nobody = "00000000-0000-7000-8000-000000000000";
    for (arguments, code, words) in [
        (&["stop"][..], 2, "<TARGET>"),
        (&["stop", "a b"], 2, "`a b` holds"),
        (&["stop", "all", "--on-failure", "cry"], 2, "cry"),
        (&["stop", "all", "--failure-budget", "x"], 2, "`x` is no failure budget"),
        (&["stop", "all", "--interval", "0s"], 2, "longer than nothing"),
        (&["operations", "show", "../users"], 2, "is no id of an operation"),
        (&["operations", "list", "--state", "lazy"], 2, "lazy"),
        (&["stop", "b@web-1"], 9, "b@web-1"),
        (&["stop", "#blue"], 9, "blue"),
        (&["operations", "show", nobody], 9, ""),
        (&["operations", "cancel", "00ff"], 9, "begins with `00ff`"),
    ] {
        let ran = manager.cli(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }
    let ran = manager.cli(&["stop", "all", "--addr", "unix:///nowhere/manager.sock"]);
    assert_eq!(ran.code, 11, "{}", ran.err);
}

#[test]
fn exits_3_when_some_are_done_and_1_when_the_first_failure_ends_it() {
    let (manager, mut link) = puppet(&["a", "b"]);
    let failed = || Outcome::Failed { message: text("no Java") };
    let both = ["stop", "a@web-1", "b@web-1"];
    let ran = answered(&manager, &mut link, &[failed()], &both);
    assert_eq!(ran.code, 1, "{} {}", ran.out, ran.err);
    assert!(ran.out.contains("- skipped"), "{}", ran.out);
    link.send(&tests::raw_agent::status("/srv/b", State::Stopped));
    manager.wait_state("b@web-1", "stopped");
    // What is stopped needs no order.
    let ran = answered(&manager, &mut link, &[failed()], &[&both[..], &["--on-failure", "continue"]].concat());
    assert_eq!(ran.code, 3, "{} {}", ran.out, ran.err);
}

#[test]
fn exits_5_when_its_own_time_is_up_8_for_who_comes_second_and_13_when_cancelled() {
    let (manager, mut link) = puppet(&["a"]);
    let ran = std::thread::scope(|scope| {
        let running = scope.spawn(|| manager.cli(&["stop", "a@web-1", "--timeout", "700ms"]));
        order(&mut link);
        running.join().expect("it ends")
    });
    assert_eq!(ran.code, 5, "{} {}", ran.out, ran.err);
    let views = manager.api("GET", "/operations", None).unwrap().json();
    let id = views["items"][0]["id"].as_str().expect("an operation").to_owned();
    assert!(ran.err.contains(&format!("operation {id} (stop a@web-1) goes on")), "{}", ran.err);

    let second = manager.cli(&["restart", "a@web-1"]);
    assert_eq!(second.code, 8, "{} {}", second.out, second.err);
    assert!(second.out.contains("✗ conflict") && second.out.contains(&format!("operation {id}")), "{}", second.out);
    let quiet = manager.cli(&["restart", "a@web-1", "--quiet"]);
    assert!(quiet.code == 8 && quiet.out.contains("✗ conflict") && !quiet.err.contains("begins"), "{quiet:?}");
    let held = manager.cli(&["status"]);
    assert!(held.out.contains(&format!("(operation {}, by ", &id[..13])), "{}", held.out);

    let cancelled = manager.cli(&["operations", "cancel", &id[..35], "--now"]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.err);
    assert_eq!(wait_ended(&manager, &id)["result"], "cancelled");
    // Who comes back to it gets the exit code that it would have had.
    let waited = manager.cli(&["operations", "wait", &id[..35]]);
    assert!(waited.code == 13 && waited.out.contains("⊘ cancelled"), "{waited:?}");
}

#[test]
fn who_waits_for_what_is_cancelled_exits_13() {
    let (manager, mut link) = puppet(&["a"]);
    let child = spawn(&manager, &["stop", "a@web-1"]);
    order(&mut link);
    let id = manager.cli(&["operations", "-o", "name"]).out.trim().to_owned();
    assert_eq!(manager.cli(&["operations", "cancel", &id, "--now"]).code, 0);
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, 13, "{} {}", ran.out, ran.err);
    assert!(ran.out.contains("cancelled"), "{}", ran.out);
}

#[test]
fn ctrl_c_leaves_it_going_on() {
    let (manager, mut link) = puppet(&["a"]);
    let mut child = spawn(&manager, &["stop", "a@web-1"]);
    order(&mut link);
    // It waits once it has said so.
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.ends_with("a@web-1 begins")));
    processes::send(child.id(), Signal::INT);
    let err = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(Ran::from(child.wait_with_output().expect("it ends")).code, 130, "{err}");
    let id = manager.cli(&["operations", "-o", "name"]).out.trim().to_owned();
    assert!(err.contains(&format!("`tomcat-grid operations wait {id}`")), "{err}");
    assert_eq!(operation(&manager, &id)["state"], "running");
}

#[test]
fn exits_6_when_the_agent_is_missing_and_7_without_a_role_that_may() {
    let (manager, link) = puppet(&["a"]);
    let viewer = manager.token_with(&["--api", "--role", "viewer"]);
    let mut command = manager.command(&["stop", "a@web-1"]);
    command.env("TOMCAT_GRID_ADDR", format!("https://{}", manager.address()));
    command.env("TOMCAT_GRID_CACERT", manager.data().join("pki/ca.pem")).env("TOMCAT_GRID_TOKEN", viewer);
    let ran = tests::programs::run(&mut command);
    assert_eq!(ran.code, 7, "{}", ran.err);
    drop(link);
    manager.wait_state("a@web-1", "not_available");
    let ran = manager.cli(&["stop", "a@web-1"]);
    assert_eq!(ran.code, 6, "{} {}", ran.out, ran.err);
    assert!(ran.out.contains("? not available"), "{}", ran.out);
}

#[test]
fn exits_12_when_a_hook_stops_it() {
    let (manager, _fleet, services) = obedient(1);
    let program = manager.dir().join("guard.sh");
    fs::File::create(&program).unwrap().write_all(b"#!/bin/sh\necho not today\nexit 3\n").unwrap();
    let added = manager.cli(&["hooks", "add", program.to_str().unwrap()]);
    assert_eq!(added.code, 0, "{}", added.err);
    let hook = "[[hook]]\nevent = \"pre-restart\"\ntargets = [\"front\"]\nprogram = \"guard.sh\"\n";
    apply(&manager, &format!("[collection.front]\nmembers = [\"{}\"]\n{hook}", services[0]));
    let ran = manager.cli(&["restart", "front"]);
    assert_eq!(ran.code, 12, "{} {}", ran.out, ran.err);
    assert!(ran.err.contains("guard.sh | not today"), "{}", ran.err);
    let id = manager.cli(&["operations", "-o", "name"]).out.trim().to_owned();
    let shown = manager.cli(&["operations", "show", &id]).out;
    assert!(shown.contains("hook pre-restart guard.sh") && shown.contains("│ not today"), "{shown}");
}

#[test]
fn an_interrupted_operation_is_said_and_resumed() {
    let (mut manager, _fleet, services) = obedient(3);
    let child = spawn(&manager, &["restart", "@web-01"]);
    manager.wait_state(&services[1], "stopping");
    manager.kill();
    manager.start_again();
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, 1, "{} {}", ran.out, ran.err);
    assert!(ran.err.contains("the link to the manager broke") && ran.err.contains("operations resume"), "{}", ran.err);
    assert!(ran.out.contains("? interrupted"), "{}", ran.out);
    let id = manager.cli(&["operations", "-o", "name"]).out.trim().to_owned();
    let resumed = manager.cli(&["operations", "resume", &id]);
    assert_eq!(resumed.code, 0, "{} {}", resumed.out, resumed.err);
    assert!(resumed.out.contains("3 done of 3 services"), "{}", resumed.out);
    assert_eq!(manager.cli(&["operations", "resume", &id]).code, 8);
}

#[test]
fn only_what_was_not_done_is_tried_again() {
    let (manager, mut link) = puppet(&["a", "b"]);
    let outcomes = [Outcome::Failed { message: text("no Java") }, Outcome::Done { message: text("pid 7") }];
    let mut both = vec!["stop", "a@web-1", "b@web-1", "--on-failure", "continue", "--detach"];
    let id = manager.cli(&both).out.trim().to_owned();
    for (outcome, base) in outcomes.into_iter().zip([None, Some("/srv/b")]) {
        let order = order(&mut link).id;
        link.send(&FromAgent::Outcome { order, outcome });
        base.into_iter().for_each(|base| link.send(&tests::raw_agent::status(base, State::Stopped)));
    }
    assert_eq!(wait_ended(&manager, &id)["result"], "partly_failed");
    both = vec!["operations", "retry", &id, "-o", "json"];
    let ran = answered(&manager, &mut link, &[Outcome::Failed { message: text("no Java") }], &both);
    let retried: Value = serde_json::from_str(&ran.out).expect("one document");
    assert_eq!((ran.code, &retried["services"]["total"], &retried["retry_of"]), (1, &json!(1), &json!(id)));
    assert!(ran.err.contains("a@web-1 begins") && !ran.err.contains("b@web-1 begins"), "{}", ran.err);
}

#[test]
fn each_format_shows_what_it_promises() {
    let (manager, _fleet, services) = obedient(1);
    let plan = manager.cli(&["restart", &services[0], "--dry-run"]);
    assert!(plan.code == 0 && plan.out.contains("wait until it is stopped: at most 60 s"), "{}", plan.out);
    let plan = manager.cli(&["restart", &services[0], "--dry-run", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&plan.out).expect("JSON")["state"], "planned");
    assert_eq!(manager.cli(&["operations"]).out, "No operations.\n");
    let named = manager.cli(&["stop", &services[0], "-o", "name"]);
    let id = named.out.trim();
    assert!(named.code == 0 && id.len() == 36, "{}", named.out);
    let shown = manager.cli(&["operations", "show", id, "-o", "json", "--log"]);
    let shown: Value = serde_json::from_str(&shown.out).expect("JSON");
    assert_eq!((&shown["result"], &shown["steps"][1]["service"]), (&json!("done"), &json!(services[0])));
    assert!(!shown["log"].as_array().unwrap().is_empty());
    assert!(manager.cli(&["operations"]).out.contains(&format!("stop {}", services[0])));
}

#[test]
fn a_schedule_that_was_due_while_the_manager_was_away_is_missed_and_said() {
    let (mut manager, _link) = puppet(&["a"]);
    apply(&manager, "[schedule.hourly]\ncron = \"0 * * * *\"\ncommand = \"stop a@web-1\"\n");
    let shown = manager.cli(&["schedules"]).out;
    assert!(shown.contains("hourly") && shown.contains("0 * * * * UTC") && shown.contains("never"), "{shown}");
    manager.stop();
    // As if it had been first looked after three hours ago.
    let insert = "insert into schedule (name, seen_at) values ('hourly', unixepoch() * 1000) on conflict do nothing";
    let ago = "update schedule set seen_at = (unixepoch() - 10800) * 1000";
    sqlite::must(&manager.data().join("grid.db"), &format!("{insert}; {ago}"));
    manager.start_again();
    let missed = wait::until("the missed runs", PATIENCE, || people::events(&manager, "schedule.missed").pop());
    assert_eq!((&missed["data"]["schedule"], &missed["actor"]), (&json!("hourly"), &json!("schedule:hourly")));
    assert_eq!(
        (&missed["data"]["count"], &missed["data"]["message"]),
        (&json!(3), &json!("the manager was not running"))
    );
    let ran = manager.cli(&["schedules"]);
    assert!(ran.err.contains("hourly was missed at") && ran.err.contains("the manager was not running"), "{}", ran.err);
    assert_eq!(manager.cli(&["operations"]).out, "No operations.\n");
}
