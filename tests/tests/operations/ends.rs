//! How what hangs ends: by a kill, by its time limit, by who goes before, by a cancel.

use serde_json::{Value, json};

use super::{Grid, at};

const PATIENT: &str = "[defaults]\nstop_timeout = \"60s\"\n";
const HASTY: &str = "[defaults]\nstop_timeout = \"1s\"\n";

/// A grid whose only service does not end when it is told to.
fn stubborn(config: &str) -> Grid {
    let grid = Grid::with(&["a"], |_, fake| fake.set("ignore_term", true));
    grid.manager.apply(config);
    grid
}

/// Begins to stop what does not end, and waits until that is seen.
fn stopping(grid: &Grid) -> String {
    let id = grid.manager.operate("stop", &["a@web-1"]);
    grid.manager.wait_state(&at("a"), "stopping");
    id
}

fn detail(answer: &Value) -> &str {
    answer["outcome"].as_str().unwrap_or_default()
}

#[test]
fn a_stop_that_hangs_is_followed_by_a_kill_where_that_is_set() {
    let grid = stubborn(&format!("{HASTY}auto_kill = true\n"));
    let ended = grid.manager.wait_end_of(&grid.manager.operate("restart", &["a@web-1"]));
    assert_eq!(ended.result(), "done", "{:#}", ended.0);
    let course = ["signal stop: done", "wait stopped: timed_out", "signal kill: done", "wait stopped: done"];
    assert_eq!(ended.course(&at("a"))[..4], course);
    grid.manager.wait_state(&at("a"), "active");
}

#[test]
fn a_stop_that_hangs_has_its_time() {
    let grid = stubborn(HASTY);
    let ended = grid.manager.wait_end_of(&grid.manager.operate("restart", &["a@web-1"]));
    assert_eq!((ended.result(), ended.state(&at("a"))), ("timed_out", "timed_out"));
    let course = ["signal stop: done", "wait stopped: timed_out", "signal start: skipped", "wait active: skipped"];
    assert_eq!(ended.course(&at("a")), course);
}

#[test]
fn a_second_operation_is_told_who_holds_the_service_and_a_kill_goes_before() {
    let grid = stubborn(PATIENT);
    let first = stopping(&grid);
    let second = grid.manager.wait_end_of(&grid.manager.operate("restart", &["a@web-1"]));
    assert_eq!(second.result(), "conflict");
    let message = second.message(&at("a"));
    assert!(message.contains(&first) && message.contains("(stop a@web-1, by "), "{message}");
    assert_eq!(detail(&grid.manager.trigger("start", "a@web-1")), "conflict");
    let kill = grid.manager.wait_end_of(&grid.manager.operate("kill", &["a@web-1"]));
    assert_eq!(kill.result(), "done", "{:#}", kill.0);
    let superseded = grid.manager.wait_end_of(&first);
    assert_eq!(superseded.result(), "superseded", "{:#}", superseded.0);
}

#[test]
fn a_trigger_that_kills_goes_before_an_operation() {
    let grid = stubborn(PATIENT);
    let first = stopping(&grid);
    assert_eq!(detail(&grid.manager.trigger("kill", "a@web-1")), "done");
    assert_eq!(grid.manager.wait_end_of(&first).result(), "superseded");
}

#[test]
fn a_cancel_finishes_what_is_in_hand_and_now_leaves_it() {
    let grid = Grid::with(&["a", "b"], |_, fake| fake.set("stop_delay_ms", 1500));
    let id = grid.manager.operate("restart", &["a@web-1", "b@web-1"]);
    grid.manager.wait_state(&at("a"), "stopping");
    assert_eq!(grid.manager.act_on(&id, "cancel", Some(&json!({})))["state"], "cancelling");
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!((ended.result(), ended.state(&at("a")), ended.state(&at("b"))), ("cancelled", "done", "skipped"));
    let id = grid.manager.operate("restart", &["a@web-1", "b@web-1"]);
    grid.manager.wait_state(&at("a"), "stopping");
    grid.manager.act_on(&id, "cancel", Some(&json!({"now": true})));
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!((ended.result(), ended.state(&at("a")), ended.state(&at("b"))), ("cancelled", "cancelled", "skipped"));
    assert_eq!(grid.manager.api("POST", &format!("/operations/{id}/cancel"), Some(&json!({}))).unwrap().status, 409);
    // Whoever left it holds it no more.
    assert_eq!(grid.manager.wait_end_of(&grid.manager.operate("start", &["b@web-1"])).result(), "ignored");
}
