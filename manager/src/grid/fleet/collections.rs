//! Collections in the fleet: which services they hold, and the one state that theirs amount to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use protocol::{name::ServiceName, state::State};

use super::Fleet;
use crate::grid::{
    config::{GridConfig, Mode, members::inside_out},
    event::Change,
    view::{CollectionState, CollectionView},
};

/// Who is in which collection, at any depth. Services that are not there are in it, too.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    /// The services of each collection, and its order.
    held: BTreeMap<ServiceName, (Mode, BTreeSet<ServiceName>)>,
    /// The collections of each service, sorted.
    holders: HashMap<ServiceName, Vec<ServiceName>>,
}

impl Membership {
    fn of(config: &GridConfig) -> Self {
        let mut held: BTreeMap<ServiceName, (Mode, BTreeSet<ServiceName>)> = BTreeMap::new();
        for name in inside_out(&config.collections) {
            let collection = &config.collections[name];
            let mut services = BTreeSet::new();
            for member in &collection.members {
                match held.get(member) {
                    Some((_, inner)) => services.extend(inner.iter().cloned()),
                    // A collection that is not known by now holds itself, which is refused when it is applied.
                    None if config.collections.contains_key(member) => {}
                    None => {
                        services.insert(member.clone());
                    }
                }
            }
            held.insert(name.clone(), (collection.mode, services));
        }
        let mut holders: HashMap<ServiceName, Vec<ServiceName>> = HashMap::new();
        for (name, (_, services)) in &held {
            services.iter().for_each(|service| holders.entry(service.clone()).or_default().push(name.clone()));
        }
        Self { held, holders }
    }

    /// The collections that hold a service, sorted.
    pub(super) fn holders(&self, service: &ServiceName) -> &[ServiceName] {
        self.holders.get(service).map_or(&[], Vec::as_slice)
    }

    /// Whether a collection holds a service.
    pub(super) fn holds(&self, collection: &ServiceName, service: &ServiceName) -> bool {
        self.held.get(collection).is_some_and(|(_, services)| services.contains(service))
    }

    /// The services of a collection; `None` if there is no such collection.
    pub(super) fn services(&self, collection: &ServiceName) -> Option<&BTreeSet<ServiceName>> {
        self.held.get(collection).map(|(_, services)| services)
    }

    /// The names of the collections.
    pub(super) fn names(&self) -> impl Iterator<Item = &ServiceName> + Clone {
        self.held.keys()
    }
}

impl Fleet {
    /// Puts the collections of a configuration up, and tells the services that are in others than before.
    pub fn configure(&mut self, config: &GridConfig) -> Vec<Change> {
        let before = std::mem::replace(&mut self.collections, Membership::of(config));
        let differs = |name: &&ServiceName| before.holders(name) != self.collections.holders(name);
        let mut changed: Vec<&ServiceName> = self.services.keys().filter(differs).collect();
        changed.sort();
        let place = |name: &ServiceName| self.services.get(name);
        let views =
            changed.into_iter().filter_map(place).filter_map(|(machine, base)| self.instance_view(machine, base));
        views.map(|view| Change::Service(Box::new(view))).collect()
    }

    /// Whether there is a collection of a name.
    pub fn is_collection(&self, name: &ServiceName) -> bool {
        self.collections.services(name).is_some()
    }

    /// Whether a collection holds a service, be it there or not.
    pub fn holds(&self, collection: &ServiceName, service: &ServiceName) -> bool {
        self.collections.holds(collection, service)
    }

    /// The collections as they are now, of the services that `sees` lets through; those that hold none of these are left
    /// out unless they hold none at all.
    pub fn collections(&self, sees: impl Fn(&ServiceName) -> bool) -> Vec<CollectionView> {
        let view = |(name, (mode, services)): (&ServiceName, &(Mode, BTreeSet<ServiceName>))| {
            let seen = services.iter().filter(|service| sees(service));
            let located: Vec<Option<State>> = seen.map(|name| self.state_of(name)).collect();
            let states: Vec<State> = located.iter().copied().flatten().collect();
            let missing = located.len() - states.len();
            (!located.is_empty() || services.is_empty()).then(|| roll_up(name.clone(), *mode, &states, missing))
        };
        self.collections.held.iter().filter_map(view).collect()
    }

    fn state_of(&self, name: &ServiceName) -> Option<State> {
        self.destination(name).map(|destination| destination.state)
    }
}

