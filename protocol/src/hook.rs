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

/// The most bytes of a hook's whole environment, names and values.
pub const MAX_ENVIRONMENT: usize = 64 * 1024;

/// Variables that the environment of a hook cannot be given: with them a loader, a shell or an interpreter would run
/// something else than the program that was verified, or they are of the user that it runs as.
const REFUSED: [&str; 25] = [
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "CLASSPATH",
    "ENV",
    "FPATH",
    "GETCONF_DIR",
    "GLOBIGNORE",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "LOCPATH",
    "LOGNAME",
    "NLSPATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PATH",
    "PHPRC",
    "PROMPT_COMMAND",
    "PS4",
    "SHELL",
    "SHELLOPTS",
    "USER",
    "ZDOTDIR",
];

/// How such variables begin.
const REFUSED_BEGINNINGS: [&str; 12] =
    ["BASH_FUNC_", "DYLD_", "GCONV_", "GLIBC_", "LD_", "LUA_", "MALLOC_", "NODE_", "PERL", "PHP_", "PYTHON", "RUBY"];

/// Whether a variable can be given to a hook: a plain name, and none by which another program would run.
pub fn may_be_given(variable: &str) -> bool {
    let is_plain = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_for_java = variable.contains("JAVA") && variable.ends_with("_OPTIONS");
    is_plain
        && !is_for_java
        && !REFUSED.contains(&variable)
        && !REFUSED_BEGINNINGS.iter().any(|beginning| variable.starts_with(beginning))
}

/// What a hook on a machine is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookAbout {
    /// An instance.
    Instance,
    /// The agent itself.
    Agent,
}

/// One run of a hook program, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookRun {
    /// A run happens at most once by its id: an agent that sees the id again answers with what it remembers.
    pub id: Uuid,
    /// The program: SHA-256 in hexadecimal, by which it was announced in [`crate::desired::Desired`].
    pub program: String,
    /// What the program is called, for the eye and for `argv[0]`.
    pub name: String,
    /// What it is about; where that is not said, a base tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<HookAbout>,
    /// The instance that it is about, by the real path of its base.
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

impl HookRun {
    /// What it is about.
    pub fn about(&self) -> HookAbout {
        let told = if self.base.is_some() { HookAbout::Instance } else { HookAbout::Agent };
        self.about.unwrap_or(told)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_variables_that_can_be_given() {
        for good in ["MODE", "_x9", "CATALINA_OPTS", "TOMCAT_GRID_RUN", "JAVA_HOME", "ENVIRONMENT", "LDAP", "TMPDIR"] {
            assert!(may_be_given(good), "{good}");
        }
        for bad in [
            "",
            "9A",
            "A-B",
            "A B",
            "Ä",
            "A=B",
            "BASH_FUNC_ls%%",
            "BASH_FUNC_ls",
            "BASH_ENV",
            "ENV",
            "IFS",
            "PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "PERL5OPT",
            "PERL5LIB",
            "PYTHONPATH",
            "RUBYOPT",
            "NODE_OPTIONS",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "GCONV_PATH",
            "SHELLOPTS",
        ] {
            assert!(!may_be_given(bad), "{bad}");
        }
    }
}
