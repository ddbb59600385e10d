//! Which hooks run when. One rule for each case; `docs/HOOKS.md` shows them all.

use super::Phase;

/// What a hook stands around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A trigger of one service.
    Trigger,
    /// A command on one service.
    Command,
    /// A command on a collection or on the grid, or what is done with a release: as a whole.
    Whole,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 3] = [Scope::Trigger, Scope::Command, Scope::Whole];
}

/// What has happened when a hook would be next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Situation {
    /// Nothing unusual.
    Expected,
    /// What the trigger would bring about is so already.
    TriggerNotNeeded,
    /// The stop was in time, so the automatic kill is not needed.
    KillNotNeeded,
    /// The signal was refused, failed, could not be sent, or nobody answered. What an agent had begun when it died is
    /// delivered to an operation, which sees what comes of it, and not to a trigger, which waits for nothing.
    SignalNotDelivered,
    /// Something in it failed, or its time was up: a step of the service, a member of the collection.
    Failed,
    /// A `pre-` hook of the same service, or of the same collection, failed, and is set to abort.
    Vetoed,
    /// A `pre-` hook before it failed, and is set to warn.
    Warned,
    /// A `post-` hook before it failed.
    PostFailed,
    /// It was never begun: cancelled before, something before it failed, held by another operation, not there.
    NotBegun,
    /// The operation was cancelled while it was in hand.
    Cancelled,
    /// The operation was cancelled with `--now` while it was in hand.
    CancelledNow,
    /// A kill went before it while it was in hand.
    Superseded,
    /// The program is not on its machine yet.
    NotReady,
    /// Resumed: the hook had ended before.
    ResumedEnded,
    /// Resumed: the hook is still running.
    ResumedRunning,
    /// Resumed: the hook was noted as begun, and never reached where it was to run.
    ResumedNeverReceived,
    /// Resumed: the hook was begun, and nobody can say what became of it.
    ResumedUnknown,
}

impl Situation {
    /// Every situation.
    pub const ALL: [Situation; 17] = [
        Situation::Expected,
        Situation::TriggerNotNeeded,
        Situation::KillNotNeeded,
        Situation::SignalNotDelivered,
        Situation::Failed,
        Situation::Vetoed,
        Situation::Warned,
        Situation::PostFailed,
        Situation::NotBegun,
        Situation::Cancelled,
        Situation::CancelledNow,
        Situation::Superseded,
        Situation::NotReady,
        Situation::ResumedEnded,
        Situation::ResumedRunning,
        Situation::ResumedNeverReceived,
        Situation::ResumedUnknown,
    ];

    /// The situation in words.
    pub fn words(self) -> &'static str {
        match self {
            Situation::Expected => "all goes as planned",
            Situation::TriggerNotNeeded => "the trigger is ignored: there is no need",
            Situation::KillNotNeeded => "the automatic kill is not needed",
            Situation::SignalNotDelivered => "the signal is refused, fails, cannot be delivered, or is not answered",
            Situation::Failed => "a step of the service, or a member of the collection, failed or took too long",
            Situation::Vetoed => "a `pre-` hook of the same service or collection failed (`abort`)",
            Situation::Warned => "a `pre-` hook before it failed (`warn`)",
            Situation::PostFailed => "a `post-` hook of the same event failed before it",
            Situation::NotBegun => "the service or collection was never begun, or cancelled before its first hook",
            Situation::Cancelled => "cancelled while the service or collection was in hand",
            Situation::CancelledNow => "cancelled with `--now`",
            Situation::Superseded => "superseded by a kill",
            Situation::NotReady => "the program is not on its machine yet",
            Situation::ResumedEnded => "resumed: the hook had ended",
            Situation::ResumedRunning => "resumed: the hook is still running",
            Situation::ResumedNeverReceived => "resumed: the hook was never received",
            Situation::ResumedUnknown => "resumed: nobody can say what became of the hook",
        }
    }
}

