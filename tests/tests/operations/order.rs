//! In which order services are worked on, and what is not worked on.

use serde_json::json;

use super::{Grid, at};

#[test]
fn two_are_restarted_one_after_the_other() {
    let grid = Grid::of(&["a", "b"]);
    let before = grid.manager.service(&at("a")).unwrap()["pid"].clone();
    let id = grid.manager.operate("restart", &["a@web-1", "b@web-1"]);
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!(ended.result(), "done", "{:#}", ended.0);
    let course = ["signal stop: done", "wait stopped: done", "signal start: done", "wait active: done"];
    assert_eq!(ended.course(&at("a")), course);
    assert_ne!(grid.manager.service(&at("a")).unwrap()["pid"], before);
    let ((_, first), (second, _)) = (ended.span(&at("a")), ended.span(&at("b")));
    assert!(first <= second, "b began at {second}, before a had ended at {first}");
    assert_eq!(grid.orders(), 4);
    let log = grid.manager.api("GET", &format!("/operations/{id}/log"), None).unwrap().body;
    assert!(log.contains("it is stopped") && log.contains("it is active"), "{log}");
}

#[test]
fn no_more_than_so_many_at_once() {
    let names = ["a", "b", "c", "d"];
    let grid = Grid::with(&names, |_, fake| fake.set("stop_delay_ms", 700));
    let id = grid.manager.operate_in("restart", &["all"], &json!({"mode": "parallel", "max_parallel": 2}));
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!(ended.result(), "done", "{:#}", ended.0);
    let spans: Vec<_> = names.iter().map(|name| ended.span(&at(name))).collect();
    let at_once = |moment: &String| spans.iter().filter(|(from, to)| from <= moment && moment < to).count();
    assert_eq!(spans.iter().map(|(from, _)| at_once(from)).max(), Some(2), "{spans:?}");
}

#[test]
fn what_there_is_no_need_for_is_ignored() {
    let grid = Grid::of(&["a"]);
    let started = grid.manager.wait_end_of(&grid.manager.operate("start", &["a@web-1"]));
    assert_eq!((started.result(), started.message(&at("a"))), ("ignored", "it is active: a process exists"));
    assert_eq!(grid.orders(), 0);
    let planned = json!({"command": "restart", "targets": ["all"], "dry_run": true});
    let planned = grid.manager.api("POST", "/operations", Some(&planned)).unwrap();
    assert_eq!((planned.status, &planned.json()["state"]), (200, &json!("planned")));
    assert_eq!(grid.orders(), 0);
}

#[test]
fn after_a_failure_no_other_is_begun_and_the_rest_is_tried_again() {
    let mut grid = Grid::of(&["a", "b", "c"]);
    grid.fakes[1].set("crash_after_ms", 1);
    let id = grid.manager.operate("restart", &["a@web-1", "b@web-1", "c@web-1"]);
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!(ended.result(), "partly_failed", "{:#}", ended.0);
    assert_eq!((ended.state(&at("b")), ended.state(&at("c"))), ("failed", "skipped"));
    assert!(ended.message(&at("b")).contains("the process ended"), "{}", ended.message(&at("b")));
    grid.fakes[1].set("crash_after_ms", 600_000);
    let again = grid.manager.act_on(&id, "retry", None);
    assert_eq!(again["retry_of"], id);
    let ended = grid.manager.wait_end_of(again["id"].as_str().unwrap());
    assert_eq!((ended.result(), ended.steps().iter().filter(|step| step["kind"] == "service").count()), ("done", 2));
    let path = format!("/operations/{}/retry", again["id"].as_str().unwrap());
    assert_eq!(grid.manager.api("POST", &path, None).unwrap().status, 409);
}
