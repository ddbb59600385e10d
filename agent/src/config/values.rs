//! The values of the settings file.

use std::time::Duration;

use protocol::health::Expected;
use serde::{Deserialize, Deserializer};

/// How the health of an instance is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The path to get.
    #[serde(deserialize_with = "url_path")]
    pub path: String,
    /// The status codes that are good.
    #[serde(default = "usual_codes")]
    pub expect: Expected,
}

fn usual_codes() -> Expected {
    "200-399".parse().expect("a valid range")
}

/// What a manager may have this agent do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Tell the status; always granted, named so that `allow` can be limited to it.
    Status,
    /// Start instances.
    Start,
    /// Stop instances.
    Stop,
    /// Kill instances.
    Kill,
    /// Run hook programs.
    Hooks,
    /// Stop, kill and restart the agent itself.
    Agent,
}

impl Permission {
    /// Everything that is allowed where the file does not limit it.
    pub const ALL: [Self; 5] = [Self::Start, Self::Stop, Self::Kill, Self::Hooks, Self::Agent];

    /// The word in the file, and in the facts of the machine.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Hooks => "hooks",
            Self::Agent => "agent",
        }
    }
}

/// The SHA-256 of a hook program, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ProgramHash(String);

impl TryFrom<String> for ProgramHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.strip_prefix("sha256:").unwrap_or(&text).to_ascii_lowercase();
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text));
        }
        Err(format!("`{text}` is no SHA-256 in hexadecimal: `sha256sum FILE` prints one"))
    }
}

impl ProgramHash {
    /// In lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let span: jiff::SignedDuration = text.parse().map_err(|_| {
        serde::de::Error::custom(format!("`{text}` is no duration: write one like `90s`, `5m` or `1h 30m`"))
    })?;
    Duration::try_from(span).map(Some).map_err(|_| serde::de::Error::custom(format!("`{text}` is a negative duration")))
}

fn url_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse::<hyper::Uri>() {
        Ok(uri) if text.starts_with('/') && uri.authority().is_none() => Ok(text),
        _ => Err(serde::de::Error::custom(format!("`{text}` is no path to ask for: write one like `/shop/health`"))),
    }
}
