//! Names of machines and services: ASCII letters, digits, `.`, `_`, `-` and (services only) `@`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Names no service and no collection may take.
pub const RESERVED: [&str; 3] = ["agent", "agents", "all"];

/// The longest name of a machine, in characters.
pub const MAX_MACHINE: usize = 64;

/// The longest name of a service, in characters.
pub const MAX_SERVICE: usize = 160;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left to name.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than the limit.
    #[error("`{0}` is too long for a name: at most {1} characters")]
    TooLong(String, usize),
    /// A character that no name may hold.
    #[error("`{0}` holds {1:?}: a name is made of ASCII letters, digits, `.`, `_` and `-` (and `@` in a service)")]
    Character(String, char),
    /// A leading `-` or `.`, which command lines and paths would misread.
    #[error("`{0}` must begin with a letter, a digit or `_`")]
    Start(String),
    /// A word with a meaning of its own in a target.
    #[error("`{0}` is taken: `agent`, `agents` and `all` name targets of their own")]
    Reserved(String),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:expr, $at:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $max, $at)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text, $max, $at)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(
    /// The name of a machine, unique in the grid.
    MachineName,
    MAX_MACHINE,
    false
);

name!(
    /// The name of a service (an instance or an agent), unique in the grid.
    ServiceName,
    MAX_SERVICE,
    true
);

impl MachineName {
    /// The nearest valid name to a host name: its first label, with what no name may hold replaced by `-`.
    pub fn from_host(host: &str) -> Option<Self> {
        let label = host.split('.').next().unwrap_or(host);
        sanitize(label, MAX_MACHINE).parse().ok()
    }
}

impl ServiceName {
    /// The name of a machine's agent.
    pub fn agent(machine: &MachineName) -> Self {
        Self(format!("agent@{machine}"))
    }

    /// The machine whose agent it is the name of; `None` for an instance.
    pub fn of_agent(&self) -> Option<MachineName> {
        self.0.strip_prefix("agent@")?.parse().ok()
    }

    /// `BASENAME@MACHINE`, the name of an instance that nobody named; what no name may hold becomes `-`.
    pub fn found(base_name: &str, machine: &MachineName) -> Option<Self> {
        let room = MAX_SERVICE - MAX_MACHINE - 1;
        let base_name = sanitize(base_name, room);
        if base_name == "agent" {
            return format!("agent-{base_name}@{machine}").parse().ok();
        }
        format!("{base_name}@{machine}").parse().ok()
    }
}

fn sanitize(text: &str, max: usize) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let text: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).take(max).collect();
    text.trim_start_matches(['-', '.']).to_owned()
}

fn check(text: &str, max: usize, at: bool) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.chars().count() > max {
        return Err(NameError::TooLong(text.chars().take(32).collect::<String>() + "…", max));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') || (at && c == '@');
    if let Some(bad) = text.chars().find(|&c| !allowed(c)) {
        return Err(NameError::Character(text.to_owned(), bad));
    }
    if matches!(first, '-' | '.' | '@') {
        return Err(NameError::Start(text.to_owned()));
    }
    if RESERVED.contains(&text) {
        return Err(NameError::Reserved(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let long = "x".repeat(MAX_SERVICE + 1);
        for (text, ok) in [
            ("shop-a@web-1", true),
            ("shop.a_1", true),
            ("", false),
            ("all", false),
            ("agents", false),
            ("-rf", false),
            (".hidden", false),
            ("sh op", false),
            ("shöp", false),
            ("a/b", false),
            ("a\u{1b}[2J", false),
            (long.as_str(), false),
        ] {
            assert_eq!(text.parse::<ServiceName>().is_ok(), ok, "{text:?}");
        }
        assert!("web@1".parse::<MachineName>().is_err());
    }

    #[test]
    fn found_names_are_made_valid() {
        let machine: MachineName = "web-1".parse().unwrap();
        for (base, name) in [
            ("shop-a", Some("shop-a@web-1")),
            ("my shop", Some("my-shop@web-1")),
            ("agent", Some("agent-agent@web-1")),
            ("..", None),
        ] {
            assert_eq!(ServiceName::found(base, &machine).as_ref().map(ServiceName::as_str), name);
        }
        assert_eq!(MachineName::from_host("web-1.example.org").unwrap().as_str(), "web-1");
    }

    #[test]
    fn a_bad_name_in_json_is_an_error() {
        assert!(serde_json::from_str::<ServiceName>("\"a b\"").is_err());
    }
}
