//! What a state means to somebody who waits for another.

use protocol::{state::State, time::Timestamp};

use super::{Signal, WaitFor};
use crate::grid::{fleet::Standing, view::ServiceType};

/// Since when somebody waits, and for the effect of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The signal.
    pub signal: Signal,
    /// Whether there was no need for it: what is so already is what is waited for.
    pub needless: bool,
    /// When the signal was sent.
    pub at: Timestamp,
    /// How the service stood just before; nothing if that is not known any more.
    pub before: Option<Standing>,
}

/// What a look comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The state is reached.
    Reached,
    /// It cannot be reached any more.
    Failed(String),
    /// It is waited for on; what is going on, in words.
    Wait(String),
}

/// Looks at a service that is waited for.
pub fn look(until: WaitFor, mark: &Mark, now: &Standing) -> Look {
    match (now.r#type, until, now.state) {
        (ServiceType::Agent, WaitFor::Stopped, State::Stopped) => Look::Reached,
        // A link that is gone is all that can be seen of the end of an agent that was killed. One that was told to
        // stop says so before it goes.
        (ServiceType::Agent, WaitFor::Stopped, State::NotAvailable) if mark.signal == Signal::Kill => Look::Reached,
        (ServiceType::Agent, WaitFor::Active, State::Active) if mark.needless || is_news(mark, now) => Look::Reached,
        (ServiceType::Agent, ..) => Look::Wait(words(now)),
        (_, WaitFor::Active, State::Active) | (_, WaitFor::Stopped, State::Stopped) => Look::Reached,
        // Whoever started it again meanwhile started another process.
        (_, WaitFor::Stopped, _) if now.linked && has_ended(mark, now) => Look::Reached,
        (_, WaitFor::Active, State::Stopped) if is_news(mark, now) => {
            let how = now.reason.clone().or_else(|| now.exit.as_ref().map(|(_, how)| how.clone()));
            Look::Failed(format!("the process ended: {}", how.unwrap_or_else(|| "nobody saw how".to_owned())))
        }
        (_, WaitFor::Active, State::Unresponsive) => match &now.reason {
            Some(reason) => Look::Failed(format!("it is unresponsive: {reason}")),
            None => Look::Wait(words(now)),
        },
        _ => Look::Wait(words(now)),
    }
}

/// Whether a state is of after the signal, and no echo of the one before.
fn is_news(mark: &Mark, now: &Standing) -> bool {
    match &mark.before {
        Some(before) => (before.state, before.since, &before.exit) != (now.state, now.since, &now.exit),
        None => now.since > mark.at || now.exit.as_ref().is_some_and(|(at, _)| *at > mark.at),
    }
}

/// Whether the process that the signal was for has ended, whatever runs now.
fn has_ended(mark: &Mark, now: &Standing) -> bool {
    let is_newer = now.exit.as_ref().is_some_and(|(at, _)| *at > mark.at);
    match &mark.before {
        Some(before) => {
            let is_another = matches!((before.pid, now.pid), (Some(before), Some(now)) if before != now);
            is_another || is_newer && before.exit != now.exit
        }
        None => is_newer,
    }
}

/// How a service stands, in words.
pub fn words(now: &Standing) -> String {
    match &now.reason {
        Some(reason) => format!("it is {}: {reason}", now.state),
        None => format!("it is {}", now.state),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn standing(r#type: ServiceType, state: State, since: i64, reason: Option<&str>) -> Standing {
        Standing {
            r#type,
            agent: Uuid::nil(),
            machine: "web-1".parse().unwrap(),
            base: String::new(),
            linked: state != State::NotAvailable,
            absence: None,
            state,
            reason: reason.map(str::to_owned),
            since: Timestamp::from_millis(since),
            pid: None,
            exit: None,
        }
    }

    fn mark(signal: Signal, before: Option<Standing>) -> Mark {
        Mark { signal, needless: false, at: Timestamp::from_millis(10), before }
    }

    #[test]
    fn a_process_that_ended_and_was_started_again_by_somebody_else_has_ended() {
        let of = |pid, exit: Option<i64>| Standing {
            pid,
            exit: exit.map(|at| (Timestamp::from_millis(at), "it ended".to_owned())),
            ..standing(ServiceType::Instance, State::Active, 5, None)
        };
        for (before, pid, exit, ended) in [
            (None, Some(7), None, false),
            (None, Some(7), Some(9), false),
            (None, Some(7), Some(11), true),
            (Some(of(Some(7), Some(2))), Some(7), Some(2), false),
            (Some(of(Some(7), Some(2))), Some(8), Some(2), true),
            (Some(of(Some(7), Some(2))), None, Some(11), true),
            (Some(of(None, None)), Some(8), None, false),
        ] {
            let look = look(WaitFor::Stopped, &mark(Signal::Stop, before), &of(pid, exit));
            assert_eq!(look == Look::Reached, ended, "{pid:?} {exit:?}");
        }
    }

    #[test]
    fn an_agent_that_is_there_need_not_come_again_and_one_that_was_killed_says_nothing() {
        let of = |state| standing(ServiceType::Agent, state, 5, None);
        let needless = Mark { needless: true, ..mark(Signal::Start, None) };
        assert_eq!(look(WaitFor::Active, &needless, &of(State::Active)), Look::Reached);
        assert_eq!(look(WaitFor::Stopped, &mark(Signal::Kill, None), &of(State::NotAvailable)), Look::Reached);
    }

    #[test]
    fn the_table_of_looks() {
        use ServiceType::{Agent, Instance};
        use State::{Active, NotAvailable, Starting, Stopped, Stopping, Unresponsive};
        let word = |look| match look {
            Look::Reached => "reached",
            Look::Failed(_) => "failed",
            Look::Wait(_) => "wait",
        };
        let before = |state| Some(standing(Instance, state, 5, None));
        for (r#type, until, before, state, since, reason, expected) in [
            (Instance, WaitFor::Active, before(Stopped), Active, 9, None, "reached"),
            // The echo of the stop before is no failure.
            (Instance, WaitFor::Active, before(Stopped), Stopped, 5, None, "wait"),
            (Instance, WaitFor::Active, before(Stopped), Stopped, 9, None, "failed"),
            (Instance, WaitFor::Active, None, Stopped, 9, None, "wait"),
            (Instance, WaitFor::Active, None, Stopped, 11, None, "failed"),
            (Instance, WaitFor::Active, before(Stopped), Starting, 9, None, "wait"),
            (Instance, WaitFor::Active, before(Stopped), Unresponsive, 9, None, "wait"),
            (Instance, WaitFor::Active, before(Stopped), Unresponsive, 9, Some("mute"), "failed"),
            (Instance, WaitFor::Active, before(Stopped), NotAvailable, 9, Some("away"), "wait"),
            (Instance, WaitFor::Stopped, before(Active), Stopping, 9, None, "wait"),
            (Instance, WaitFor::Stopped, before(Active), Stopped, 9, None, "reached"),
            (Instance, WaitFor::Stopped, before(Active), NotAvailable, 9, None, "wait"),
            (Agent, WaitFor::Stopped, None, NotAvailable, 9, None, "wait"),
            (Agent, WaitFor::Stopped, None, Stopped, 9, None, "reached"),
            (Agent, WaitFor::Active, before(Active), Active, 5, None, "wait"),
            (Agent, WaitFor::Active, before(Active), Active, 9, None, "reached"),
        ] {
            let mark = mark(Signal::Stop, before);
            let look = look(until, &mark, &standing(r#type, state, since, reason));
            assert_eq!(word(look), expected, "{type:?} {until:?} {state:?} {since}");
        }
    }
}
