//! What became of an order that was noted and whose outcome was not, as a pure function of what can be seen: the agent
//! ended in between. Nothing may be started or stopped twice for one order, and no order may be forgotten.

use std::time::Duration;

use protocol::state::{Action, State};
use serde::{Deserialize, Serialize};

use crate::tomcat::mark::Proof;

/// How long whatever the agent sent last may take to show.
pub const SETTLE: Duration = Duration::from_secs(2);

/// How long a process that was perhaps told to stop, and does not answer, is looked at.
const MUTE: Duration = Duration::from_secs(10);

/// How long anything is waited for before the answer is that it cannot be known.
pub const LIMIT: Duration = Duration::from_secs(20);

/// How an order was to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum Way {
    /// By a signal to the process.
    Signal {},
    /// By a launcher, which leaves a mark: a start, or the instance's own stop program.
    Launcher {},
    /// By systemd.
    Unit {
        /// The unit.
        unit: String,
        /// Which run of the unit was the last before, as systemd numbers them; empty if it knows none, and `None` if it
        /// could not be asked.
        invocation: Option<String>,
    },
}

/// What can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What was ordered.
    pub action: Action,
    /// Whether the process that the order was meant for is still there.
    pub is_there: bool,
    /// How it was to be carried out, and what that way left behind.
    pub trace: Trace,
    /// The verdict on the instance.
    pub state: State,
    /// For how long this has been looked at.
    pub looked: Duration,
}

/// What the way of an order left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// A signal.
    Signal {
        /// Whether SIGTERM waits to be delivered, as with a frozen process.
        is_pending: bool,
        /// Whether the process is frozen, so that a signal which was sent would still wait.
        is_frozen: bool,
    },
    /// A launcher's mark.
    Launcher(Proof),
    /// What systemd says of the unit.
    Unit {
        /// Whether systemd is about to do what was ordered.
        is_busy: bool,
        /// Whether it has been started anew since; `None` if systemd has forgotten.
        is_new: Option<bool>,
    },
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It was carried out.
    WasDone,
    /// It was not, and can be carried out now.
    NotDone,
    /// It cannot be told yet.
    WaitAndSee,
}

/// Judges what became of an order.
pub fn resolve(facts: &Facts) -> Resolution {
    use Resolution::{NotDone, WaitAndSee, WasDone};
    let is_settled = facts.looked >= SETTLE;
    let after = |limit: Duration| if facts.looked >= limit { NotDone } else { WaitAndSee };
    if facts.action != Action::Start && !facts.is_there {
        // Whatever ended it: it is no more, and what runs now is another.
        return WasDone;
    }
    match (facts.action, facts.trace) {
        (_, Trace::Launcher(Proof::Gone(_))) => WasDone,
        (_, Trace::Launcher(Proof::OnItsWay)) => WaitAndSee,
        (_, Trace::Launcher(Proof::NotGone)) => NotDone,
        (Action::Start, Trace::Unit { is_busy: true, .. } | Trace::Unit { is_new: Some(true), .. }) => WasDone,
        (Action::Start, Trace::Unit { is_new: None, .. }) => WaitAndSee,
        (Action::Start, Trace::Unit { .. }) => after(SETTLE),
        // Starts go by a launcher or a unit.
        (Action::Start, Trace::Signal { .. }) => WaitAndSee,
        // What runs there now is another run, which was not meant.
        (Action::Stop | Action::Kill, Trace::Unit { is_new: Some(true), .. }) => WasDone,
        (Action::Stop | Action::Kill, Trace::Unit { is_new: None, .. }) => WaitAndSee,
        // Killing the same process once more changes nothing.
        (Action::Kill, _) => NotDone,
        (Action::Stop, Trace::Unit { is_busy: true, .. }) => WasDone,
        (Action::Stop, Trace::Unit { .. }) => after(SETTLE),
        (Action::Stop, Trace::Signal { is_pending: true, .. }) => WasDone,
        (Action::Stop, Trace::Signal { is_frozen: true, .. }) => NotDone,
        (Action::Stop, Trace::Signal { .. }) => match facts.state {
            State::Stopping | State::Stopped => WasDone,
            State::Active if is_settled => NotDone,
            // A second SIGTERM to the same process is no second stop.
            _ => after(MUTE),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::process::ProcessKey;

    #[test]
    fn what_became_of_an_order_is_told_by_what_it_left_behind() {
        use Action::{Kill, Start, Stop};
        use Resolution::{NotDone, WaitAndSee, WasDone};
        use State::{Active, Starting, Stopped, Stopping, Unresponsive};
        let gone = Trace::Launcher(Proof::Gone(ProcessKey { pid: 1, start_ticks: 1 }));
        let launcher = Trace::Launcher;
        let signal = Trace::Signal { is_pending: false, is_frozen: false };
        let unit = |is_busy, is_new| Trace::Unit { is_busy, is_new };
        for (action, is_there, trace, state, seconds, expected) in [
            (Start, false, gone, Stopped, 0, WasDone),
            (Start, true, gone, Active, 0, WasDone),
            (Start, false, launcher(Proof::OnItsWay), Stopped, 19, WaitAndSee),
            (Start, false, launcher(Proof::NotGone), Stopped, 0, NotDone),
            (Start, false, unit(true, Some(false)), Stopped, 0, WasDone),
            (Start, false, unit(false, Some(true)), Stopped, 0, WasDone),
            (Start, false, unit(false, Some(false)), Stopped, 0, WaitAndSee),
            (Start, false, unit(false, Some(false)), Stopped, 2, NotDone),
            (Start, false, unit(false, None), Stopped, 19, WaitAndSee),
            (Stop, false, signal, Stopped, 0, WasDone),
            (Stop, false, signal, Active, 0, WasDone),
            (Stop, true, signal, Stopping, 0, WasDone),
            (Stop, true, signal, Active, 0, WaitAndSee),
            (Stop, true, signal, Active, 2, NotDone),
            (Stop, true, signal, Starting, 2, WaitAndSee),
            (Stop, true, signal, Unresponsive, 9, WaitAndSee),
            (Stop, true, signal, Unresponsive, 10, NotDone),
            (Stop, true, Trace::Signal { is_pending: true, is_frozen: true }, Unresponsive, 0, WasDone),
            (Stop, true, Trace::Signal { is_pending: false, is_frozen: true }, Unresponsive, 0, NotDone),
            (Stop, true, gone, Active, 5, WasDone),
            (Stop, true, launcher(Proof::OnItsWay), Active, 5, WaitAndSee),
            (Stop, true, launcher(Proof::NotGone), Active, 0, NotDone),
            (Stop, false, launcher(Proof::NotGone), Stopped, 0, WasDone),
            (Stop, true, unit(true, Some(false)), Active, 0, WasDone),
            (Stop, true, unit(false, Some(false)), Active, 0, WaitAndSee),
            (Stop, true, unit(false, Some(false)), Active, 2, NotDone),
            (Kill, true, signal, Active, 0, NotDone),
            (Stop, true, unit(false, Some(true)), Active, 0, WasDone),
            (Stop, true, unit(false, None), Active, 19, WaitAndSee),
            (Kill, true, unit(true, Some(false)), Stopping, 0, NotDone),
            (Kill, true, unit(false, Some(true)), Active, 0, WasDone),
            (Kill, true, unit(true, None), Stopping, 0, WaitAndSee),
            (Kill, false, signal, Stopped, 0, WasDone),
        ] {
            let looked = Duration::from_secs(seconds);
            let facts = Facts { action, is_there, trace, state, looked };
            assert_eq!(resolve(&facts), expected, "{facts:?}");
        }
    }
}
