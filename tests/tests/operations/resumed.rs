//! Managers that die in the middle: what was done is known, and nothing is done twice.

use std::fs;

use serde_json::{Value, json};
use tests::{
    manager::{PATIENCE, TestManager},
    wait,
};

use super::{Grid, at};

#[test]
fn a_manager_that_is_killed_in_the_middle_goes_on_where_it_was() {
    let names = ["a", "b", "c"];
    let mut grid = Grid::with(&names, |_, fake| fake.set("stop_delay_ms", 800));
    let id = grid.manager.operate("restart", &["a@web-1", "b@web-1", "c@web-1"]);
    grid.manager.wait_state(&at("b"), "stopping");
    grid.manager.kill();
    grid.manager.start_again();
    let found = grid.manager.shown(&id);
    assert_eq!((found.0["state"].as_str(), found.state(&at("a"))), (Some("interrupted"), "done"), "{:#}", found.0);
    assert_eq!(grid.manager.act_on(&id, "resume", None)["state"], "running");
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!(ended.result(), "done", "{:#}", ended.0);
    assert_eq!(grid.orders(), 2 * names.len());
    let shown = grid.manager.cli(&["operations", "show", &id]).out;
    assert!(shown.contains("interrupted some time after 2") && shown.contains(", resumed at 2"), "{shown}");
    assert_eq!(grid.manager.api("POST", &format!("/operations/{id}/resume"), None).unwrap().status, 409);
}

#[test]
fn a_manager_that_ends_in_order_leaves_what_can_be_resumed() {
    let mut grid = Grid::with(&["a", "b"], |_, fake| fake.set("stop_delay_ms", 800));
    let id = grid.manager.operate("restart", &["a@web-1", "b@web-1"]);
    grid.manager.wait_state(&at("a"), "stopping");
    grid.manager.stop();
    grid.manager.start_again();
    assert_eq!(grid.manager.shown(&id).0["state"], "interrupted");
    grid.manager.act_on(&id, "resume", None);
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!((ended.result(), grid.orders()), ("done", 4), "{:#}", ended.0);
    let gaps = ended.0["interruptions"].as_array().expect("what interrupted it");
    assert_eq!(
        (gaps.len(), &gaps[0]["exact"], &gaps[0]["resumed_by"]),
        (1, &true.into(), &ended.0["actor"]),
        "{gaps:?}"
    );
}

#[test]
fn wherever_a_manager_dies_an_order_is_carried_out_once() {
    let mut grid = Grid::of(&["a"]);
    for (round, point) in ["step_stored", "order_sent", "outcome_received", "step_end_stored"].into_iter().enumerate() {
        grid.manager.stop();
        grid.manager.run(&[("FAILPOINTS", &format!("{point}=return"))]);
        grid.manager.wait_ready();
        grid.manager.wait_state(&at("a"), "active");
        let asked = serde_json::json!({"command": "restart", "targets": ["a@web-1"]});
        // It may die before it answers.
        let _answer = grid.manager.api("POST", "/operations", Some(&asked));
        grid.manager.wait_ended();
        grid.manager.start_again();
        let id = latest(&grid.manager);
        grid.manager.act_on(&id, "resume", None);
        let ended = grid.manager.wait_end_of(&id);
        assert_eq!(ended.result(), "done", "{point}: {:#}", ended.0);
        assert_eq!(grid.orders(), 2 * (round + 1), "{point}");
        grid.manager.wait_state(&at("a"), "active");
    }
}

fn latest(manager: &TestManager) -> String {
    let listed: Value = manager.api("GET", "/operations?limit=1", None).expect("an answer").json();
    listed["items"][0]["id"].as_str().expect("an operation").to_owned()
}

/// A hook on the manager's host that does not end by itself, nor lets its children.
const HANGS: &str = "#!/bin/sh\ntrap '' TERM\nsetsid sleep 1000 &\nsleep 1000\n";

/// A grid of which a stop of `front` waits in its hook; its operation.
fn hanging() -> (Grid, String) {
    let grid = Grid::of(&["a"]);
    let path = grid.manager.dir().join("hang.sh");
    fs::write(&path, HANGS).expect("a program");
    assert_eq!(grid.manager.cli(&["hooks", "add", path.to_str().expect("a path")]).code, 0);
    grid.manager.apply(
        "[collection.front]\nmembers = [\"a@web-1\"]\n\n[[hook]]\nevent = \"pre-stop\"\ntargets = [\"front\"]\n\
         program = \"hang.sh\"\ntimeout = \"10m\"\n",
    );
    let id = grid.manager.operate("stop", &["front"]);
    wait::until("the hook and its children", PATIENCE, || (running(&id).len() >= 3).then_some(()));
    (grid, id)
}

/// The processes of the hooks of an operation.
fn running(id: &str) -> Vec<i32> {
    let mark = format!("TOMCAT_GRID_OPERATION={id}");
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_marked).collect()
}

/// The runs that the manager has noted, and whose directories are there.
fn left(manager: &TestManager) -> Vec<String> {
    let runs = fs::read_dir(manager.data().join("runs")).expect("the runs").flatten();
    runs.filter_map(|run| run.file_name().into_string().ok()).collect()
}

fn rooms(runs: &[String]) -> usize {
    let room = |run: &String| std::env::temp_dir().join(format!("tomcat-grid-hook-{}", run.replace('-', "")));
    runs.iter().filter(|run| room(run).exists()).count()
}

#[test]
fn a_manager_that_ends_in_order_leaves_no_hook_behind() {
    let (mut grid, id) = hanging();
    let runs = left(&grid.manager);
    assert_eq!((runs.len(), rooms(&runs)), (1, 1));
    grid.manager.stop();
    assert_eq!((running(&id), rooms(&runs)), (vec![], 0), "{}", grid.manager.log());
    grid.manager.start_again();
    wait::until("the run to be forgotten", PATIENCE, || left(&grid.manager).is_empty().then_some(()));
}

#[test]
fn what_a_manager_that_was_killed_left_of_a_hook_is_killed_whoever_runs_hooks_by_then() {
    let (mut grid, id) = hanging();
    let runs = left(&grid.manager);
    grid.manager.kill();
    assert!(running(&id).len() >= 2, "nobody ended it");
    let settings = grid.manager.dir().join("manager.toml");
    fs::write(&settings, "hook_user = \"daemon\"\n").expect("settings");
    grid.manager.run(&[("TOMCAT_GRID_CONFIG", settings.to_str().expect("a path"))]);
    grid.manager.wait_ready();
    wait::until("all of it to be gone", PATIENCE, || (running(&id).is_empty() && rooms(&runs) == 0).then_some(()));
    // Once resumed, and with nothing begun, it is over.
    grid.manager.act_on(&id, "cancel", Some(&json!({"now": false})));
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!(ended.result(), "cancelled", "{:#}", ended.0);
}
