//! Plans an operation: what a command on some targets comes to, as a tree. Pure, and fast for thousands of services.

mod steps;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use protocol::name::{MachineName, ServiceName};

pub use self::steps::on_the_host;
use super::{
    Group, Node, NodeKind, ServiceNode, Tree,
    limits::{Effective, Holders, Origin},
    request::{OperationRequest, Order},
};
use crate::grid::{
    config::{Budget, Collection, GridConfig},
    hooks::{Around, HookEvent, Phase, binding::Bindings},
    target::{NoSuchTarget, Target},
    view::{ServiceType, ServiceView},
};

/// How deep collections may be nested. Configurations that are nested deeper are refused; this keeps the stack safe.
pub const MAX_DEPTH: usize = 64;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A target names nothing.
    #[error(transparent)]
    NoSuchTarget(#[from] NoSuchTarget),
    /// Nothing was named.
    #[error("name at least one target")]
    NoTargets,
    /// Collections within collections, too many of them.
    #[error("collection `{0}` is nested more than {MAX_DEPTH} deep")]
    TooDeep(ServiceName),
}

/// Plans a command. `services` are all that the caller may see, agents included. A member of a collection that is not
/// among them is planned as gone: for a caller who sees only some, see [`Tree::first_gone`].
pub fn plan(request: &OperationRequest, config: &GridConfig, services: &[ServiceView]) -> Result<Tree, PlanError> {
    Planner::new(request, config, services).plan()
}

impl Tree {
    /// The first service that was not among those the plan was made from. Where a caller sees only some services this is
    /// one of others, or of nobody: the request is refused as one outside, whichever it is.
    pub fn first_gone(&self) -> Option<&ServiceName> {
        self.nodes.iter().find_map(|node| match &node.kind {
            NodeKind::Service(service) if service.gone => Some(&service.service),
            _ => None,
        })
    }

    /// How many services it holds.
    pub fn services(&self) -> usize {
        self.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Service(_))).count()
    }
}

struct Planner<'a> {
    request: &'a OperationRequest,
    config: &'a GridConfig,
    services: &'a [ServiceView],
    by_name: HashMap<&'a ServiceName, &'a ServiceView>,
    holders: Holders<'a>,
    hooks: Bindings<'a>,
    seen: HashSet<&'a ServiceName>,
    nodes: Vec<Node>,
}

/// Where a part of the tree hangs, and what holds there.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: u32,
    collection: Option<&'a ServiceName>,
    limits: Option<Effective<'a>>,
    depth: usize,
}

impl<'a> Planner<'a> {
    fn new(request: &'a OperationRequest, config: &'a GridConfig, services: &'a [ServiceView]) -> Self {
        let wanted = |event: HookEvent| match event.around {
            Around::Command(command) => command == request.command,
            Around::Trigger(_) => true,
            Around::Release(_) => false,
        };
        Self {
            request,
            config,
            services,
            by_name: services.iter().map(|service| (&service.name, service)).collect(),
            holders: Holders::new(config),
            hooks: Bindings::new(&config.hooks, wanted),
            seen: HashSet::new(),
            nodes: Vec::new(),
        }
    }

    fn plan(mut self) -> Result<Tree, PlanError> {
        let request = self.request;
        match &request.targets[..] {
            [] => return Err(PlanError::NoTargets),
            [Target::Service(name)] if self.config.collections.contains_key(name) => {
                let (name, collection) = self.config.collections.get_key_value(name).expect("it was just found");
                self.collection(None, name, collection, None, 0)?;
            }
            [Target::All] => self.grid(None)?,
            targets => {
                let root = self.begin(None, ordered(&request.order, None, false));
                for target in targets {
                    self.target(target, root)?;
                }
                self.set_budget(root, request.order.failure_budget);
            }
        }
        Ok(Tree { nodes: self.nodes })
    }

