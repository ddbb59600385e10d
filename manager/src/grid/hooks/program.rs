//! Hook programs: what may be one, and how they are shown.

use std::collections::BTreeMap;

use protocol::{hook::MAX_PROGRAM, name::MachineName, time::Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HookEvent;
use crate::grid::{
    config::{Hook, HookFailure},
    schema,
};

/// The most programs of a grid.
pub const MOST_PROGRAMS: usize = 500;

/// The longest name of a program, in characters.
const LONGEST: usize = 64;

/// A program as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProgram {
    /// Its name.
    pub name: String,
    /// SHA-256 in hexadecimal.
    pub hash: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was added, or replaced.
    pub added_at: Timestamp,
    /// By whom.
    pub added_by: String,
}

/// A program, and which machines have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgramView {
    /// Its name.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
    pub name: String,
    /// SHA-256 in hexadecimal.
    pub hash: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was added, or replaced.
    #[schema(value_type = schema::Timestamp)]
    pub added_at: Timestamp,
    /// By whom.
    pub added_by: String,
    /// Whether a hook of the configuration runs it.
    pub used: bool,
    /// The machines that need it, by name; the manager's own host is none of them.
    pub machines: Vec<MachineProgram>,
}

/// A program on a machine that needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MachineProgram {
    /// The machine.
    #[schema(value_type = schema::MachineName)]
    pub machine: MachineName,
    /// Whether it is there and verified, with every secret that hooks which run it there name.
    pub ready: bool,
    /// Why it is not.
    pub why: Option<String>,
}

/// A hook of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Binding {
    /// When.
    #[schema(value_type = String)]
    pub event: HookEvent,
    /// On what.
    pub targets: Vec<String>,
    /// The program's name.
    pub program: String,
    /// How long it may run, in milliseconds.
    pub timeout_ms: u64,
    /// What its failure does.
    pub on_failure: HookFailure,
    /// The user to run it as.
    pub user: Option<String>,
    /// What it gets in its environment besides.
    pub environment: BTreeMap<String, String>,
    /// The names of the secrets that it gets.
    pub secrets: Vec<String>,
    /// Where it cannot run for want of a secret, and why, as far as that is known.
    #[serde(default)]
    pub not_ready: Vec<String>,
}

/// All hooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HooksView {
    /// The programs, by name.
    pub programs: Vec<ProgramView>,
    /// The hooks of the configuration, in their order.
    pub bindings: Vec<Binding>,
}

impl From<&Hook> for Binding {
    fn from(hook: &Hook) -> Self {
        Self {
            event: hook.event,
            targets: hook.targets.iter().map(ToString::to_string).collect(),
            program: hook.program.clone(),
            timeout_ms: super::millis(hook.timeout),
            on_failure: hook.on_failure,
            user: hook.user.clone(),
            environment: hook.environment.clone(),
            secrets: hook.secrets.clone(),
            not_ready: Vec::new(),
        }
    }
}

/// Checks that a text may be a program's name: it is one of a file, too.
pub fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins_well = name.chars().next().is_some_and(|first| !matches!(first, '.' | '-'));
    if begins_well && name.len() <= LONGEST && name.chars().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().filter(|c| !c.is_control()).take(LONGEST + 1).collect();
    Err(format!(
        "`{shown}` is no name for a program: one has 1 to {LONGEST} characters, which are ASCII letters, digits, `.`, `_` \
         and `-`, and begins with none of `.` and `-`"
    ))
}

/// Checks that bytes may be a program.
pub fn check_bytes(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if bytes.len() > MAX_PROGRAM {
        return Err(format!(
            "the file is larger than {} MiB, the most that a program may have",
            MAX_PROGRAM / 1024 / 1024
        ));
    }
    if bytes.starts_with(b"\x7fELF") {
        return Ok(());
    }
    let Some(line) = bytes.strip_prefix(b"#!") else {
        return Err("the file is neither a script nor an executable of Linux: begin a script with a line like \
                    `#!/bin/sh`"
            .to_owned());
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Err("the lines of the script end as on Windows, and its interpreter would not be found: `dos2unix` \
                    mends that"
            .to_owned());
    }
    if !line.trim_ascii().starts_with(b"/") {
        return Err("the first line of the script names no interpreter by its whole path: write one like `#!/bin/sh`"
            .to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_programs() {
        for (bytes, problem) in [
            (&b"#!/bin/sh\necho"[..], None),
            (b"#! /usr/bin/env python3\n", None),
            (b"\x7fELF\x02", None),
            (b"", Some("empty")),
            (b"echo hello\n", Some("begin a script with")),
            (b"\xef\xbb\xbf#!/bin/sh\n", Some("begin a script with")),
            (b"#!/bin/sh\r\necho\r\n", Some("Windows")),
            (b"#!sh\n", Some("names no interpreter")),
            (b"#!", Some("names no interpreter")),
        ] {
            match (check_bytes(bytes), problem) {
                (Ok(()), None) => {}
                (Err(message), Some(problem)) => assert!(message.contains(problem), "{message}"),
                (checked, _) => panic!("{bytes:?}: {checked:?}"),
            }
        }
        assert!(check_bytes(&[b'#'; MAX_PROGRAM + 1]).unwrap_err().contains("16 MiB"));
    }

    #[test]
    fn the_table_of_names() {
        let (long, too_long) = ("x".repeat(LONGEST), "x".repeat(LONGEST + 1));
        for (name, ok) in [
            ("warm-caches.sh", true),
            (long.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            (".hidden", false),
            ("-x", false),
            ("../x", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(check_name(name).is_ok(), ok, "{name}");
        }
    }
}
