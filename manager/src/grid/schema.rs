//! How what `protocol` defines looks in JSON: for the description of the API, which `protocol` knows nothing of.

use std::collections::BTreeSet;

use protocol::{
    name::{MAX_MACHINE, MAX_SERVICE},
    state::{Action as RealAction, State as RealState},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type},
    },
};

use super::event::Kind;
use super::user::{LONGEST_NAME, LONGEST_PASSWORD, SHORTEST_PASSWORD};

/// What the name of a machine is made of; so is a tag.
pub const MACHINE: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]*$";

/// What the name of a service is made of.
pub const SERVICE: &str = "^[A-Za-z0-9_][A-Za-z0-9._@-]*$";

/// What the name of a user is made of.
pub const USER: &str = "^(?![.]{1,2}$)[A-Za-z0-9._@-]+$";

/// What a target is made of.
pub const TARGET: &str = "^([@#][A-Za-z0-9_][A-Za-z0-9._-]{0,63}|[A-Za-z0-9_][A-Za-z0-9._@-]{0,159})$";

/// What the id of an event is made of.
pub const EVENT_ID: &str = "^[0-9]{1,19}-[0-9]{1,19}$";

/// A type that stands for another one in the description.
macro_rules! stand_in {
    (#[doc = $text:literal] $name:ident, $schema:expr) => {
        #[doc = $text]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.description(Some($text.trim())).build().into()
            }
        }

        impl ToSchema for $name {}
    };
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn kinds() -> String {
    let words = Kind::ALL.map(Kind::word);
    let families = words.iter().filter_map(|word| word.split_inclusive('.').next().filter(|part| part.ends_with('.')));
    let all: BTreeSet<String> = words.iter().copied().chain(families).map(|word| word.replace('.', "[.]")).collect();
    let one = all.into_iter().collect::<Vec<_>>().join("|");
    format!("^(({one})(,({one}))*)?$")
}

fn name(pattern: &str, longest: usize) -> ObjectBuilder {
    text().min_length(Some(1)).max_length(Some(longest)).pattern(Some(pattern))
}

stand_in!(
    /// The name of a machine. `agent`, `agents` and `all` are taken.
    MachineName,
    name(MACHINE, MAX_MACHINE)
);

stand_in!(
    /// The name of a service. `agent`, `agents` and `all` are taken.
    ServiceName,
    name(SERVICE, MAX_SERVICE)
);

stand_in!(
    /// A service, `@MACHINE` (its instances), `#TAG`, `all` (all instances) or `agents`.
    Target,
    text().min_length(Some(1)).pattern(Some(TARGET))
);

stand_in!(
    /// Targets, divided by commas; none are everything.
    Targets,
    text().pattern(Some(format!("^({ONE}(,{ONE})*)?$", ONE = &TARGET[1..TARGET.len() - 1])))
);

stand_in!(
    /// The id of an event, `EPOCH-SEQ`.
    EventId,
    text().pattern(Some(EVENT_ID))
);

stand_in!(
    /// Kinds of events, divided by commas; one that ends with `.` stands for all that begin so.
    Kinds,
    text().pattern(Some(kinds()))
);

stand_in!(
    /// The name of a user.
    UserName,
    name(USER, LONGEST_NAME)
);

stand_in!(
    /// A password that is to be; it is not the user's name.
    Password,
    text()
        .min_length(Some(SHORTEST_PASSWORD))
        .max_length(Some(LONGEST_PASSWORD))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
);

stand_in!(
    /// A point in time: RFC 3339, UTC, with milliseconds.
    Timestamp,
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
);

stand_in!(
    /// The state of a service.
    State,
    text().enum_values(Some(RealState::ALL.map(RealState::as_str)))
);

stand_in!(
    /// What a trigger delivers.
    Action,
    text().enum_values(Some([RealAction::Start, RealAction::Stop, RealAction::Kill].map(RealAction::as_str)))
);

/// What an agent tells of its machine, as last told.
#[derive(ToSchema)]
pub struct MachineFacts {
    /// The host name.
    pub hostname: String,
    /// The operating system, as it calls itself.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's architecture.
    pub arch: String,
    /// The number of processors.
    pub cpus: u32,
    /// The memory, in bytes.
    pub memory: u64,
    /// Which boot of the machine this is.
    pub boot_id: String,
    /// The user that the agent runs as.
    pub user: String,
    /// Whether systemd runs the machine.
    pub systemd: bool,
    /// What the machine's own file lets managers do: `start`, `stop`, `kill`, `hooks`, `agent`; empty from agents that
    /// do not say.
    pub allow: Vec<String>,
    /// What an operator should know of the machine.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_are_those_of_the_protocol() {
        let real = serde_json::to_value(protocol::report::MachineFacts::default()).unwrap();
        let described = serde_json::to_value(MachineFacts::schema()).unwrap();
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&described["properties"]), keys(&real));
    }

    #[test]
    fn a_stand_in_says_what_it_is() {
        let described = serde_json::to_value(MachineName::schema()).unwrap();
        assert_eq!(described["maxLength"], 64);
        assert!(described["description"].as_str().unwrap().starts_with("The name of a machine."));
    }
}
