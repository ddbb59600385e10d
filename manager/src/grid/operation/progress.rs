//! How a group goes on: which members begin next, whether others still may, and whether it has ended.

use std::collections::BTreeSet;

use super::{Group, StepState};
use crate::grid::config::{Mode, OnFailure};

/// How far the members of a group are, in their order: services and groups, but no hooks. What is next costs the same
/// however many there are.
#[derive(Debug)]
pub struct Members {
    states: Vec<StepState>,
    /// Before this place none is planned.
    next: usize,
    running: usize,
    /// The places of those that failed.
    failed: BTreeSet<usize>,
}

impl Members {
    /// Members that are so far.
    pub fn new(states: Vec<StepState>) -> Self {
        let running = states.iter().filter(|state| **state == StepState::Running).count();
        let failed =
            states.iter().enumerate().filter(|(_, state)| state.is_failure()).map(|(place, _)| place).collect();
        Self { states, next: 0, running, failed }
    }

    /// How far a member is.
    pub fn state(&self, place: usize) -> StepState {
        self.states[place]
    }

    /// A member goes on.
    pub fn set(&mut self, place: usize, state: StepState) {
        let before = std::mem::replace(&mut self.states[place], state);
        self.running -= usize::from(before == StepState::Running);
        self.running += usize::from(state == StepState::Running);
        match state.is_failure() {
            true => drop(self.failed.insert(place)),
            false => drop(self.failed.remove(&place)),
        }
        if state == StepState::Planned {
            self.next = self.next.min(place);
        }
    }

    /// The first member that failed.
    pub fn first_failed(&self) -> Option<usize> {
        self.failed.first().copied()
    }

    /// Up to so many that are planned, in their order.
    fn planned(&mut self, most: usize) -> Vec<usize> {
        while self.states.get(self.next).is_some_and(|state| *state != StepState::Planned) {
            self.next += 1;
        }
        let from = self.states.iter().enumerate().skip(self.next);
        from.filter(|(_, state)| **state == StepState::Planned).take(most).map(|(place, _)| place).collect()
    }
}

/// Why nothing may begin in a group, for a reason that is outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The operation was cancelled.
    Cancelled,
    /// A group further out is over its budget.
    Budget {
        /// Its name, if it has one.
        group: Option<String>,
        /// How many failed in it.
        failed: u32,
        /// How many may.
        allowed: u32,
    },
}

/// Why no other member is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A member failed, or something in one: members in hand are finished.
    Failure,
    /// More services failed than may. No other service in the group is begun, at whatever depth.
    Budget {
        /// How many failed.
        failed: u32,
        /// How many may.
        allowed: u32,
    },
    /// The reason is outside of the group.
    Held(Held),
}

impl Stop {
    /// Why a member was not begun, in words. `failure` says what failed, if that is known.
    pub fn words(&self, failure: Option<&str>) -> String {
        match self {
            Stop::Failure => format!("not begun: {}", failure.unwrap_or("another member failed")),
            Stop::Budget { failed, allowed } | Stop::Held(Held::Budget { group: None, failed, allowed }) => {
                format!("not begun: {failed} services failed, and {allowed} may")
            }
            Stop::Held(Held::Budget { group: Some(group), failed, allowed }) => {
                format!("not begun: {failed} services failed in {group}, and {allowed} may")
            }
            Stop::Held(Held::Cancelled) => "not begun: the operation was cancelled".to_owned(),
        }
    }
}

/// What became of a member for which no other was begun, after its name.
pub fn failure_words(state: StepState) -> &'static str {
    match state {
        StepState::TimedOut => "took too long",
        StepState::PartlyFailed => "failed in part",
        StepState::Vetoed => "was vetoed by a hook",
        StepState::Refused => "was refused",
        StepState::NotAvailable => "was not available",
        StepState::Conflict => "was held by another operation",
        StepState::Gone => "was gone",
        StepState::Superseded => "was superseded by a kill",
        StepState::Cancelled => "was cancelled",
        StepState::Unknown => "ended nobody knows how",
        _ => "failed",
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

/// What is next in a group, after its `pre-` hooks. `failures` are those in its members, at any depth; see
/// [`super::outcome::Tally::failures`]. `held`: nothing may begin, for a reason outside of the group.
///
/// Where a budget is set it decides alone: so many failures are allowed for, also where `on_failure` is `stop`.
pub fn progress(group: &Group, members: &mut Members, failures: u32, held: Option<Held>) -> Progress {
    let stop = held.map(Stop::Held).or_else(|| stop(group, members, failures));
    let at_once = match (group.mode, group.max_parallel) {
        (Mode::Sequential, _) => 1,
        (Mode::Parallel, Some(most)) => most.max(1) as usize,
        (Mode::Parallel, None) => usize::MAX,
    };
    let begin = match at_once.saturating_sub(members.running) {
        room if room > 0 && stop.is_none() => members.planned(room),
        _ => Vec::new(),
    };
    let ended = members.running == 0 && begin.is_empty();
    Progress { begin, stop, ended }
}

fn stop(group: &Group, members: &Members, failed: u32) -> Option<Stop> {
    match (group.failure_budget, group.on_failure) {
        (Some(allowed), _) => (failed > allowed).then_some(Stop::Budget { failed, allowed }),
        (None, OnFailure::Continue) => None,
        (None, OnFailure::Stop) => (failed > 0 || members.first_failed().is_some()).then_some(Stop::Failure),
    }
}

#[cfg(test)]
mod tests;
