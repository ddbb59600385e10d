//! What a command would do, and why so: every limit with where it was set, every hook, claim and permission.

mod prediction;
#[cfg(test)]
mod tests;
pub mod view;

use std::{collections::HashMap, time::Duration};

use protocol::name::{MachineName, ServiceName};

use self::{
    prediction::{Circumstances, predict},
    view::{ClaimView, Explanation, GroupExplanation, HookExplanation, LimitView, PermissionView, ServiceExplanation},
};
use super::{
    command::Command,
    config::GridConfig,
    hooks::{HookPlace, millis},
    operation::{
        HookNode, NodeKind, ServiceNode, StepState, Tree,
        limits::{Effective, Holders, Origin},
    },
    view::{ServiceType, ServiceView},
};

/// What is known besides the configuration and the services.
pub trait Known {
    /// Who holds a service now.
    fn claim(&self, service: &ServiceName) -> Option<ClaimView>;
    /// Whether a hook can run on a machine, or without one on the manager's host.
    fn ready(&self, hook: &HookNode, machine: Option<&MachineName>) -> Readiness;
    /// What a command on a service would do to others.
    fn warnings(&self, command: Command, node: &ServiceNode) -> Vec<String>;
    /// What a machine's own file allows; empty if it does not say.
    fn allow(&self, machine: &MachineName) -> Vec<String>;
}

/// Whether a program can run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it can; `None` if nothing is known of it.
    pub ready: Option<bool>,
    /// Why not, in words.
    pub why: Option<String>,
}

/// What is to be explained.
pub struct Question<'a> {
    /// The command.
    pub command: Command,
    /// The targets, as they were given.
    pub targets: Vec<String>,
    /// What it comes to.
    pub tree: &'a Tree,
    /// The configuration that the plan was made with.
    pub config: &'a GridConfig,
    /// The services that the plan was made from.
    pub services: &'a [ServiceView],
    /// Whether who asks may do it.
    pub permission: PermissionView,
}

/// Explains a plan.
pub fn explain(question: Question<'_>, known: &impl Known) -> Explanation {
    let Question { command, targets, tree, config, services, permission } = question;
    let holders = Holders::new(config);
    let states: HashMap<&ServiceName, &ServiceView> = services.iter().map(|service| (&service.name, service)).collect();
    let children = tree.children();
    let hooks_of = |number: usize, machine: Option<&MachineName>| -> Vec<HookExplanation> {
        let hooks = children[number].iter().filter_map(|child| match &tree.nodes[*child as usize].kind {
            NodeKind::Hook(node) => Some(hook(command, node, machine, known)),
            _ => None,
        });
        hooks.collect()
    };
    let mut explanation = Explanation { command, targets, permission, groups: Vec::new(), services: Vec::new() };
    let mut groups: HashMap<u32, usize> = HashMap::new();
    for (number, node) in tree.nodes.iter().enumerate() {
        let place = u32::try_from(number).unwrap_or(u32::MAX);
        match &node.kind {
            NodeKind::Group(group) => {
                groups.insert(place, explanation.groups.len());
                explanation.groups.push(GroupExplanation {
                    step: place,
                    parent: node.parent,
                    group: group.clone(),
                    services: 0,
                    hooks: hooks_of(number, None),
                });
            }
            NodeKind::Service(service) => {
                let above = ancestors(tree, place);
                for group in above.iter().filter_map(|group| groups.get(group)) {
                    explanation.groups[*group].services += 1;
                }
                let path: Vec<&ServiceName> = above.iter().rev().filter_map(|at| collection(tree, *at)).collect();
                let limits = holders.limits_on(&path, &service.service);
                let hooks = hooks_of(number, Some(&service.machine));
                let view = states.get(&service.service).copied();
                explanation.services.push(one(command, place, service, view, &limits, hooks, known));
            }
            _ => {}
        }
    }
    explanation
}

