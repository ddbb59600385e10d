//! Hooks: at which events they run, and where.

pub mod binding;
pub mod desired;
#[cfg(test)]
mod document;
pub mod place;
pub mod program;
pub mod release;
pub mod rules;
pub mod secrets;

use std::{fmt, str::FromStr, time::Duration};

use protocol::state::Action;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::command::Command;

/// Before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before.
    Pre,
    /// After.
    Post,
}

/// What is done with releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReleaseAction {
    /// A release is loaded.
    RegisterRelease,
    /// A deployable is loaded.
    RegisterDeployable,
    /// A release is removed.
    DeregisterRelease,
    /// A deployable is removed.
    DeregisterDeployable,
    /// A version goes live.
    Deploy,
    /// The state before the last deploy is restored.
    Rollback,
    /// A version goes live, and its instances stay down.
    Deploystop,
    /// A version is taken out.
    Undeploy,
    /// A deployable is put into an instance.
    Link,
    /// A deployable is taken out of an instance.
    Unlink,
}

impl ReleaseAction {
    /// Every one.
    pub const ALL: [ReleaseAction; 10] = [
        ReleaseAction::RegisterRelease,
        ReleaseAction::RegisterDeployable,
        ReleaseAction::DeregisterRelease,
        ReleaseAction::DeregisterDeployable,
        ReleaseAction::Deploy,
        ReleaseAction::Rollback,
        ReleaseAction::Deploystop,
        ReleaseAction::Undeploy,
        ReleaseAction::Link,
        ReleaseAction::Unlink,
    ];

    /// As configurations write it.
    pub fn word(self) -> &'static str {
        match self {
            ReleaseAction::RegisterRelease => "register-release",
            ReleaseAction::RegisterDeployable => "register-deployable",
            ReleaseAction::DeregisterRelease => "deregister-release",
            ReleaseAction::DeregisterDeployable => "deregister-deployable",
            ReleaseAction::Deploy => "deploy",
            ReleaseAction::Rollback => "rollback",
            ReleaseAction::Deploystop => "deploystop",
            ReleaseAction::Undeploy => "undeploy",
            ReleaseAction::Link => "link",
            ReleaseAction::Unlink => "unlink",
        }
    }
}

/// What a hook stands around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Around {
    /// A trigger: only if it is not ignored.
    Trigger(Action),
    /// A command, whether its triggers are ignored or not.
    Command(Command),
    /// Something that is done with a release.
    Release(ReleaseAction),
}

impl Around {
    /// Everything that hooks can stand around.
    pub fn all() -> impl Iterator<Item = Around> {
        let triggers = [Action::Start, Action::Stop, Action::Kill].map(Around::Trigger);
        let commands = Command::ALL.map(Around::Command);
        triggers.into_iter().chain(commands).chain(ReleaseAction::ALL.map(Around::Release))
    }
}

impl fmt::Display for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Around::Trigger(action) => write!(f, "trigger-{action}"),
            Around::Command(command) => f.write_str(command.word()),
            Around::Release(action) => f.write_str(action.word()),
        }
    }
}

/// When a hook runs, written like `pre-start` or `post-trigger-stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookEvent {
    /// Before or after.
    pub phase: Phase,
    /// Around what.
    pub around: Around,
}

impl HookEvent {
    /// Every event.
    pub fn all() -> impl Iterator<Item = HookEvent> {
        Around::all().flat_map(|around| [Phase::Pre, Phase::Post].map(|phase| HookEvent { phase, around }))
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Pre => "pre",
            Phase::Post => "post",
        };
        write!(f, "{phase}-{}", self.around)
    }
}

impl FromStr for HookEvent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::all().find(|event| event.to_string() == text);
        found.ok_or_else(|| {
            format!("`{text}` is no event: one is `pre-` or `post-` and a trigger, command or release action, like `pre-start`")
        })
    }
}

impl Serialize for HookEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HookEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A time as milliseconds, as messages and views hold it.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Where a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HookPlace {
    /// On the machine of the service.
    Machine,
    /// On the manager's host.
    Manager,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_written() {
        let words: Vec<String> = HookEvent::all().map(|event| event.to_string()).collect();
        assert_eq!(words.len(), 36);
        for word in &words {
            assert_eq!(word.parse::<HookEvent>().unwrap().to_string(), *word);
        }
        for word in ["pre-trigger-start", "post-killstart", "post-deregister-deployable", "pre-link"] {
            assert!(words.iter().any(|known| known == word), "{word}");
        }
        assert!("pre-lunch".parse::<HookEvent>().is_err());
    }
}
