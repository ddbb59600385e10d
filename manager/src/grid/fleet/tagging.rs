//! Tags in the fleet: who has which, and what a change of them tells.

use std::collections::{BTreeMap, BTreeSet};

use protocol::name::{MachineName, ServiceName};

use super::Fleet;
use crate::grid::{
    event::Change,
    tags::{MachineTags, Tag, TagChange, TagView, Tagged},
    target::NoSuchTarget,
};

/// Why tags cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Something to tag is not there.
    #[error(transparent)]
    NoSuchTarget(#[from] NoSuchTarget),
    /// It cannot be done.
    #[error("{0}")]
    Invalid(String),
}

impl Fleet {
    /// Puts up the stored tags of a machine.
    pub fn restore_tags(&mut self, name: &MachineName, tags: MachineTags) {
        if let Some(machine) = self.machines.get_mut(name) {
            machine.tags = tags;
        }
    }

    /// Every tag that something has now.
    pub fn tags(&self) -> Vec<TagView> {
        let mut counts: BTreeMap<Tag, (usize, usize)> = BTreeMap::new();
        for machine in self.machines.values() {
            machine.tags.of_machine().into_iter().for_each(|tag| counts.entry(tag).or_default().0 += 1);
            let tags = machine.instances.keys().flat_map(|base| machine.tags.of_service(base));
            tags.for_each(|tag| counts.entry(tag).or_default().1 += 1);
        }
        counts.into_iter().map(|(tag, (machines, services))| TagView { tag, machines, services }).collect()
    }

    /// The instances that have a tag or whose machine does.
    pub(super) fn tagged(&self, tag: &Tag) -> Result<Vec<(MachineName, String)>, NoSuchTarget> {
        let mut found = Vec::new();
        let mut known = false;
        for (name, machine) in &self.machines {
            // A machine that has it and no instances makes it known, too.
            known |= machine.tags.of_machine().contains(tag);
            let bases = machine.instances.keys().filter(|base| machine.tags.has(base, tag));
            found.extend(bases.map(|base| (name.clone(), base.clone())));
        }
        if known || !found.is_empty() {
            return Ok(found);
        }
        let tags = self.tags();
        Err(NoSuchTarget::new("tag", tag.as_str(), tags.iter().map(|view| view.tag.as_str())))
    }

    /// What a change of tags would change.
    pub fn plan_tags(
        &self,
        change: &TagChange,
        services: &BTreeSet<ServiceName>,
        machines: &BTreeSet<MachineName>,
    ) -> Result<Tagged, TagError> {
        let too_many = |what: String| {
            move |count: usize| {
                let most = crate::grid::tags::MOST_TAGS;
                TagError::Invalid(format!("`{what}` would have {count} tags of its own: at most {most}"))
            }
        };
        let mut plan = Tagged::default();
        for name in services {
            if self.is_collection(name) {
                let message = format!("`{name}` is a collection, and collections have no tags: tag its services");
                return Err(TagError::Invalid(message));
            }
            let (machine, base) = self.locate(name)?;
            let known = self.machines.get(&machine).filter(|machine| machine.instances.contains_key(&base));
            let Some(known) = known else {
                let message = format!("`{name}` is an agent, and agents have no tags: tag the machine `{machine}`");
                return Err(TagError::Invalid(message));
            };
            if known.tags.plan(Some(&base), change).map_err(too_many(name.to_string()))?.is_some() {
                plan.services.push((name.clone(), machine, base));
            }
        }
        for name in machines {
            let machine = self.machines.get(name).ok_or_else(|| self.no_machine(name))?;
            if machine.tags.plan(None, change).map_err(too_many(name.to_string()))?.is_some() {
                plan.machines.push(name.clone());
            }
        }
        Ok(plan)
    }

