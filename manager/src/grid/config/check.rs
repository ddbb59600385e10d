//! Checks a configuration against the grid: every name must be that of something that is there.

use std::collections::BTreeSet;

use protocol::name::{MachineName, ServiceName};

use super::{
    GridConfig, HookTarget,
    members::{cycles, twice},
    mistake::{Mistake, Remark, placed},
    parse::{Parsed, Places, parse},
};
use crate::grid::{
    hooks::{
        Around,
        secrets::{Secrets, missing},
    },
    tags::Tag,
    target::{NoSuchTarget, Target},
    view::ServiceView,
};

/// What a configuration can name.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The instances.
    pub instances: BTreeSet<ServiceName>,
    /// The machines, each of which has an agent.
    pub machines: BTreeSet<MachineName>,
    /// The tags that something has.
    pub tags: BTreeSet<Tag>,
    /// The hook programs.
    pub programs: BTreeSet<String>,
    /// What configurations named that were in force: it may have vanished since.
    pub named_before: BTreeSet<String>,
    /// The services, agents too.
    pub services: Vec<ServiceView>,
    /// Which secrets there are.
    pub secrets: Secrets,
}

impl Known {
    /// Takes up what a configuration names that was in force.
    pub fn and_named_by(mut self, config: &GridConfig) -> Self {
        self.named_before.extend(names(config));
        self
    }
}

/// Everything that a configuration names and does not define, as targets are written.
fn names(config: &GridConfig) -> impl Iterator<Item = String> {
    let members = config.collections.values().flat_map(|collection| &collection.members);
    let services = members.chain(config.services.keys()).map(ToString::to_string);
    let hooks = config.hooks.iter().flat_map(|hook| hook.targets.iter().map(ToString::to_string));
    let schedules = config.schedules.values().flat_map(|schedule| schedule.targets.iter().map(ToString::to_string));
    let is_collection = |name: &String| config.collections.keys().any(|collection| collection.as_str() == name);
    services.chain(hooks).chain(schedules).filter(move |name| !is_collection(name)).collect::<BTreeSet<_>>().into_iter()
}

/// A configuration that can be put in force, and what should be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The configuration.
    pub config: GridConfig,
    /// What is odd, and not wrong.
    pub warnings: Vec<Mistake>,
}

/// Reads and checks a configuration: all that is wrong with it, or the configuration.
pub fn check(text: &str, known: &Known) -> Result<Checked, Vec<Mistake>> {
    let Parsed { config, places, remarks } = parse(text);
    let mut check = Check { config: &config, known, wrong: remarks, odd: Vec::new() };
    check.services(&places);
    check.collections(&places);
    check.hooks(&places);
    check.schedules(&places);
    let Check { wrong, odd, .. } = check;
    if wrong.is_empty() { Ok(Checked { config, warnings: placed(text, odd) }) } else { Err(placed(text, wrong)) }
}

struct Check<'c> {
    config: &'c GridConfig,
    known: &'c Known,
    wrong: Vec<Remark>,
    odd: Vec<Remark>,
}