fn one(
    command: Command,
    step: u32,
    service: &ServiceNode,
    view: Option<&ServiceView>,
    limits: &Effective<'_>,
    hooks: Vec<HookExplanation>,
    known: &impl Known,
) -> ServiceExplanation {
    let claim = known.claim(&service.service);
    let allow = known.allow(&service.machine);
    let circumstances =
        Circumstances { command, service, view, limits, hooks: &hooks, claim: claim.as_ref(), allow: &allow };
    let mut prediction = predict(&circumstances);
    if prediction.would == StepState::Planned {
        prediction.notes.extend(known.warnings(command, service));
    }
    ServiceExplanation {
        step,
        service: service.service.clone(),
        machine: service.machine.clone(),
        r#type: service.r#type,
        collection: service.collection.clone(),
        state: view.map(|view| view.state),
        would: prediction.would,
        message: prediction.message,
        notes: prediction.notes,
        limits: if hooks.is_empty() && (service.gone || service.impossible.is_some()) {
            Vec::new()
        } else {
            limits_for(command, service.r#type, limits)
        },
        hooks,
        claim,
        allow: (!allow.is_empty()).then_some(allow),
    }
}

/// The limits that matter for a command.
fn limits_for(command: Command, r#type: ServiceType, limits: &Effective<'_>) -> Vec<LimitView> {
    let time = |name: &str, value: Duration, from: Origin<'_>| LimitView {
        name: name.to_owned(),
        value: written(value),
        from: from.to_string(),
    };
    let start = || time("start_timeout", limits.start_timeout.value, limits.start_timeout.from);
    let stop = || time("stop_timeout", limits.stop_timeout.value, limits.stop_timeout.from);
    let kill = || time("kill_timeout", limits.kill_timeout.value, limits.kill_timeout.from);
    let delay = || time("restart_delay", limits.restart_delay.value, limits.restart_delay.from);
    let auto_kill = || LimitView {
        name: "auto_kill".to_owned(),
        value: limits.auto_kill.value.to_string(),
        from: limits.auto_kill.from.to_string(),
    };
    let stopping = || {
        let mut all = vec![stop(), auto_kill()];
        all.extend(limits.auto_kill.value.then(kill));
        all
    };
    match (command, r#type) {
        (Command::Start, _) | (Command::Restart, ServiceType::Agent) => vec![start()],
        (Command::Stop, ServiceType::Agent) => vec![stop()],
        (Command::Stop, ServiceType::Instance) => stopping(),
        (Command::Kill, _) => vec![kill()],
        (Command::Restart, ServiceType::Instance) => stopping().into_iter().chain([delay(), start()]).collect(),
        (Command::Killstart, _) => vec![kill(), delay(), start()],
    }
}

/// A time as `grid.toml` has it.
fn written(time: Duration) -> String {
    match millis(time) {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

/// The groups around a node, the innermost first.
fn ancestors(tree: &Tree, node: u32) -> Vec<u32> {
    std::iter::successors(tree.nodes[node as usize].parent, |at| tree.nodes[*at as usize].parent).collect()
}

fn collection(tree: &Tree, at: u32) -> Option<&ServiceName> {
    match &tree.nodes[at as usize].kind {
        NodeKind::Group(group) => group.collection.as_ref(),
        _ => None,
    }
}

fn hook(command: Command, hook: &HookNode, machine: Option<&MachineName>, known: &impl Known) -> HookExplanation {
    let Readiness { ready, why } = known.ready(hook, machine.filter(|_| hook.place == HookPlace::Machine));
    HookExplanation {
        event: hook.event,
        program: hook.program.clone(),
        place: hook.place,
        timeout_ms: hook.timeout_ms,
        on_failure: hook.on_failure,
        user: hook.user.clone(),
        target: hook.target.clone(),
        only_if_late: hook.is_of_automatic_kill(command),
        ready,
        why,
    }
}
