//! Trees as they are drawn.

use super::{
    super::sample::{Sample, at, in_the_middle},
    *,
};
use crate::grid::operation::view::LogLine;

fn drawn(lines: &[Line], width: usize) -> Vec<String> {
    lines.iter().map(|line| line.write(width, false)).collect()
}

fn live_at(detail: &OperationDetail, height: usize, width: usize) -> Vec<String> {
    drawn(&live(detail, &Tails::default(), at(12), height), width)
}

#[test]
fn an_operation_that_goes_on() {
    assert_eq!(
        live_at(&in_the_middle(), 20, 100),
        [
            "restart front · 1 done, 1 ignored, 1 in hand, 1 to come · 12 s",
            "✓ shop-a@web-1  done           4 s",
            "= shop-b@web-1  ignored        0 s  it is active already",
            "◐ shop-c@web-1  running        8 s  waiting until it is stopped, 7 s of 60 s",
            "· shop-d@web-1  planned",
        ]
    );
}

#[test]
fn a_narrow_terminal_cuts_lines() {
    for width in [1, 10, 40] {
        let lines = live_at(&in_the_middle(), 20, width);
        assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:#?}");
    }
    assert_eq!(live_at(&in_the_middle(), 20, 40)[3], "◐ shop-c@web-1  running        8 s  wai…");
    let failed = Line::new(1, StepState::Failed, "a".to_owned());
    assert_eq!(failed.write(9, true), format!("  {} a", "✗".with(Color::Red)));
}

#[test]
fn what_does_not_fit_is_counted_and_what_is_in_hand_stays() {
    let mut sample = Sample::new("running");
    for number in 0..30 {
        let (state, took) = match number {
            0..10 => ("done", Some((0, 1))),
            10 => ("ignored", Some((0, 1))),
            11 => ("timed_out", Some((0, 1))),
            12 => ("running", Some((2, 0))),
            _ => ("planned", None),
        };
        sample = sample.service(0, &format!("s-{number}@web-1"), state, "", took);
    }
    let detail = sample.detail(None);
    assert_eq!(live_at(&detail, 40, 80).len(), 31);
    let folded = live_at(&detail, 21, 80);
    assert_eq!((folded[1].as_str(), folded.len()), ("✓ 10 done, 1 ignored", 21));
    assert_eq!(
        live_at(&detail, 10, 80)[1..],
        [
            "✓ 10 done, 1 ignored",
            "✗ s-11@web-1  timed out      1 s",
            "◐ s-12@web-1  running       10 s",
            "· 17 to come"
        ]
    );
    assert_eq!(live_at(&detail, 3, 80).len(), 3);
    assert_eq!(live_at(&detail, 3, 80)[2], "… and 3 more lines");
}

#[test]
fn a_group_that_is_done_is_one_line_where_room_is_short() {
    let mut sample = Sample::new("running").group(Some(0), "back", "done");
    for number in 0..5 {
        sample = sample.service(1, &format!("b-{number}@web-1"), "done", "", Some((0, 1)));
    }
    let detail = sample.service(0, "shop-a@web-1", "running", "", Some((5, 0))).detail(None);
    assert_eq!(live_at(&detail, 40, 80).len(), 8);
    assert_eq!(live_at(&detail, 4, 80)[1..], ["✓ back  5 services  done", "◐ shop-a@web-1  running        7 s"]);
}

#[test]
fn a_hook_shows_the_last_that_it_wrote() {
    let sample = Sample::new("running").service(0, "shop-a@web-1", "running", "", Some((0, 0)));
    let detail = sample.hook(1, "running", "", Some((2, 0))).detail(None);
    let mut tails = Tails::default();
    let text = "one\ntwo\nthree\n\u{1b}[31mfour".to_owned();
    tails.add(&LogLine { number: 1, at: at(3), step: 2, text });
    assert_eq!(
        drawn(&live(&detail, &tails, at(12), 20), 100)[1..],
        [
            "◐ shop-a@web-1  running       12 s  hook pre-restart drain.sh, 10 s of 30 s",
            "    │ two",
            "    │ three",
            "    │  [31mfour",
        ]
    );
}

#[test]
fn an_operation_that_has_ended_reads_as_a_report() {
    let sample = Sample::new("failed").service(0, "shop-a@web-1", "timed_out", "not stopped in 60 s", Some((0, 61)));
    let detail = sample
        .hook(1, "done", "exit code 0", Some((0, 1)))
        .signal(1, "stop", false, "done", "SIGTERM sent to 4242")
        .wait(1, "stopped", false, "timed_out", Some((1, 61)))
        .signal(1, "kill", true, "skipped", "")
        .wait(1, "stopped", true, "skipped", None)
        .signal(1, "start", false, "skipped", "it was not stopped")
        .detail(Some("failed"));
    let mut tails = Tails::default();
    tails.add(&LogLine { number: 1, at: at(1), step: 2, text: "drained".to_owned() });
    assert_eq!(
        drawn(&whole(&detail, &tails, at(100)), 100),
        [
            "✗ front (one after the other, stops at the first failure)  failed",
            "  ✗ shop-a@web-1  timed out  61 s  not stopped in 60 s",
            "    ✓ hook pre-restart drain.sh  done  1 s  exit code 0",
            "        │ drained",
            "    ✓ stop signal  done  SIGTERM sent to 4242",
            "    ✗ wait until it is stopped  timed out  60 s",
            "    - start signal  skipped  it was not stopped",
        ]
    );
}

#[test]
fn a_tree_that_is_none_harms_nobody() {
    let mut detail = in_the_middle();
    detail.steps[2].parent = Some(77);
    detail.steps[3].parent = Some(3);
    assert_eq!(live_at(&detail, 20, 80).len(), 3);
    detail.steps.clear();
    assert_eq!((live_at(&detail, 20, 80).len(), whole(&detail, &Tails::default(), at(0)).len()), (1, 0));
}