/// What the states of services amount to.
fn roll_up(name: ServiceName, mode: Mode, all: &[State], missing: usize) -> CollectionView {
    let mut states: BTreeMap<State, usize> = BTreeMap::new();
    all.iter().for_each(|state| *states.entry(*state).or_default() += 1);
    CollectionView {
        name,
        mode,
        state: CollectionState::of(states.keys().copied()),
        services: all.len(),
        states,
        missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{
        config::{Collection, parse::parse},
        fleet::tests::{at, fleet, named, told},
        target::Target,
    };

    fn config(text: &str) -> GridConfig {
        parse(text).config
    }

    fn front() -> GridConfig {
        config(
            "[collection.front]\nmembers = [\"back\", \"a@web-1\"]\n[collection.back]\nmembers = [\"b@web-1\", \"gone@web-1\"]\n",
        )
    }

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    fn names(fleet: &Fleet, text: &str) -> Vec<String> {
        let services = fleet.services(&[target(text)]).unwrap();
        services.into_iter().map(|view| view.name.to_string()).collect()
    }

    #[test]
    fn a_collection_names_what_it_holds_at_any_depth() {
        let (mut fleet, _) = fleet();
        assert!(fleet.services(&[target("front")]).is_err());
        assert_eq!(told(&fleet.configure(&front())), ["a@web-1 active", "b@web-1 stopped"]);
        assert_eq!(names(&fleet, "front"), ["a@web-1", "b@web-1"]);
        assert_eq!(names(&fleet, "back"), ["b@web-1"]);
        for (name, collection, held) in [
            ("a@web-1", "front", true),
            ("a@web-1", "back", false),
            ("b@web-1", "front", true),
            ("b@web-1", "b", false),
        ] {
            let covered = fleet.covers(&name.parse().unwrap(), &[target(collection)]);
            assert_eq!(covered, Some(held), "{collection} {name}");
            let view = fleet.services(&[target(name)]).unwrap().remove(0);
            assert_eq!(target(collection).covers(&view), held, "{collection} {name}");
        }
        assert_eq!(fleet.covers(&"gone@web-1".parse().unwrap(), &[target("back")]), None);
        assert!(fleet.holds(&"back".parse().unwrap(), &"gone@web-1".parse().unwrap()));
    }

    #[test]
    fn only_what_is_in_other_collections_is_told() {
        let (mut fleet, _) = fleet();
        fleet.configure(&front());
        assert_eq!(told(&fleet.configure(&front())), Vec::<String>::new());
        let mut other = front();
        other.collections.get_mut(&"back".parse().unwrap()).unwrap().members.clear();
        assert_eq!(told(&fleet.configure(&other)), ["b@web-1 stopped"]);
        assert_eq!(told(&fleet.configure(&GridConfig::default())), ["a@web-1 active"]);
    }

    #[test]
    fn the_state_follows_the_services() {
        let (mut fleet, web) = fleet();
        fleet.configure(&front());
        let shown = |fleet: &Fleet| -> Vec<String> {
            let views = fleet.collections(|_| true).into_iter();
            views
                .map(|view| format!("{} {} {} {}", view.name, view.state.as_str(), view.services, view.missing))
                .collect()
        };
        assert_eq!(shown(&fleet), ["back stopped 1 1", "front mixed 2 1"]);
        fleet.status(&web, 1, named("gone@web-1", State::Unresponsive, 1), at(200));
        assert_eq!(shown(&fleet), ["back unresponsive 2 0", "front unresponsive 3 0"]);
        fleet.lost(&web, 1, "silence", at(300));
        assert_eq!(shown(&fleet), ["back not_available 2 0", "front not_available 3 0"]);
        let seen = fleet.collections(|name| name.as_str() == "a@web-1");
        assert_eq!((seen.len(), seen[0].name.as_str(), seen[0].services), (1, "front", 1));
    }

    #[test]
    fn a_collection_that_holds_itself_does_no_harm() {
        let (mut fleet, _) = fleet();
        let members = vec!["x".parse().unwrap(), "a@web-1".parse().unwrap()];
        let mut config = GridConfig::default();
        config.collections.insert("x".parse().unwrap(), Collection { members, ..Collection::default() });
        fleet.configure(&config);
        assert_eq!(names(&fleet, "x"), ["a@web-1"]);
    }
}
