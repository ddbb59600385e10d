//! The states of a service, as the operator sees them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The process exists, answers and looks healthy.
    Active,
    /// The process exists, or was just triggered, and has not answered yet.
    Starting,
    /// A stop was signalled, and the process still exists.
    Stopping,
    /// The process exists, was not told to stop, and does not answer in time.
    Unresponsive,
    /// There is no process.
    Stopped,
    /// The agent has not been heard from in time: nothing is known now.
    NotAvailable,
}

impl State {
    /// Every state, in the order of the specification.
    pub const ALL: [State; 6] =
        [State::Active, State::Starting, State::Stopping, State::Unresponsive, State::Stopped, State::NotAvailable];

    /// The state as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Starting => "starting",
            State::Stopping => "stopping",
            State::Unresponsive => "unresponsive",
            State::Stopped => "stopped",
            State::NotAvailable => "not_available",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an agent can be told to do with itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentAction {
    /// Hand over, say goodbye, and end.
    Stop,
    /// End at once.
    Kill,
    /// Hand over, say goodbye, and begin anew as the same process.
    Restart,
}

impl AgentAction {
    /// The action as JSON and logs show it.
    pub fn as_str(self) -> &'static str {
        match self {
            AgentAction::Stop => "stop",
            AgentAction::Kill => "kill",
            AgentAction::Restart => "restart",
        }
    }
}

/// What a trigger delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Start the process.
    Start,
    /// Ask the process to end.
    Stop,
    /// End the process by force.
    Kill,
}

impl Action {
    /// The action as JSON and logs show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Kill => "kill",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_agree() {
        for state in State::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
        for action in [Action::Start, Action::Stop, Action::Kill] {
            assert_eq!(serde_json::to_string(&action).unwrap(), format!("\"{action}\""));
        }
    }
}