/// What becomes of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It runs; after something it is told the result of that.
    Run,
    /// It does not run, and why.
    Skip(&'static str),
    /// It is waited for, and how.
    Await(&'static str),
    /// It counts as failed without another run, and why.
    Fail(&'static str),
}

/// What becomes of a hook that would be next, or that was in hand when its operation was interrupted.
pub fn verdict(phase: Phase, scope: Scope, situation: Situation) -> Verdict {
    use Phase::{Post, Pre};
    use Scope::{Command, Trigger, Whole};
    use Verdict::{Await, Fail, Run, Skip};
    match (situation, scope, phase) {
        (Situation::Expected | Situation::Warned | Situation::PostFailed, ..) => Run,

        (Situation::TriggerNotNeeded, Trigger, _) => Skip("the trigger was not needed"),
        (Situation::KillNotNeeded, Trigger, _) => Skip("the kill was not needed"),
        (Situation::TriggerNotNeeded | Situation::KillNotNeeded, Command | Whole, _) => Run,

        // Its `pre-` hooks came before the signal.
        (Situation::SignalNotDelivered, Trigger, Pre) => Run,
        (Situation::SignalNotDelivered, Trigger, Post) => Skip("the signal was not delivered"),
        (Situation::SignalNotDelivered, Command | Whole, _) => Run,

        (Situation::Failed, Trigger, _) => Skip("a step before it failed"),
        // Whoever prepared something is told how it ended.
        (Situation::Failed, Command | Whole, _) => Run,

        (Situation::Vetoed, ..) => Skip("a `pre-` hook before it failed"),
        (Situation::NotBegun, ..) => Skip("it was not begun"),

        // What is in hand is finished, with its hooks; of a whole nothing else is begun.
        (Situation::Cancelled, Whole, Pre) => Skip("it was cancelled"),
        (Situation::Cancelled, ..) => Run,
        (Situation::CancelledNow, ..) => Skip("it was cancelled with `--now`"),
        (Situation::Superseded, Trigger | Command, _) => Skip("a kill went before it"),
        (Situation::Superseded, Whole, _) => Run,

        (Situation::NotReady, ..) => Await("for the program, as long as the hook may run; then it has failed"),
        (Situation::ResumedEnded, ..) => Skip("it has run already"),
        // What ran on the manager's host ended with the manager, however far it was.
        (Situation::ResumedRunning | Situation::ResumedNeverReceived, Whole, _) => {
            Fail("nobody can say what became of it")
        }
        (Situation::ResumedRunning, ..) => Await("for its end"),
        (Situation::ResumedNeverReceived, ..) => Run,
        (Situation::ResumedUnknown, ..) => Fail("nobody can say what became of it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of hooks, as one letter: runs, skipped, awaited, failed.
    fn letter(phase: Phase, scope: Scope, situation: Situation) -> char {
        match verdict(phase, scope, situation) {
            Verdict::Run => 'r',
            Verdict::Skip(_) => '-',
            Verdict::Await(_) => 'w',
            Verdict::Fail(_) => 'f',
        }
    }

    #[test]
    fn the_table_of_verdicts() {
        // Before and after: a trigger, a command on a service, a whole.
        let expected = [
            (Situation::Expected, "rr rr rr"),
            (Situation::TriggerNotNeeded, "-- rr rr"),
            (Situation::KillNotNeeded, "-- rr rr"),
            (Situation::SignalNotDelivered, "r- rr rr"),
            (Situation::Failed, "-- rr rr"),
            (Situation::Vetoed, "-- -- --"),
            (Situation::Warned, "rr rr rr"),
            (Situation::PostFailed, "rr rr rr"),
            (Situation::NotBegun, "-- -- --"),
            (Situation::Cancelled, "rr rr -r"),
            (Situation::CancelledNow, "-- -- --"),
            (Situation::Superseded, "-- -- rr"),
            (Situation::NotReady, "ww ww ww"),
            (Situation::ResumedEnded, "-- -- --"),
            (Situation::ResumedRunning, "ww ww ff"),
            (Situation::ResumedNeverReceived, "rr rr ff"),
            (Situation::ResumedUnknown, "ff ff ff"),
        ];
        assert_eq!(expected.map(|(situation, _)| situation), Situation::ALL);
        for (situation, letters) in expected {
            let found = Scope::ALL
                .map(|scope| [Phase::Pre, Phase::Post].map(|phase| letter(phase, scope, situation)))
                .map(String::from_iter);
            assert_eq!(found.join(" "), letters, "{situation:?}");
        }
    }
}
