//! Agents that go away in the middle, and services that do.

use std::fs;

use tests::operations::Shown;

use super::{Grid, at};

#[test]
fn an_agent_that_comes_back_in_time_is_waited_for() {
    let mut grid = Grid::with(&["a"], |_, fake| fake.set("stop_delay_ms", 2000));
    let id = grid.manager.operate("restart", &["a@web-1"]);
    grid.manager.wait_state(&at("a"), "stopping");
    grid.agent.kill();
    grid.manager.wait_state(&at("a"), "not_available");
    grid.agent.run();
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!(ended.result(), "done", "{:#}", ended.0);
}

#[test]
fn an_agent_that_does_not_come_back_is_not_available() {
    let mut grid = Grid::with(&["a"], |_, fake| fake.set("stop_delay_ms", 60_000));
    grid.manager.apply("[defaults]\nstop_timeout = \"3s\"\n");
    let id = grid.manager.operate("stop", &["a@web-1"]);
    // Killed before it could answer, it would leave what became of the order unknown.
    let signalled =
        |shown: &Shown| shown.steps().iter().any(|step| step["kind"] == "signal" && step["state"] == "done");
    grid.manager.wait_operation(&id, "signalled", signalled);
    grid.agent.kill();
    let ended = grid.manager.wait_end_of(&id);
    assert_eq!(ended.result(), "not_available", "{:#}", ended.0);
    let refused = grid.manager.wait_end_of(&grid.manager.operate("start", &["a@web-1"]));
    assert_eq!((refused.result(), refused.course(&at("a"))[0].as_str()), ("not_available", "signal start: skipped"));
}

#[test]
fn a_service_that_disappears_in_the_middle_is_gone() {
    let grid = Grid::with(&["a"], |_, fake| fake.set("stop_delay_ms", 1000));
    let id = grid.manager.operate("restart", &["a@web-1"]);
    grid.manager.wait_state(&at("a"), "stopping");
    fs::rename(grid.fakes[0].dir(), grid.manager.dir().join("elsewhere")).unwrap();
    let ended = grid.manager.wait_end_of(&id);
    assert!(["gone", "failed"].contains(&ended.result()), "{:#}", ended.0);
}