    fn target(&mut self, target: &'a Target, root: u32) -> Result<(), PlanError> {
        let place = Place { parent: root, collection: None, limits: None, depth: 0 };
        match target {
            Target::All => return self.grid(Some(root)),
            Target::Service(name) => {
                if let Some((name, collection)) = self.config.collections.get_key_value(name) {
                    return self.collection(Some(root), name, collection, None, 0);
                }
                let Some(service) = self.by_name.get(name) else { return Err(self.no_service(name).into()) };
                self.service(service, place);
            }
            Target::Machine(_) | Target::Tag(_) | Target::Agents => {
                self.check(target)?;
                for service in self.services.iter().filter(|service| target.covers(service)) {
                    self.service(service, place);
                }
            }
        }
        Ok(())
    }

    /// All instances: the grid as a whole.
    fn grid(&mut self, parent: Option<u32>) -> Result<(), PlanError> {
        let group = self.begin(parent, ordered(&self.request.order, None, true));
        let hooks = |planner: &Self, phase| planner.hooks.of_grid(planner.command_event(phase));
        let pre = hooks(self, Phase::Pre);
        self.hang(group, pre);
        let before = self.nodes.len();
        let place = Place { parent: group, collection: None, limits: None, depth: 0 };
        for service in self.services.iter().filter(|service| Target::All.covers(service)) {
            self.service(service, place);
        }
        let post = hooks(self, Phase::Post);
        // What is nested keeps to the budget of the whole.
        let budget = self.request.order.failure_budget.filter(|_| parent.is_none());
        self.end(group, before, post, budget);
        Ok(())
    }

    fn collection(
        &mut self,
        parent: Option<u32>,
        name: &'a ServiceName,
        collection: &'a Collection,
        outer: Option<Effective<'a>>,
        depth: usize,
    ) -> Result<(), PlanError> {
        if depth >= MAX_DEPTH {
            return Err(PlanError::TooDeep(name.clone()));
        }
        if !self.seen.insert(name) {
            return Ok(());
        }
        let outer = outer.unwrap_or_else(|| self.holders.limits(name));
        let limits = outer.with(&collection.limits, Origin::Collection(name));
        // What the call says goes before the configuration, for what it names alone.
        let said = if parent.is_none() { self.request.order.clone() } else { Order::default() };
        let order = Order {
            mode: said.mode.or(Some(collection.mode)),
            max_parallel: if said.mode.is_some() { said.max_parallel } else { collection.max_parallel },
            on_failure: said.on_failure.or(Some(collection.on_failure)),
            failure_budget: said.failure_budget.or(collection.failure_budget),
        };
        let group = self.begin(parent, ordered(&order, Some(name.clone()), false));
        let pre = self.hooks.of_collection(self.command_event(Phase::Pre), name);
        self.hang(group, pre);
        let before = self.nodes.len();
        let place = Place { parent: group, collection: Some(name), limits: Some(limits), depth: depth + 1 };
        for member in &collection.members {
            if let Some((name, inner)) = self.config.collections.get_key_value(member) {
                self.collection(Some(group), name, inner, Some(limits), place.depth)?;
            } else if let Some(service) = self.by_name.get(member) {
                self.service(service, place);
            } else {
                self.gone(member, place);
            }
        }
        let post = self.hooks.of_collection(self.command_event(Phase::Post), name);
        self.end(group, before, post, order.failure_budget);
        Ok(())
    }

    fn service(&mut self, service: &'a ServiceView, place: Place<'a>) {
        if !self.seen.insert(&service.name) {
            return;
        }
        let limits = place.limits.unwrap_or_else(|| self.holders.limits(&service.name));
        let limits = limits.of_service(self.config, &service.name);
        let impossible = steps::impossible(self.request.command, service, place.collection);
        let is_possible = impossible.is_none();
        let node = ServiceNode {
            service: service.name.clone(),
            machine: service.machine.clone(),
            r#type: service.r#type,
            collection: place.collection.cloned(),
            impossible,
            gone: false,
        };
        let number = self.push(Some(place.parent), NodeKind::Service(node));
        if is_possible {
            for kind in steps::steps(self.request.command, service, &limits, &self.hooks) {
                self.push(Some(number), kind);
            }
        }
    }

