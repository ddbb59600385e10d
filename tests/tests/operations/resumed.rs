//! Managers that die in the middle: what was done is known, and nothing is done twice.

use serde_json::Value;
use tests::manager::TestManager;

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
