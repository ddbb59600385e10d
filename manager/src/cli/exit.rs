//! Exit codes: a documented interface, by which a caller can tell what to do next.

use crate::grid::{
    operation::{
        StepState,
        view::{OperationState, OperationView},
    },
    view::{TriggerOutcome, TriggerResult},
};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// The call is wrong.
    Usage,
    /// Some targets are done, some are not.
    PartlyFailed,
    /// Failed, and everything is as it was before.
    RolledBack,
    /// The caller's own time limit is up.
    TimedOut,
    /// The agent is not available.
    NotAvailable,
    /// Not logged in, or not allowed.
    NotAllowed,
    /// Something is in the way.
    Conflict,
    /// No such target.
    NoSuchTarget,
    /// There are differences.
    Differences,
    /// The manager cannot be reached.
    Unreachable,
    /// A hook stopped it.
    Vetoed,
    /// It was cancelled, or something went before it.
    Cancelled,
    /// Nothing was to do.
    Ignored,
    /// Whoever waited has ended the waiting; what was begun goes on.
    Left,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::PartlyFailed => 3,
            Exit::RolledBack => 4,
            Exit::TimedOut => 5,
            Exit::NotAvailable => 6,
            Exit::NotAllowed => 7,
            Exit::Conflict => 8,
            Exit::NoSuchTarget => 9,
            Exit::Differences => 10,
            Exit::Unreachable => 11,
            Exit::Vetoed => 12,
            Exit::Cancelled => 13,
            Exit::Ignored => 14,
            Exit::Left => 130,
        }
    }

    /// The meaning, in words.
    pub fn words(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Failed => "failed",
            Exit::Usage => "the call is wrong",
            Exit::PartlyFailed => "partly failed",
            Exit::RolledBack => "failed, and rolled back",
            Exit::TimedOut => "the caller's time is up",
            Exit::NotAvailable => "the agent is not available",
            Exit::NotAllowed => "not allowed",
            Exit::Conflict => "conflict",
            Exit::NoSuchTarget => "no such target",
            Exit::Differences => "there are differences",
            Exit::Unreachable => "the manager cannot be reached",
            Exit::Vetoed => "vetoed by a hook",
            Exit::Cancelled => "cancelled, or superseded",
            Exit::Ignored => "nothing was to do",
            Exit::Left => "the caller did not wait for the end",
        }
    }

    /// How an operation ended; one that has not, because the manager did, is a failure.
    pub fn of_operation(operation: &OperationView) -> Self {
        match (operation.state, operation.result) {
            (OperationState::Ended, Some(result)) => Self::of_state(result),
            _ => Exit::Failed,
        }
    }

    /// How something ended that is in a state.
    fn of_state(state: StepState) -> Self {
        match state {
            StepState::Done => Exit::Done,
            // Nothing was to be done about what is skipped.
            StepState::Ignored | StepState::Skipped => Exit::Ignored,
            StepState::PartlyFailed => Exit::PartlyFailed,
            StepState::NotAvailable => Exit::NotAvailable,
            StepState::Refused => Exit::NotAllowed,
            StepState::Conflict => Exit::Conflict,
            StepState::Gone => Exit::NoSuchTarget,
            StepState::Vetoed => Exit::Vetoed,
            StepState::Cancelled | StepState::Superseded => Exit::Cancelled,
            StepState::Failed | StepState::TimedOut | StepState::Unknown | StepState::Planned | StepState::Running => {
                Exit::Failed
            }
        }
    }

    /// How a trigger ended that ended so on each service: all for one reason is that reason.
    pub fn of_trigger(results: &[TriggerResult]) -> Self {
        let of = |outcome| match outcome {
            TriggerOutcome::Done | TriggerOutcome::Planned => Exit::Done,
            TriggerOutcome::Ignored => Exit::Ignored,
            TriggerOutcome::Refused => Exit::NotAllowed,
            TriggerOutcome::Failed | TriggerOutcome::Unknown => Exit::Failed,
            TriggerOutcome::NotAvailable => Exit::NotAvailable,
            TriggerOutcome::Conflict => Exit::Conflict,
            TriggerOutcome::Vetoed => Exit::Vetoed,
        };
        let exits: Vec<Exit> = results.iter().map(|result| of(result.outcome)).collect();
        let Some(first) = exits.first().copied() else { return Exit::Ignored };
        if exits.iter().all(|exit| *exit == first) {
            return first;
        }
        let failures: Vec<Exit> =
            exits.iter().copied().filter(|exit| !matches!(exit, Exit::Done | Exit::Ignored)).collect();
        match failures.first() {
            None => Exit::Done,
            Some(reason) if failures.len() == exits.len() && failures.iter().any(|exit| exit != reason) => Exit::Failed,
            Some(_) => Exit::PartlyFailed,
        }
    }
}

