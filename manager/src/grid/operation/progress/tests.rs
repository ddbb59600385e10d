use super::*;

/// `.` planned, `r` running, `d` done, `i` ignored, `f` failed, `s` skipped, `p` partly failed with two failures,
/// `R` running with two failures. Returns the failures, too.
fn members(letters: &str) -> (Members, u32) {
    let member = |letter| match letter {
        '.' => (StepState::Planned, 0),
        'r' => (StepState::Running, 0),
        'd' => (StepState::Done, 0),
        'i' => (StepState::Ignored, 0),
        'f' => (StepState::Failed, 1),
        's' => (StepState::Skipped, 0),
        'p' => (StepState::PartlyFailed, 2),
        'R' => (StepState::Running, 2),
        other => panic!("no letter `{other}`"),
    };
    let (states, failures): (Vec<_>, Vec<u32>) = letters.chars().map(member).unzip();
    (Members::new(states), failures.into_iter().sum())
}

fn group(mode: Mode, max_parallel: Option<u32>, on_failure: OnFailure, failure_budget: Option<u32>) -> Group {
    Group { collection: None, is_grid: false, mode, max_parallel, on_failure, failure_budget }
}

#[test]
fn the_table_of_progress() {
    use Mode::{Parallel, Sequential};
    use OnFailure::{Continue, Stop as AtFirst};
    for (mode, most, on_failure, budget, letters, begin, stops, ended) in [
        // One after the other.
        (Sequential, None, AtFirst, None, "...", &[0][..], false, false),
        (Sequential, None, AtFirst, None, "r..", &[], false, false),
        (Sequential, None, AtFirst, None, "d..", &[1], false, false),
        (Sequential, None, AtFirst, None, "di.", &[2], false, false),
        (Sequential, None, AtFirst, None, "ds.", &[2], false, false),
        (Sequential, None, AtFirst, None, "ddd", &[], false, true),
        (Sequential, None, AtFirst, None, "", &[], false, true),
        // The first failure.
        (Sequential, None, AtFirst, None, "df.", &[], true, true),
        (Sequential, None, AtFirst, None, "p..", &[], true, true),
        (Sequential, None, Continue, None, "df.", &[2], false, false),
        (Sequential, None, Continue, None, "p..", &[1], false, false),
        (Parallel, Some(2), AtFirst, None, "rf..", &[], true, false),
        (Parallel, Some(2), AtFirst, None, "R...", &[], true, false),
        (Parallel, Some(2), AtFirst, None, "df..", &[], true, true),
        (Parallel, Some(2), Continue, None, "rf..", &[2], false, false),
        // Many at a time.
        (Parallel, None, AtFirst, None, "....", &[0, 1, 2, 3], false, false),
        (Parallel, None, AtFirst, None, "rd..", &[2, 3], false, false),
        (Parallel, Some(2), AtFirst, None, "....", &[0, 1], false, false),
        (Parallel, Some(2), AtFirst, None, "rr..", &[], false, false),
        (Parallel, Some(2), AtFirst, None, "dr..", &[2], false, false),
        (Parallel, Some(9), AtFirst, None, "d.r.", &[1, 3], false, false),
        // A budget decides alone.
        (Sequential, None, AtFirst, Some(0), "d..", &[1], false, false),
        (Sequential, None, Continue, Some(0), "f..", &[], true, true),
        (Sequential, None, AtFirst, Some(1), "f..", &[1], false, false),
        (Sequential, None, Continue, Some(1), "ff.", &[], true, true),
        (Parallel, Some(3), Continue, Some(2), "fR..", &[], true, false),
        (Parallel, Some(3), Continue, Some(2), "pr..", &[2, 3], false, false),
        (Parallel, Some(3), Continue, Some(2), "pf..", &[], true, true),
    ] {
        let group = group(mode, most, on_failure, budget);
        let (mut members, failures) = members(letters);
        let told = progress(&group, &mut members, failures, None);
        let found = (&told.begin[..], told.stop.is_some(), told.ended);
        assert_eq!(found, (begin, stops, ended), "{mode:?} {most:?} {on_failure:?} {budget:?} {letters}");
    }
}

#[test]
fn what_is_held_begins_nothing_and_ends_with_what_is_in_hand() {
    let group = group(Mode::Parallel, None, OnFailure::Continue, None);
    for (letters, ended) in [("....", true), ("dr..", false), ("dd..", true)] {
        let expected = Progress { begin: Vec::new(), stop: Some(Stop::Held(Held::Cancelled)), ended };
        let (mut members, failures) = members(letters);
        assert_eq!(progress(&group, &mut members, failures, Some(Held::Cancelled)), expected, "{letters}");
    }
}

#[test]
fn what_is_kept_says_the_same_as_a_new_look() {
    for (mode, most) in [(Mode::Sequential, None), (Mode::Parallel, Some(3)), (Mode::Parallel, None)] {
        let group = group(mode, most, OnFailure::Continue, Some(4));
        let mut kept = Members::new(vec![StepState::Planned; 50]);
        let (mut in_hand, mut failures, mut rounds) = (Vec::new(), 0, 0);
        loop {
            let told = progress(&group, &mut kept, failures, None);
            let states = (0..50).map(|place| kept.state(place)).collect();
            assert_eq!(told, progress(&group, &mut Members::new(states), failures, None), "{mode:?} {rounds}");
            for place in told.begin {
                kept.set(place, StepState::Running);
                in_hand.push(place);
            }
            rounds += 1;
            if in_hand.is_empty() {
                break;
            }
            // In an order that is none, and some of them fail.
            let place = in_hand.swap_remove(rounds * 7 % in_hand.len());
            let state = [StepState::Done, StepState::Failed, StepState::Ignored][(rounds / 3 % 7 % 4).min(2)];
            failures += u32::from(state.is_failure());
            kept.set(place, state);
        }
        assert!(rounds > 4 && kept.first_failed().is_some(), "{mode:?}");
    }
}

#[test]
fn the_table_of_reasons() {
    let of = |group: Option<&str>| Stop::Held(Held::Budget { group: group.map(str::to_owned), failed: 3, allowed: 2 });
    let superseded = format!("a@web-1 {}", failure_words(StepState::Superseded));
    for (stop, failure, words) in [
        (Stop::Failure, None, "not begun: another member failed"),
        (Stop::Failure, Some(superseded.as_str()), "not begun: a@web-1 was superseded by a kill"),
        (Stop::Budget { failed: 3, allowed: 2 }, Some("a failed"), "not begun: 3 services failed, and 2 may"),
        (of(None), None, "not begun: 3 services failed, and 2 may"),
        (of(Some("front")), None, "not begun: 3 services failed in front, and 2 may"),
        (Stop::Held(Held::Cancelled), Some("a failed"), "not begun: the operation was cancelled"),
    ] {
        assert_eq!(stop.words(failure), words);
    }
    for state in StepState::ALL.into_iter().filter(|state| state.is_failure() && *state != StepState::Failed) {
        assert_ne!(failure_words(state), "failed", "{state:?} has words of its own");
    }
}
