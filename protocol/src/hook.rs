//! Running hook programs on a machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The most bytes of a hook's output that are kept; what is beyond is counted and dropped.
pub const MAX_OUTPUT: usize = 32 * 1024;

/// The largest program, in bytes.
pub const MAX_PROGRAM: usize = 16 * 1024 * 1024;

/// The most bytes of output in one [`crate::link::FromAgent::HookOutput`].
pub const MAX_CHUNK: usize = 4 * 1024;

/// One run of a hook program, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookRun {
    /// A run happens at most once by its id: an agent that sees the id again answers with what it remembers.
    pub id: Uuid,
    /// The program: SHA-256 in hexadecimal, by which it was announced in [`crate::desired::Desired`].
    pub program: String,
    /// What the program is called, for the eye and for `argv[0]`.
    pub name: String,
    /// The instance that it is about, by the real path of its base; without one it is about the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The user to run it as; without one the user of the instance, or that of the agent if it is about the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its environment, to which the machine adds what it knows better: `CATALINA_HOME`, `CATALINA_BASE`, the process.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Names of the machine's secrets that it gets in its environment, and which its output must not show.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// What it reads as JSON on its standard input.
    #[serde(default)]
    pub input: Value,
    /// How long it may run, in milliseconds; then its whole process group is killed.
    pub timeout_ms: u64,
    /// How long the run is worth beginning, in milliseconds from its receipt.
    pub ttl_ms: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookEnd {
    /// What became of it.
    pub fate: HookFate,
    /// What it wrote, both streams as they came, secrets masked, at most [`MAX_OUTPUT`] bytes.
    #[serde(default)]
    pub output: String,
    /// How many bytes of output were dropped.
    #[serde(default)]
    pub dropped: u64,
    /// How long it ran, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum HookFate {
    /// It ran and ended by itself.
    Ran {
        /// Its exit code.
        exit_code: i32,
    },
    /// A signal ended it.
    Killed {
        /// Which.
        signal: i32,
    },
    /// Its time was up, and its process group was killed.
    TimedOut {},
    /// It was abandoned, and its process group was killed.
    Abandoned {},
    /// It was not begun.
    NotRun {
        /// Why, and what to do.
        why: String,
    },
    /// It was begun, and whoever ran it ended before it did.
    Unknown {
        /// What is known.
        why: String,
    },
}

impl HookEnd {
    /// A run that was not begun.
    pub fn not_run(why: impl Into<String>) -> Self {
        Self { fate: HookFate::NotRun { why: why.into() }, output: String::new(), dropped: 0, duration_ms: 0 }
    }
}

impl HookFate {
    /// Whether the hook did what it should.
    pub fn is_good(&self) -> bool {
        *self == HookFate::Ran { exit_code: 0 }
    }
}