    /// Changes tags as planned.
    pub fn tag(&mut self, change: &TagChange, plan: &Tagged) -> Vec<Change> {
        let mut of_machines: BTreeMap<&MachineName, Vec<Option<&str>>> = BTreeMap::new();
        for name in &plan.machines {
            of_machines.entry(name).or_default().push(None);
        }
        for (_, name, base) in &plan.services {
            of_machines.entry(name).or_default().push(Some(base));
        }
        let mut changes = Vec::new();
        for (name, what) in of_machines {
            let Some(machine) = self.machines.get_mut(name) else { continue };
            let before = machine.tags.clone();
            what.iter().for_each(|base| machine.tags.change(*base, change));
            let tags = &machine.tags;
            let differs = |base: &&String| tags.of_service(base) != before.of_service(base);
            let bases: Vec<String> = machine.instances.keys().filter(differs).cloned().collect();
            if tags.of_machine() == before.of_machine() {
                let views = bases.iter().filter_map(|base| self.instance_view(name, base));
                changes.extend(views.map(|view| Change::Service(Box::new(view))));
            } else {
                changes.extend(self.changes_of(name, bases.iter().map(String::as_str)));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{
        fleet::tests::{at, fleet, machine, named, told},
        target::Target,
    };
    use protocol::{report::MachineFacts, state::State};

    fn change(add: &[&str], remove: &[&str]) -> TagChange {
        let tags = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        TagChange::new(tags(add), tags(remove)).unwrap()
    }

    /// Changes tags and returns what it told.
    fn tag(fleet: &mut Fleet, change: &TagChange, services: &[&str], machines: &[&str]) -> Vec<String> {
        let services = services.iter().map(|name| name.parse().unwrap()).collect();
        let machines = machines.iter().map(|name| name.parse().unwrap()).collect();
        let plan = fleet.plan_tags(change, &services, &machines).unwrap();
        told(&fleet.tag(change, &plan))
    }

    fn named_by(fleet: &Fleet, target: &str) -> Vec<String> {
        let target: Target = target.parse().unwrap();
        let found = fleet.services(std::slice::from_ref(&target)).unwrap();
        assert!(found.iter().all(|view| target.covers(view)), "{target} covers what it names: {found:?}");
        found.iter().map(|view| view.name.to_string()).collect()
    }

    #[test]
    fn a_change_tells_of_what_is_different_and_of_nothing_else() {
        let (mut fleet, _) = fleet();
        fleet.joined(machine("db-1"), at(0));
        assert_eq!(tag(&mut fleet, &change(&["prod"], &[]), &["a@web-1"], &[]), ["a@web-1 active"]);
        assert_eq!(tag(&mut fleet, &change(&["prod"], &[]), &["a@web-1"], &[]), Vec::<String>::new());
        // One of the two has it already.
        let told = tag(&mut fleet, &change(&["prod"], &[]), &[], &["web-1"]);
        assert_eq!(told, ["web-1 linked", "agent@web-1 active", "b@web-1 stopped"]);
        assert_eq!(tag(&mut fleet, &change(&[], &["blue"]), &["a@web-1"], &["db-1"]), Vec::<String>::new());
        let tags = |target: &str| {
            let found = fleet.services(&[target.parse().unwrap()]).unwrap();
            found[0].tags.iter().map(|tag| tag.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((tags("a@web-1"), tags("agent@web-1")), (vec!["prod".to_owned()], vec!["prod".to_owned()]));
    }

    #[test]
    fn a_tag_names_the_instances_that_have_it_or_whose_machine_does() {
        let (mut fleet, _) = fleet();
        fleet.joined(machine("db-1"), at(0));
        tag(&mut fleet, &change(&["blue"], &[]), &["b@web-1"], &[]);
        tag(&mut fleet, &change(&["prod"], &[]), &[], &["web-1"]);
        tag(&mut fleet, &change(&["empty"], &[]), &[], &["db-1"]);
        assert_eq!(named_by(&fleet, "#blue"), ["b@web-1"]);
        assert_eq!(named_by(&fleet, "#prod"), ["a@web-1", "b@web-1"]);
        assert_eq!(named_by(&fleet, "#empty"), Vec::<String>::new());
        let counts = |view: &TagView| (view.tag.to_string(), view.machines, view.services);
        let views: Vec<_> = fleet.tags().iter().map(counts).collect();
        assert_eq!(views, [("blue".to_owned(), 0, 1), ("empty".to_owned(), 1, 0), ("prod".to_owned(), 1, 2)]);
        let miss = fleet.services(&["#pro".parse().unwrap()]).unwrap_err().to_string();
        assert_eq!(miss, "there is no tag `pro`; did you mean `prod`?");
    }

    #[test]
    fn tags_outlive_links_hellos_and_other_names_and_go_with_the_machine() {
        let (mut fleet, web) = fleet();
        tag(&mut fleet, &change(&["blue"], &[]), &["a@web-1"], &["web-1"]);
        tag(&mut fleet, &change(&["old"], &[]), &["b@web-1"], &[]);
        fleet.lost(&web, 1, "silence", at(110));
        let renamed = crate::grid::fleet::Named { name: "shop".parse().unwrap(), ..named("a@web-1", State::Active, 6) };
        fleet.connected(&web, 2, "1", MachineFacts::default(), vec![renamed], at(120));
        assert_eq!(named_by(&fleet, "#blue"), ["shop"]);
        assert!(fleet.services(&["#old".parse().unwrap()]).is_err(), "nothing has it now");
        fleet.status(&web, 2, named("b@web-1", State::Active, 0), at(130));
        assert_eq!(named_by(&fleet, "#old"), ["b@web-1"]);
        fleet.removed(&web);
        fleet.joined(machine("web-1"), at(140));
        assert_eq!(fleet.tags(), []);
    }

    #[test]
    fn what_cannot_be_tagged_is_said() {
        let (fleet, _) = fleet();
        let plan = |services: &[&str], machines: &[&str]| {
            let services = services.iter().map(|name| name.parse().unwrap()).collect();
            let machines = machines.iter().map(|name| name.parse().unwrap()).collect();
            fleet.plan_tags(&change(&["prod"], &[]), &services, &machines).unwrap_err()
        };
        assert!(matches!(plan(&["agent@web-1"], &[]), TagError::Invalid(_)));
        assert!(matches!(plan(&["c@web-1"], &[]), TagError::NoSuchTarget(_)));
        assert!(matches!(plan(&["a@web-1"], &["web-9"]), TagError::NoSuchTarget(_)));
    }
}