    fn gone(&mut self, name: &'a ServiceName, place: Place<'a>) {
        if !self.seen.insert(name) {
            return;
        }
        let machine = name.as_str().split_once('@').and_then(|(_, machine)| machine.parse().ok());
        let node = ServiceNode {
            service: name.clone(),
            machine: machine.unwrap_or_else(unknown_machine),
            r#type: if name.of_agent().is_some() { ServiceType::Agent } else { ServiceType::Instance },
            collection: place.collection.cloned(),
            impossible: None,
            gone: true,
        };
        self.push(Some(place.parent), NodeKind::Service(node));
    }

    /// Whether a target names anything that is known, be it of no service now.
    fn check(&self, target: &Target) -> Result<(), NoSuchTarget> {
        let known = |service: &&ServiceView| match target {
            Target::Machine(name) => service.machine == *name,
            Target::Tag(tag) => service.tags.contains(tag),
            _ => true,
        };
        if matches!(target, Target::Agents) || self.services.iter().any(|service| known(&service)) {
            return Ok(());
        }
        Err(match target {
            Target::Machine(name) => {
                let machines = self.services.iter().map(|service| service.machine.as_str());
                NoSuchTarget::new("machine", name.as_str(), machines)
            }
            Target::Tag(tag) => {
                let tags = self.services.iter().flat_map(|service| &service.tags).map(|tag| tag.as_str());
                NoSuchTarget::new("tag", tag.as_str(), tags)
            }
            other => NoSuchTarget::new("service", &other.to_string(), std::iter::empty()),
        })
    }

    fn no_service(&self, name: &ServiceName) -> NoSuchTarget {
        let services = self.services.iter().map(|service| service.name.as_str());
        let collections = self.config.collections.keys().map(ServiceName::as_str);
        NoSuchTarget::new("service or collection", name.as_str(), services.chain(collections))
    }

    fn command_event(&self, phase: Phase) -> HookEvent {
        HookEvent { phase, around: Around::Command(self.request.command) }
    }

    fn begin(&mut self, parent: Option<u32>, group: Group) -> u32 {
        self.push(parent, NodeKind::Group(group))
    }

    /// Ends a group: with its `post-` hooks and its budget, or, if it came to nothing, without a trace of it. Only a root
    /// stays, without hooks: there is nothing for them to stand around.
    fn end(&mut self, group: u32, before: usize, post: Vec<super::HookNode>, budget: Option<Budget>) {
        if self.nodes.len() == before {
            self.nodes.truncate(if group == 0 { 1 } else { group as usize });
            return;
        }
        self.hang(group, post);
        self.set_budget(group, budget);
    }

    fn set_budget(&mut self, group: u32, budget: Option<Budget>) {
        let Some(budget) = budget else { return };
        // All that comes after a group that is being ended is within it.
        let within = &self.nodes[group as usize..];
        let services = within.iter().filter(|node| matches!(node.kind, NodeKind::Service(_))).count();
        if let NodeKind::Group(group) = &mut self.nodes[group as usize].kind {
            group.failure_budget = Some(allowed(budget, u32::try_from(services).unwrap_or(u32::MAX)));
        }
    }

    fn hang(&mut self, parent: u32, hooks: Vec<super::HookNode>) {
        for hook in hooks {
            self.push(Some(parent), NodeKind::Hook(Box::new(hook)));
        }
    }

    fn push(&mut self, parent: Option<u32>, kind: NodeKind) -> u32 {
        let number = u32::try_from(self.nodes.len()).expect("a grid has fewer steps than u32 counts");
        self.nodes.push(Node { parent, kind });
        number
    }
}

/// How many of `services` may fail.
fn allowed(budget: Budget, services: u32) -> u32 {
    match budget {
        Budget::Count(count) => count,
        Budget::Percent(percent) => u32::try_from(u64::from(services) * u64::from(percent) / 100).unwrap_or(u32::MAX),
    }
}

fn ordered(order: &Order, collection: Option<ServiceName>, is_grid: bool) -> Group {
    Group {
        collection,
        is_grid,
        mode: order.mode.unwrap_or_default(),
        max_parallel: order.max_parallel.map(Into::into),
        on_failure: order.on_failure.unwrap_or_default(),
        failure_budget: None,
    }
}

/// What stands for the machine of a service that is gone and whose name does not tell.
fn unknown_machine() -> MachineName {
    "unknown".parse().expect("it is a name")
}
