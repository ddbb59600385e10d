//! What a state means to somebody who waits for another.

use protocol::{state::State, time::Timestamp};

use super::WaitFor;
use crate::grid::{fleet::Standing, view::ServiceType};

/// Since when somebody waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
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
        // A link that is gone is all that can be seen of an agent's end.
        (ServiceType::Agent, WaitFor::Stopped, State::Stopped | State::NotAvailable) => Look::Reached,
        (ServiceType::Agent, WaitFor::Active, State::Active) if is_news(mark, now) => Look::Reached,
        (ServiceType::Agent, ..) => Look::Wait(words(now)),
        (_, WaitFor::Active, State::Active) | (_, WaitFor::Stopped, State::Stopped) => Look::Reached,
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
            state,
            reason: reason.map(str::to_owned),
            since: Timestamp::from_millis(since),
            exit: None,
        }
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
            (Agent, WaitFor::Stopped, None, NotAvailable, 9, None, "reached"),
            (Agent, WaitFor::Active, before(Active), Active, 5, None, "wait"),
            (Agent, WaitFor::Active, before(Active), Active, 9, None, "reached"),
        ] {
            let mark = Mark { at: Timestamp::from_millis(10), before };
            let look = look(until, &mark, &standing(r#type, state, since, reason));
            assert_eq!(word(look), expected, "{type:?} {until:?} {state:?} {since}");
        }
    }
}
