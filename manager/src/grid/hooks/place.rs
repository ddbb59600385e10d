//! Where a hook runs: on the machine that it is about, unless nothing runs there that could run it, or it is about more
//! than one machine.

use protocol::state::Action;

use super::{Around, HookEvent, HookPlace, Phase};
use crate::grid::command::Command;

/// What a hook is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The grid as a whole.
    Grid,
    /// A collection as a whole.
    Collection,
    /// A release as a whole.
    Release,
    /// A Tomcat.
    Instance,
    /// An agent.
    Agent,
}

impl Level {
    /// Every level.
    pub const ALL: [Level; 5] = [Level::Grid, Level::Collection, Level::Release, Level::Instance, Level::Agent];

    /// The level in words.
    pub fn words(self) -> &'static str {
        match self {
            Level::Grid => "the grid",
            Level::Collection => "a collection",
            Level::Release => "a release",
            Level::Instance => "an instance",
            Level::Agent => "an agent",
        }
    }
}

/// Where a hook at an event runs.
pub fn place(event: HookEvent, level: Level) -> HookPlace {
    match level {
        Level::Grid | Level::Collection | Level::Release => HookPlace::Manager,
        Level::Instance => HookPlace::Machine,
        Level::Agent => match (event.around, event.phase) {
            // Before its start and after its end, no agent is there to run anything; a kill leaves it no time.
            (Around::Trigger(Action::Start | Action::Kill), _) => HookPlace::Manager,
            (Around::Command(Command::Start | Command::Kill | Command::Killstart), _) => HookPlace::Manager,
            (Around::Trigger(Action::Stop) | Around::Command(Command::Stop), Phase::Post) => HookPlace::Manager,
            (Around::Trigger(Action::Stop) | Around::Command(Command::Stop), Phase::Pre) => HookPlace::Machine,
            (Around::Command(Command::Restart) | Around::Release(_), _) => HookPlace::Machine,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_places() {
        use Level::{Agent, Collection, Grid, Instance, Release};
        for (event, level, on_machine) in [
            ("pre-restart", Grid, false),
            ("post-start", Collection, false),
            ("pre-deploy", Release, false),
            ("pre-deploy", Instance, true),
            ("pre-kill", Instance, true),
            ("post-trigger-stop", Instance, true),
            ("pre-start", Agent, false),
            ("post-start", Agent, false),
            ("pre-trigger-start", Agent, false),
            ("pre-kill", Agent, false),
            ("post-trigger-kill", Agent, false),
            ("pre-killstart", Agent, false),
            ("pre-stop", Agent, true),
            ("post-stop", Agent, false),
            ("pre-trigger-stop", Agent, true),
            ("post-trigger-stop", Agent, false),
            ("pre-restart", Agent, true),
            ("post-restart", Agent, true),
        ] {
            let expected = if on_machine { HookPlace::Machine } else { HookPlace::Manager };
            assert_eq!(place(event.parse().unwrap(), level), expected, "{event} of {}", level.words());
        }
    }
}
