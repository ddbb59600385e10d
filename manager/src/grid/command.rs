//! The commands that wait: each is made of triggers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Trigger the start, and wait until it is active.
    Start,
    /// Trigger the stop, and wait until it is stopped.
    Stop,
    /// Kill, and wait until it is stopped.
    Kill,
    /// Stop, wait, and start.
    Restart,
    /// Kill, wait, and start.
    Killstart,
}

impl Command {
    /// Every command.
    pub const ALL: [Command; 5] = [Command::Start, Command::Stop, Command::Kill, Command::Restart, Command::Killstart];

    /// Whether it does not ask who holds a service: whoever holds it is superseded.
    pub fn goes_before(self) -> bool {
        matches!(self, Command::Kill | Command::Killstart)
    }

    /// Whether a process is to run when it has ended well.
    pub fn starts(self) -> bool {
        matches!(self, Command::Start | Command::Restart | Command::Killstart)
    }

    /// The command as people write it.
    pub fn word(self) -> &'static str {
        match self {
            Command::Start => "start",
            Command::Stop => "stop",
            Command::Kill => "kill",
            Command::Restart => "restart",
            Command::Killstart => "killstart",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|command| command.word() == text);
        found.ok_or_else(|| format!("`{text}` is no command: start, stop, kill, restart or killstart"))
    }
}
