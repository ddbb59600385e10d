//! What a command is for: `TARGET` on the command line, `targets` in the API.

use std::{fmt, str::FromStr};

use protocol::name::{MachineName, NameError, ServiceName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    tags::{NoTag, Tag},
    view::{ServiceType, ServiceView},
};

/// The most targets of one call.
pub const MAX_TARGETS: usize = 1000;

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A service or a collection by its name: both share one namespace.
    Service(ServiceName),
    /// All instances of a machine (`@MACHINE`).
    Machine(MachineName),
    /// All instances that have a tag or whose machine does (`#TAG`).
    Tag(Tag),
    /// All instances.
    All,
    /// All agents.
    Agents,
}

impl Target {
    /// Whether a service is among what the target names.
    pub fn covers(&self, service: &ServiceView) -> bool {
        let is_instance = service.r#type == ServiceType::Instance;
        match self {
            Target::Service(name) => service.name == *name || service.collections.contains(name),
            Target::Machine(name) => is_instance && service.machine == *name,
            Target::Tag(tag) => is_instance && service.tags.contains(tag),
            Target::All => is_instance,
            Target::Agents => !is_instance,
        }
    }
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It is no tag.
    #[error(transparent)]
    Tag(#[from] NoTag),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text {
            "all" => Ok(Target::All),
            "agents" => Ok(Target::Agents),
            _ => {
                if let Some(machine) = text.strip_prefix('@') {
                    return Ok(Target::Machine(machine.parse()?));
                }
                if let Some(tag) = text.strip_prefix('#') {
                    return Ok(Target::Tag(tag.parse()?));
                }
                Ok(Target::Service(text.parse()?))
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Service(name) => write!(f, "{name}"),
            Target::Machine(name) => write!(f, "@{name}"),
            Target::Tag(tag) => write!(f, "#{tag}"),
            Target::All => f.write_str("all"),
            Target::Agents => f.write_str("agents"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A target that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{name}`{hint}")]
pub struct NoSuchTarget {
    /// What was looked for.
    pub what: &'static str,
    /// By what name.
    pub name: String,
    /// What might have been meant.
    pub hint: String,
}

impl NoSuchTarget {
    /// A target that is not among `known`, with the nearest of them as a hint.
    pub fn new<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let nearest = known
            // Short names stand in many words by chance.
            .filter(|known| known.contains(name) || (known.len() > 2 && name.contains(known)))
            // What is called so on a machine is likelier than what has a part of the name.
            .min_by_key(|known| (!known.strip_prefix(name).is_some_and(|rest| rest.starts_with('@')), known.len()));
        let hint = nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default();
        Self { what, name: name.to_owned(), hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written() {
        for text in ["all", "agents", "@web-1", "#blue", "#all", "shop-a@web-1", "front"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["", "@", "#", "#a@b", "a b", "@a@b", "agent"] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_table_of_what_targets_cover() {
        let service = |name: &str, r#type: &str| -> ServiceView {
            let view = serde_json::json!({
                "name": name, "machine": "web-1", "type": r#type, "state": "active", "last_state": null, "reason": null,
                "last_exit": null, "since": "2026-01-01T00:00:00.000Z", "pid": null, "catalina_base": null,
                "tags": ["prod"]
            });
            serde_json::from_value(view).unwrap()
        };
        let (instance, agent) = (service("a@web-1", "instance"), service("agent@web-1", "agent"));
        for (target, covers_instance, covers_agent) in [
            ("a@web-1", true, false),
            ("agent@web-1", false, true),
            ("@web-1", true, false),
            ("@web-2", false, false),
            ("all", true, false),
            ("agents", false, true),
            ("#prod", true, false),
            ("#pro", false, false),
        ] {
            let target: Target = target.parse().unwrap();
            assert_eq!((target.covers(&instance), target.covers(&agent)), (covers_instance, covers_agent), "{target}");
        }
    }

    #[test]
    fn a_miss_names_the_nearest() {
        let known = ["shop-a@web-1", "shop-b@web-1"];
        let miss = NoSuchTarget::new("service", "shop-a", known.into_iter());
        assert_eq!(miss.to_string(), "there is no service `shop-a`; did you mean `shop-a@web-1`?");
        assert_eq!(NoSuchTarget::new("service", "x", known.into_iter()).hint, "");
    }
}
