//! How the health of an instance is asked for.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which status codes count as healthy, such as `200-399`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expected(RangeInclusive<u16>);

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
            (Ok(low), Ok(high)) if (100..600).contains(&low) && (low..600).contains(&high) => Ok(Self(low..=high)),
            _ => Err(format!("`{text}` is no range of status codes: write one like `200-399`")),
        }
    }
}

impl TryFrom<String> for Expected {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Expected> for String {
    fn from(expected: Expected) -> Self {
        expected.to_string()
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.start(), self.0.end()) {
            (low, high) if low == high => write!(f, "{low}"),
            (low, high) => write!(f, "{low}-{high}"),
        }
    }
}

impl Expected {
    /// Whether a status code is among them.
    pub fn holds(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

impl Default for Expected {
    /// Everything that is neither an error nor informational.
    fn default() -> Self {
        Self(200..=399)
    }
}

/// A page that tells whether an instance is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The path to get, with its query.
    pub path: String,
    /// The status codes that are good.
    #[serde(default)]
    pub expect: Expected,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_codes_are_a_range() {
        for (text, ok) in
            [("200", true), ("200-399", true), ("399-200", false), ("ok", false), ("99", false), ("200-600", false)]
        {
            let parsed = text.parse::<Expected>();
            assert_eq!(parsed.map(|expected| expected.to_string()).ok(), ok.then(|| text.to_owned()), "{text}");
        }
    }
}
