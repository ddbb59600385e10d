//! What there is no need for: the one rule for operations, triggers and dry runs.

use protocol::state::State;

use super::Signal;
use crate::grid::view::ServiceType;

/// Why there is no need for a signal; nothing where there is.
pub fn needless(signal: Signal, r#type: ServiceType, state: State) -> Option<String> {
    match (r#type, signal, state) {
        (_, _, State::NotAvailable) => None,
        (ServiceType::Agent, Signal::Start, State::Active) => Some("it is active: the agent is linked".to_owned()),
        (ServiceType::Agent, Signal::Stop | Signal::Kill, State::Stopped) => {
            Some("it is stopped: the agent has ended".to_owned())
        }
        (ServiceType::Agent, ..) => None,
        (ServiceType::Instance, Signal::Start | Signal::Restart, State::Stopped) => None,
        (ServiceType::Instance, Signal::Start | Signal::Restart, state) => {
            Some(format!("it is {state}: a process exists"))
        }
        (ServiceType::Instance, Signal::Stop | Signal::Kill, State::Stopped) => {
            Some("it is stopped: there is no process".to_owned())
        }
        (ServiceType::Instance, Signal::Stop, State::Stopping) => {
            Some("it is stopping: it was signalled before".to_owned())
        }
        (ServiceType::Instance, Signal::Stop | Signal::Kill, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_what_is_needed() {
        use State::{Active, NotAvailable, Starting, Stopped, Stopping, Unresponsive};
        let needed = |r#type, signal| {
            State::ALL.into_iter().filter(|state| needless(signal, r#type, *state).is_none()).collect::<Vec<_>>()
        };
        for (signal, states) in [
            (Signal::Start, vec![Stopped, NotAvailable]),
            (Signal::Stop, vec![Active, Starting, Unresponsive, NotAvailable]),
            (Signal::Kill, vec![Active, Starting, Stopping, Unresponsive, NotAvailable]),
        ] {
            assert_eq!(needed(ServiceType::Instance, signal), states, "{signal:?}");
        }
        assert_eq!(needless(Signal::Restart, ServiceType::Agent, Active), None);
        assert!(needless(Signal::Start, ServiceType::Agent, Active).is_some());
        assert!(needless(Signal::Stop, ServiceType::Agent, Stopped).is_some());
    }
}
