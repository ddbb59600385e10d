//! `explain`: what a command would do now, and why so.

use std::fs;

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    manager::{PATIENCE, TestManager},
    people,
    raw_agent::{RawAgent, RawLink, report},
    wait,
};

const CONFIG: &str = r#"
[defaults]
auto_kill = true
[service."a@web-1"]
stop_timeout = "30s"
[collection.front]
members = ["a@web-1", "b@web-1"]
restart_delay = "5s"
[[hook]]
event = "pre-restart"
targets = ["front", "a@web-1"]
program = "drain.sh"
timeout = "7s"
"#;

/// A manager, and a machine `web-1` with `a` active and `b` stopped, and its configuration.
fn grid() -> (TestManager, RawAgent, RawLink) {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let link = agent.link_with(&manager, vec![report("/srv/a", State::Active), report("/srv/b", State::Stopped)]);
    manager.wait_state("b@web-1", "stopped");
    let (program, config) = (manager.dir().join("drain.sh"), manager.dir().join("grid.toml"));
    fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
    fs::write(&config, CONFIG).unwrap();
    done(&manager, &["hooks", "add", program.to_str().unwrap()]);
    done(&manager, &["apply", config.to_str().unwrap()]);
    (manager, agent, link)
}

#[track_caller]
fn done(manager: &TestManager, arguments: &[&str]) -> String {
    let ran = manager.cli(arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
    ran.out
}

fn explained(manager: &TestManager, arguments: &[&str]) -> Value {
    let out = done(manager, &[&["explain", "-o", "json"], arguments].concat());
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_person_reads_what_would_happen_and_where_it_was_set() {
    let (manager, _agent, _link) = grid();
    let out = done(&manager, &["explain", "restart", "front"]);
    let lines: Vec<String> = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "restart front: 2 would be done",
        "root may do this.",
        "Collection front: 2 services, one after the other, stops at the first failure",
        "pre-restart drain.sh manager 7 s abort yes",
        "● a@web-1 on web-1, through front",
        "is active: it would be stopped, then it would be started",
        "stop_timeout 30s [service.\"a@web-1\"]",
        "restart_delay 5s [collection.front]",
        "auto_kill true [defaults]",
        "start_timeout 180s built in",
        "is stopped: the stop would be ignored, then it would be started",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected}\n{out}");
    }
    let on_machine = lines.iter().find(|line| line.starts_with("pre-restart drain.sh web-1 7 s abort no: "));
    assert!(on_machine.is_some(), "{out}");
    assert_eq!(manager.cli(&["explain", "restart", "fron"]).code, 9);
    assert_eq!(manager.cli(&["explain", "deploy", "front"]).code, 2);
}

#[test]
fn who_holds_a_service_stands_in_the_way() {
    let (manager, _agent, _link) = grid();
    assert!(explained(&manager, &["stop", "a@web-1"])["services"][0]["claim"].is_null());
    done(&manager, &["stop", "a@web-1", "--detach"]);
    let told = wait::until("a claim", PATIENCE, || {
        let told = explained(&manager, &["restart", "a@web-1"]);
        (!told["services"][0]["claim"].is_null()).then_some(told)
    });
    let service = &told["services"][0];
    assert_eq!((&service["would"], &service["claim"]["command"]), (&json!("conflict"), &json!("stop a@web-1")));
    let kill = explained(&manager, &["kill", "a@web-1"]);
    assert_eq!(kill["services"][0]["would"], "planned");
    assert!(kill["services"][0]["notes"][0].as_str().unwrap().contains("superseded"), "{kill}");
}

#[test]
fn a_viewer_is_told_of_the_refusal_before_it_comes() {
    let (manager, _agent, _link) = grid();
    let viewer = people::session(&manager, "vera", "viewer");
    let body = json!({"command": "restart", "targets": ["front"]});
    let answer = viewer.request("POST", "/api/v1/explain", Some(&body));
    let told = answer.json();
    assert_eq!((answer.status, &told["permission"]["allowed"]), (200, &json!(false)), "{told}");
    assert!(told["permission"]["why"].as_str().unwrap().contains("operator"), "{told}");
}
