//! Exit codes: a documented interface, by which a caller can tell what to do next.

use crate::grid::view::{TriggerOutcome, TriggerResult};

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
    /// Differences were found.
    Differences,
    /// The manager cannot be reached.
    Unreachable,
    /// Nothing was to do.
    Ignored,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::PartlyFailed => 3,
            Exit::TimedOut => 5,
            Exit::NotAvailable => 6,
            Exit::NotAllowed => 7,
            Exit::Conflict => 8,
            Exit::NoSuchTarget => 9,
            Exit::Differences => 10,
            Exit::Unreachable => 11,
            Exit::Ignored => 14,
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
    fn the_table_of_exits() {
        use TriggerOutcome::{Done, Failed, Ignored, NotAvailable, Refused, Unknown};
        for (outcomes, exit) in [
            (&[][..], Exit::Ignored),
            (&[Done, Done], Exit::Done),
            (&[Done, Ignored], Exit::Done),
            (&[Ignored, Ignored], Exit::Ignored),
            (&[NotAvailable, NotAvailable], Exit::NotAvailable),
            (&[Refused], Exit::NotAllowed),
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
