//! How a group goes on: which members begin next, whether others still may, and whether it has ended.

use super::{Group, StepState};
use crate::grid::config::{Mode, OnFailure};

/// A member of a group: a service or a group. Hooks are no members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// How far it is.
    pub state: StepState,
    /// How many failures are in it, at any depth; see [`super::outcome::Tally::failures`].
    pub failures: u32,
}

/// Why no other member is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A member failed: members in hand are finished.
    Failure,
    /// More services failed than may. No other service in the group is begun, at whatever depth.
    Budget {
        /// How many failed.
        failed: u32,
        /// How many may.
        allowed: u32,
    },
    /// The operation was cancelled, or a group further out is over its budget.
    Held,
}

impl Stop {
    /// Why a member was not begun, in words.
    pub fn words(self) -> String {
        match self {
            Stop::Failure => "not begun: a member before it failed".to_owned(),
            Stop::Budget { failed, allowed } => {
                format!("not begun: {failed} services failed, and {allowed} may")
            }
            Stop::Held => "not begun: the operation was cancelled, or too much of it failed".to_owned(),
        }
    }
}

/// What is next in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The members to begin now, by their places.
    pub begin: Vec<usize>,
    /// Why no other is begun, if that is so.
    pub stop: Option<Stop>,
    /// Whether nothing is in hand and nothing more will be: what is still planned is skipped.
    pub ended: bool,
}

/// What is next in a group, after its `pre-` hooks. `held`: nothing may begin, for a reason outside of the group.
///
/// Where a budget is set it decides alone: so many failures are allowed for, also where `on_failure` is `stop`.
pub fn progress(group: &Group, members: &[Member], held: bool) -> Progress {
    let stop = if held { Some(Stop::Held) } else { stop(group, members) };
    let running = members.iter().filter(|member| member.state == StepState::Running).count();
    let planned = || members.iter().enumerate().filter(|(_, member)| member.state == StepState::Planned);
    let at_once = match (group.mode, group.max_parallel) {
        (Mode::Sequential, _) => 1,
        (Mode::Parallel, Some(most)) => most.max(1) as usize,
        (Mode::Parallel, None) => usize::MAX,
    };
    let room = if stop.is_some() { 0 } else { at_once.saturating_sub(running) };
    let begin: Vec<usize> = planned().take(room).map(|(place, _)| place).collect();
    let ended = running == 0 && begin.is_empty();
    Progress { begin, stop, ended }
}

fn stop(group: &Group, members: &[Member]) -> Option<Stop> {
    let failed = members.iter().map(|member| member.failures).fold(0, u32::saturating_add);
    match (group.failure_budget, group.on_failure) {
        (Some(allowed), _) => (failed > allowed).then_some(Stop::Budget { failed, allowed }),
        (None, OnFailure::Continue) => None,
        (None, OnFailure::Stop) => {
            let any = failed > 0 || members.iter().any(|member| member.state.is_failure());
            any.then_some(Stop::Failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` planned, `r` running, `d` done, `i` ignored, `f` failed, `s` skipped, `p` partly failed with two failures,
    /// `R` running with two failures.
    fn members(letters: &str) -> Vec<Member> {
        let member = |letter| {
            let (state, failures) = match letter {
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
            Member { state, failures }
        };
        letters.chars().map(member).collect()
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
            let told = progress(&group, &members(letters), false);
            let found = (&told.begin[..], told.stop.is_some(), told.ended);
            assert_eq!(found, (begin, stops, ended), "{mode:?} {most:?} {on_failure:?} {budget:?} {letters}");
        }
    }

    #[test]
    fn what_is_held_begins_nothing_and_ends_with_what_is_in_hand() {
        let group = group(Mode::Parallel, None, OnFailure::Continue, None);
        for (letters, ended) in [("....", true), ("dr..", false), ("dd..", true)] {
            let expected = Progress { begin: Vec::new(), stop: Some(Stop::Held), ended };
            assert_eq!(progress(&group, &members(letters), true), expected, "{letters}");
        }
    }
}