/// Why a command failed, and how it ends.
#[derive(Debug)]
pub struct Failure {
    /// How it ends.
    pub exit: Exit,
    /// Why.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_operations() {
        use OperationState::{Cancelling, Ended, Interrupted, Running};
        let view = |state: OperationState, result: Option<StepState>| -> OperationView {
            let view = serde_json::json!({
                "id": uuid::Uuid::nil(), "command": "restart", "targets": ["front"], "state": state, "result": result,
                "message": "", "actor": "me", "created_at": "2026-01-01T00:00:00Z", "ended_at": null, "retry_of": null,
                "services": crate::grid::operation::view::Counts::default()
            });
            serde_json::from_value(view).unwrap()
        };
        for (state, result, code) in [
            (Ended, Some(StepState::Done), 0),
            (Ended, Some(StepState::Failed), 1),
            (Ended, Some(StepState::TimedOut), 1),
            (Ended, Some(StepState::Unknown), 1),
            (Ended, Some(StepState::PartlyFailed), 3),
            (Ended, Some(StepState::NotAvailable), 6),
            (Ended, Some(StepState::Refused), 7),
            (Ended, Some(StepState::Conflict), 8),
            (Ended, Some(StepState::Gone), 9),
            (Ended, Some(StepState::Vetoed), 12),
            (Ended, Some(StepState::Cancelled), 13),
            (Ended, Some(StepState::Superseded), 13),
            (Ended, Some(StepState::Ignored), 14),
            (Ended, None, 1),
            (Interrupted, None, 1),
            (Running, None, 1),
            (Cancelling, None, 1),
        ] {
            assert_eq!(Exit::of_operation(&view(state, result)).code(), code, "{state:?} {result:?}");
        }
    }

    #[test]
    fn the_table_of_exits() {
        use TriggerOutcome::{Conflict, Done, Failed, Ignored, NotAvailable, Refused, Unknown, Vetoed};
        for (outcomes, exit) in [
            (&[][..], Exit::Ignored),
            (&[Done, Done], Exit::Done),
            (&[Done, Ignored], Exit::Done),
            (&[Ignored, Ignored], Exit::Ignored),
            (&[NotAvailable, NotAvailable], Exit::NotAvailable),
            (&[Refused], Exit::NotAllowed),
            (&[Conflict, Conflict], Exit::Conflict),
            (&[Vetoed], Exit::Vetoed),
            (&[Vetoed, Conflict], Exit::Failed),
            (&[Failed, Unknown], Exit::Failed),
            (&[Failed, NotAvailable], Exit::Failed),
            (&[Done, NotAvailable], Exit::PartlyFailed),
            (&[Ignored, Failed], Exit::PartlyFailed),
        ] {
            let result = |outcome: &TriggerOutcome| TriggerResult {
                service: "a@b".parse().unwrap(),
                outcome: *outcome,
                message: String::new(),
            };
            let results: Vec<_> = outcomes.iter().map(result).collect();
            assert_eq!(Exit::of_trigger(&results), exit, "{outcomes:?}");
        }
    }
}
