//! Which configured hooks are on what: an index, made once for the events of one command.

use std::collections::HashMap;

use protocol::name::{MachineName, ServiceName};

use super::{HookEvent, place::Level, place::place};
use crate::grid::{
    config::{Hook, HookTarget},
    operation::HookNode,
    tags::Tag,
    target::Target,
    view::{ServiceType, ServiceView},
};

/// A hook by its place in the configuration, and which of its targets it is that fits.
type Bound = (usize, usize);

/// The hooks of some events, by what they are on.
#[derive(Debug)]
pub struct Bindings<'a> {
    hooks: &'a [Hook],
    events: HashMap<HookEvent, ByTarget<'a>>,
}

#[derive(Debug, Default)]
struct ByTarget<'a> {
    grid: Vec<Bound>,
    names: HashMap<&'a ServiceName, Vec<Bound>>,
    machines: HashMap<&'a MachineName, Vec<Bound>>,
    tags: HashMap<&'a Tag, Vec<Bound>>,
    all: Vec<Bound>,
    agents: Vec<Bound>,
}

impl<'a> Bindings<'a> {
    /// The hooks at those events that are asked for.
    pub fn new(hooks: &'a [Hook], wanted: impl Fn(HookEvent) -> bool) -> Self {
        let mut events: HashMap<HookEvent, ByTarget<'a>> = HashMap::new();
        for (number, hook) in hooks.iter().enumerate().filter(|(_, hook)| wanted(hook.event)) {
            let by_target = events.entry(hook.event).or_default();
            for (target, on) in hook.targets.iter().enumerate() {
                let bound = (number, target);
                match on {
                    HookTarget::Grid => by_target.grid.push(bound),
                    HookTarget::Target(Target::Service(name)) => by_target.names.entry(name).or_default().push(bound),
                    HookTarget::Target(Target::Machine(name)) => {
                        by_target.machines.entry(name).or_default().push(bound);
                    }
                    HookTarget::Target(Target::Tag(tag)) => by_target.tags.entry(tag).or_default().push(bound),
                    HookTarget::Target(Target::All) => by_target.all.push(bound),
                    HookTarget::Target(Target::Agents) => by_target.agents.push(bound),
                }
            }
        }
        Self { hooks, events }
    }

    /// The hooks on the grid as a whole, in the order in which they run.
    pub fn of_grid(&self, event: HookEvent) -> Vec<HookNode> {
        let Some(by_target) = self.events.get(&event) else { return Vec::new() };
        self.nodes(by_target.grid.clone(), Level::Grid)
    }

    /// The hooks on a collection as a whole, in the order in which they run.
    pub fn of_collection(&self, event: HookEvent, name: &ServiceName) -> Vec<HookNode> {
        let Some(by_target) = self.events.get(&event) else { return Vec::new() };
        self.nodes(by_target.names.get(name).cloned().unwrap_or_default(), Level::Collection)
    }

    /// The hooks on a service, in the order in which they run, each once.
    pub fn of_service(&self, event: HookEvent, service: &ServiceView) -> Vec<HookNode> {
        let Some(by_target) = self.events.get(&event) else { return Vec::new() };
        let mut bound = by_target.names.get(&service.name).cloned().unwrap_or_default();
        let level = match service.r#type {
            ServiceType::Instance => {
                bound.extend(by_target.machines.get(&service.machine).into_iter().flatten());
                bound.extend(service.tags.iter().filter_map(|tag| by_target.tags.get(tag)).flatten());
                bound.extend(&by_target.all);
                Level::Instance
            }
            ServiceType::Agent => {
                bound.extend(&by_target.agents);
                Level::Agent
            }
        };
        self.nodes(bound, level)
    }

    fn nodes(&self, mut bound: Vec<Bound>, level: Level) -> Vec<HookNode> {
        bound.sort_unstable();
        bound.dedup_by_key(|(hook, _)| *hook);
        bound.into_iter().map(|(hook, target)| node(&self.hooks[hook], target, level)).collect()
    }
}

fn node(hook: &Hook, target: usize, level: Level) -> HookNode {
    HookNode {
        event: hook.event,
        program: hook.program.clone(),
        place: place(hook.event, level),
        timeout_ms: super::millis(hook.timeout),
        on_failure: hook.on_failure,
        user: hook.user.clone(),
        environment: hook.environment.clone(),
        secrets: hook.secrets.clone(),
        target: hook.targets[target].to_string(),
    }
}