impl Check<'_> {
    /// Says that something is not there: wrong, unless it was named before.
    fn missing(&mut self, at: usize, written: &str, miss: &NoSuchTarget) {
        if self.known.named_before.contains(written) {
            self.odd.push((at, format!("{miss}: it was, and its name is kept")));
        } else {
            self.wrong.push((at, miss.to_string()));
        }
    }

    fn is_service(&self, name: &ServiceName) -> bool {
        let is_agent = || name.of_agent().is_some_and(|machine| self.known.machines.contains(&machine));
        self.known.instances.contains(name) || is_agent()
    }

    fn no_service(&self, name: &ServiceName) -> NoSuchTarget {
        let collections = self.config.collections.keys();
        let known = self.known.instances.iter().chain(collections).map(ServiceName::as_str);
        NoSuchTarget::new("service or collection", name.as_str(), known)
    }

    fn services(&mut self, places: &Places) {
        for (name, &at) in &places.services {
            if self.config.collections.contains_key(name) {
                self.wrong.push((at, format!("`{name}` is a collection: its settings stand in [collection.{name}]")));
            } else if !self.is_service(name) {
                let instances = self.known.instances.iter().map(ServiceName::as_str);
                self.missing(at, name.as_str(), &NoSuchTarget::new("service", name.as_str(), instances));
            }
        }
    }

    fn collections(&mut self, places: &Places) {
        let collections = &self.config.collections;
        let place = |collection: &ServiceName, member: usize| {
            places.collections.get(collection).and_then(|(_, members)| members.get(member)).copied().unwrap_or_default()
        };
        for (name, collection) in collections {
            let at = places.collections.get(name).map_or(0, |(at, _)| *at);
            if name.as_str().contains('@') {
                let what = format!("`{name}`: the name of a collection holds no `@`, after which a machine stands");
                self.wrong.push((at, what));
            } else if self.is_service(name) {
                self.wrong.push((at, format!("`{name}` is the name of a service: a collection needs one of its own")));
            }
            for (member, inner) in collection.members.iter().enumerate() {
                let at = place(name, member);
                if inner.as_str().starts_with("agent@") {
                    let what =
                        format!("`{inner}` is an agent: what stops agents must name them, so no collection holds one");
                    self.wrong.push((at, what));
                } else if !collections.contains_key(inner) && !self.is_service(inner) {
                    self.missing(at, inner.as_str(), &self.no_service(inner));
                }
            }
        }
        let cycles = cycles(collections);
        for cycle in &cycles {
            let way: Vec<&str> = cycle.way.iter().map(|name| name.as_str()).collect();
            let what = format!("{}: a collection cannot hold itself", way.join("→"));
            self.wrong.push((place(cycle.collection, cycle.member), what));
        }
        for twice in twice(collections, &cycles) {
            let members = &collections[twice.collection].members;
            let by = |member: usize| match &members[member] {
                by if by == twice.what => "by itself".to_owned(),
                by => format!("through `{by}`"),
            };
            let how = match (&members[twice.first], &members[twice.member]) {
                (first, again) if first == again => "its `members` name it twice".to_owned(),
                _ => format!("{} and {}", by(twice.first), by(twice.member)),
            };
            let what = format!("`{}` is in `{}` twice: {how}", twice.what, twice.collection);
            self.wrong.push((place(twice.collection, twice.member), what));
        }
    }

    fn hooks(&mut self, places: &Places) {
        for (hook, (targets, program_at)) in self.config.hooks.iter().zip(&places.hooks) {
            if !self.known.programs.contains(&hook.program) {
                let programs = self.known.programs.iter().map(String::as_str);
                let miss = NoSuchTarget::new("hook program", &super::read::shown(&hook.program), programs);
                self.wrong.push((*program_at, format!("{miss}: `hooks add FILE` adds one")));
            }
            let (config, services) = (self.config, &self.known.services);
            let without = missing(hook, config, services, &self.known.secrets);
            self.odd.extend(without.into_iter().map(|what| (*program_at, what)));
            let is_trigger = matches!(hook.event.around, Around::Trigger(_));
            for (target, &at) in hook.targets.iter().zip(targets) {
                let is_whole = match target {
                    HookTarget::Grid => true,
                    HookTarget::Target(Target::Service(name)) => self.config.collections.contains_key(name),
                    HookTarget::Target(_) => false,
                };
                if is_trigger && is_whole {
                    let what =
                        format!("`{}` is an event of services: name them, or with @MACHINE, #TAG or all", hook.event);
                    self.wrong.push((at, what));
                }
                if let HookTarget::Target(target) = target {
                    self.target(target, at);
                }
            }
        }
    }

    fn schedules(&mut self, places: &Places) {
        for (name, schedule) in &self.config.schedules {
            let at = places.schedules.get(name).copied().unwrap_or_default();
            schedule.targets.iter().for_each(|target| self.target(target, at));
        }
    }

    fn target(&mut self, target: &Target, at: usize) {
        let known = self.known;
        let miss = match target {
            Target::All | Target::Agents => None,
            Target::Service(name) => {
                (!self.is_service(name) && !self.config.collections.contains_key(name)).then(|| self.no_service(name))
            }
            Target::Machine(name) => (!known.machines.contains(name))
                .then(|| NoSuchTarget::new("machine", name.as_str(), known.machines.iter().map(MachineName::as_str))),
            Target::Tag(tag) => (!known.tags.contains(tag))
                .then(|| NoSuchTarget::new("tag", tag.as_str(), known.tags.iter().map(Tag::as_str))),
        };
        if let Some(miss) = miss {
            self.missing(at, &target.to_string(), &miss);
        }
    }
}
