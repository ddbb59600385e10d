//! What a hook on a machine writes, as the log of its operation shows it. The test is the agent.

use std::time::Duration;

use protocol::{
    hook::{HookEnd, HookFate},
    link::ToAgent,
};
use uuid::Uuid;

use super::tests::{Grid, anna, asked, hook};
use crate::{
    app::links::Post,
    grid::{
        access::{Caller, Role},
        operation::{NodeKind, view::StepView},
    },
};

const AGENT: Uuid = Uuid::from_u128(1);

/// A grid with a hook before each stop.
async fn stage() -> Grid {
    let grid = Grid::new().await;
    let admin = Caller::at_socket("ada".to_owned(), Some(Role::Admin));
    grid.app.add_program(&admin, "warm.sh", b"#!/bin/sh\n".to_vec()).await.unwrap();
    grid.configure(vec![hook("pre-stop", "a@web-1", "warm.sh")]);
    grid
}

/// Begins a stop, whose hook the agent is asked to run; returns both ids.
async fn begin(grid: &Grid) -> (Uuid, Uuid) {
    let id = grid.begin(asked("stop", &["a@web-1"])).await.id;
    (id, next_run(grid).await)
}

/// The id of the run that the agent is asked for next.
async fn next_run(grid: &Grid) -> Uuid {
    let asked = async {
        loop {
            let Post::Messages(messages) = grid.mailbox.next().await else { panic!("the link is closed") };
            for message in messages {
                match message {
                    ToAgent::Desired(desired) => grid.has_programs(&desired),
                    ToAgent::Hook(run) => return run.id,
                    _ => {}
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.expect("a run")
}

/// The hook's end, which vetoes the stop.
fn end(output: &str, dropped: u64) -> HookEnd {
    HookEnd { fate: HookFate::Ran { exit_code: 1 }, output: output.to_owned(), dropped, duration_ms: 5 }
}

/// What the log has of the hook, and its step, when the operation has ended.
async fn said(grid: &Grid, id: Uuid) -> (Vec<String>, StepView) {
    grid.ended(id).await;
    let detail = grid.app.operation(&anna(), id).await.unwrap();
    let hook = detail.steps.into_iter().find(|step| matches!(step.kind, NodeKind::Hook(_))).unwrap();
    let log = grid.app.operation_log(&anna(), id, 0, 1000).await.unwrap().items;
    (log.into_iter().filter(|line| line.step == hook.number).map(|line| line.text).collect(), hook)
}

#[tokio::test]
async fn the_log_has_whole_lines_and_says_what_was_not_kept() {
    let grid = stage().await;
    let (id, run) = begin(&grid).await;
    for part in ["one\ntw", "o", "\nStra", "ße\nrest"] {
        grid.app.links.run_output(AGENT, run, part);
    }
    grid.app.links.run_ended(AGENT, run, end("one\ntwo\nStraße\nrest", 12_345));
    let (lines, hook) = said(&grid, id).await;
    let words = "12,345 bytes of its output were not kept";
    assert_eq!(lines, ["one\n", "two\n", "Straße\n", "rest", &format!("… {words}")]);
    assert_eq!(hook.message, format!("it ended with exit code 1; {words}"));
}

#[tokio::test]
async fn what_was_lost_on_the_way_comes_with_the_end_line_by_line() {
    let grid = stage().await;
    let (id, run) = begin(&grid).await;
    for part in ["one\ntw", "three\n"] {
        grid.app.links.run_output(AGENT, run, part);
    }
    let long = "x".repeat(10_000);
    grid.app.links.run_ended(AGENT, run, end(&format!("one\ntwo\nthree\n{long}\n"), 0));
    let (lines, hook) = said(&grid, id).await;
    assert_eq!(lines[..3], ["one\n", "twthree\n", "two\nthree\n"]);
    assert_eq!(lines[3..].iter().map(String::len).collect::<Vec<_>>(), [4096, 4096, 1809]);
    assert_eq!(hook.message, "it ended with exit code 1");
}

#[tokio::test]
async fn the_line_that_a_cancel_cuts_off_is_in_the_log() {
    let grid = stage().await;
    let (id, run) = begin(&grid).await;
    grid.app.links.run_output(AGENT, run, "one\nhalf a li");
    let live = grid.app.operations.live(id).unwrap();
    let (_, mut news) = live.watch();
    // The first line is in the log before the cancel.
    let logged = || async { grid.app.operation_log(&anna(), id, 0, 1000).await.unwrap().items };
    while !logged().await.iter().any(|line| line.text == "one\n") {
        tokio::time::timeout(Duration::from_secs(20), news.recv()).await.expect("news").unwrap();
    }
    grid.app.cancel_operation(&anna(), id, true).await.unwrap();
    assert_eq!(said(&grid, id).await.0, ["one\n", "half a li"]);
}

#[tokio::test]
async fn what_is_in_the_log_is_not_told_again_when_the_operation_is_resumed() {
    let grid = stage().await;
    let (id, run) = begin(&grid).await;
    grid.app.links.run_ended(AGENT, run, end("one\ntwo\n", 0));
    assert_eq!(said(&grid, id).await.0, ["one\ntwo\n"]);
    // The group, the service, and the hook.
    grid.interrupt(id, 2, run, None).await;
    grid.app.resume_operation(&anna(), id).await.unwrap();
    assert_eq!(next_run(&grid).await, run);
    grid.app.links.run_ended(AGENT, run, end("one\ntwo\nthree\n", 0));
    assert_eq!(said(&grid, id).await.0, ["one\ntwo\n", "three\n"]);
}
