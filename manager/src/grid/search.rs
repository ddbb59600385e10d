//! Looking for events: by kind, by what they are about, and by who did it.

use protocol::{
    name::{MachineName, ServiceName},
    state::State,
};
use serde::Deserialize;

use super::event::{Draft, Kind, Topic};

/// Which events are wanted; each field that is set must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one of these kinds; of any if there are none.
    pub kinds: Vec<Kind>,
    /// About a service.
    pub service: Option<ServiceName>,
    /// About a machine, or about a service of it.
    pub machine: Option<MachineName>,
    /// Done by somebody.
    pub actor: Option<String>,
    /// Of a service that is in a state.
    pub state: Option<State>,
}

/// What an event says that it can be found by.
#[derive(Debug, Deserialize)]
pub struct About {
    /// What kind.
    pub kind: Kind,
    /// The service it is about.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// The machine it is about.
    #[serde(default)]
    pub machine: Option<MachineName>,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    data: Data,
}

/// Of an event's data the state; anything else is skipped.
#[derive(Debug, Default)]
struct Data {
    state: Option<State>,
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Known { state: State },
            Other(serde::de::IgnoredAny),
        }
        Ok(match Any::deserialize(deserializer)? {
            Any::Known { state } => Self { state: Some(state) },
            Any::Other(_) => Self::default(),
        })
    }
}

impl About {
    /// What an event says that is written down; nothing if it cannot be read.
    pub fn of_body(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// What decides who may see it.
    pub fn topic(&self) -> Topic {
        Topic::of(self.kind, self.service.clone(), self.machine.clone())
    }
}

impl From<&Draft> for About {
    fn from(draft: &Draft) -> Self {
        let state = draft.data.get("state").and_then(|state| State::deserialize(state).ok());
        Self {
            kind: draft.kind,
            service: draft.service.clone(),
            machine: draft.machine.clone(),
            actor: draft.actor.clone(),
            data: Data { state },
        }
    }
}

impl EventFilter {
    /// Whether an event is wanted.
    pub fn fits(&self, about: &About) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, found: &Option<T>) -> bool {
            wanted.is_none() || wanted == found
        }
        (self.kinds.is_empty() || self.kinds.contains(&about.kind))
            && is(&self.service, &about.service)
            && is(&self.machine, &about.machine)
            && is(&self.actor, &about.actor)
            && self.state.is_none_or(|state| about.kind == Kind::ServiceState && about.data.state == Some(state))
    }
}

/// Reads kinds, divided by commas; one that ends with `.` stands for all that begin so.
pub fn kinds(text: &str) -> Result<Vec<Kind>, String> {
    let mut kinds = Vec::new();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let fits = |kind: &Kind| if word.ends_with('.') { kind.word().starts_with(word) } else { kind.word() == word };
        let found: Vec<Kind> = Kind::ALL.into_iter().filter(fits).collect();
        if found.is_empty() {
            let shown: String = word.chars().filter(|c| !c.is_control()).take(64).collect();
            let all: Vec<&str> = Kind::ALL.into_iter().map(Kind::word).collect();
            return Err(format!("`{shown}` is no kind of event: {}", all.join(", ")));
        }
        kinds.extend(found.into_iter().filter(|kind| !kinds.contains(kind)).collect::<Vec<_>>());
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_word() {
        let mut words: Vec<&str> = Kind::ALL.into_iter().map(Kind::word).collect();
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Kind::ALL.len());
    }

    #[test]
    fn the_table_of_kinds() {
        for (text, expected) in [
            ("", Ok(&[][..])),
            ("login", Ok(&[Kind::Login])),
            ("login.", Ok(&[Kind::LoginFailed])),
            ("trigger,login,trigger", Ok(&[Kind::Trigger, Kind::Login])),
            ("service.,service.gone", Ok(&[Kind::ServiceState, Kind::ServiceGone])),
            ("dance", Err(())),
            ("service", Err(())),
            (".", Err(())),
            ("unknown", Err(())),
        ] {
            assert_eq!(kinds(text).map_err(drop), expected.map(<[Kind]>::to_vec), "{text}");
        }
    }

    #[test]
    fn the_table_of_what_fits() {
        let body = r#"{"id":"1-7","at":"2026-01-01T00:00:00.000Z","kind":"service.state","service":"a@web-1",
            "machine":"web-1","actor":null,"data":{"name":"a@web-1","state":"stopped","ports":[1]}}"#;
        let trigger = r#"{"id":"1-8","kind":"trigger","service":"a@web-1","machine":"web-1","actor":"bob",
            "data":{"action":"stop","state":"stopped"}}"#;
        let started = r#"{"id":"1-9","kind":"manager.started","data":null}"#;
        let any = EventFilter::default;
        for (filter, fits) in [
            (any(), [true, true, true]),
            (EventFilter { kinds: vec![Kind::Trigger, Kind::ManagerStarted], ..any() }, [false, true, true]),
            (EventFilter { service: Some("a@web-1".parse().unwrap()), ..any() }, [true, true, false]),
            (EventFilter { service: Some("b@web-1".parse().unwrap()), ..any() }, [false, false, false]),
            (EventFilter { machine: Some("web-1".parse().unwrap()), ..any() }, [true, true, false]),
            (EventFilter { actor: Some("bob".to_owned()), ..any() }, [false, true, false]),
            (EventFilter { state: Some(State::Stopped), ..any() }, [true, false, false]),
            (EventFilter { state: Some(State::Active), ..any() }, [false, false, false]),
        ] {
            let found = [body, trigger, started].map(|body| filter.fits(&About::of_body(body).unwrap()));
            assert_eq!(found, fits, "{filter:?}");
            for body in [body, trigger] {
                let draft: Draft = serde_json::from_str(body).unwrap();
                assert_eq!(filter.fits(&About::from(&draft)), filter.fits(&About::of_body(body).unwrap()), "{body}");
            }
        }
        assert!(About::of_body("{}").is_none());
    }
}
