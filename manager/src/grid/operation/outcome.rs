//! What the ends of steps come to: for a service, a group, and the whole operation.

use std::{borrow::Cow, collections::BTreeSet};

use super::{Node, NodeKind, StepState, Tree, view::Counts};
use crate::grid::{config::HookFailure, hooks::Phase};

#[cfg(test)]
mod tests;

impl Tree {
    /// The numbers of the children of each node, in order.
    pub fn children(&self) -> Vec<Vec<u32>> {
        let mut children = vec![Vec::new(); self.nodes.len()];
        for (number, node) in (0..).zip(&self.nodes) {
            if let Some(of_parent) = node.parent.and_then(|parent| children.get_mut(parent as usize)) {
                of_parent.push(number);
            }
        }
        children
    }
}

/// What a hook's end means for what it stands around; `None` if nothing.
pub fn of_hook(phase: Phase, on_failure: HookFailure, state: StepState) -> Option<StepState> {
    match (state, on_failure, phase) {
        (StepState::Cancelled | StepState::Superseded, ..) => Some(state),
        (state, ..) if !state.is_failure() => None,
        (_, HookFailure::Warn, _) => None,
        (_, HookFailure::Abort, Phase::Pre) => Some(StepState::Vetoed),
        (_, HookFailure::Abort, Phase::Post) => Some(StepState::Failed),
    }
}

/// What the steps of a service come to. The first that failed decides; a stop that took too long is made good by the
/// kill that follows it.
pub fn service(steps: &[(&NodeKind, StepState)]) -> StepState {
    let is_conditional = |kind: &NodeKind| match kind {
        NodeKind::Signal(signal) => signal.if_stop_timed_out,
        NodeKind::Wait(wait) => wait.if_stop_timed_out,
        _ => false,
    };
    let was_needed = |state| !matches!(state, StepState::Planned | StepState::Skipped);
    for (place, (kind, state)) in steps.iter().enumerate() {
        let failure = match kind {
            NodeKind::Hook(hook) => of_hook(hook.event.phase, hook.on_failure, *state),
            _ => Some(*state).filter(|state| state.is_failure()),
        };
        let Some(failure) = failure else { continue };
        let goes_on = matches!(kind, NodeKind::Wait(wait) if !wait.if_stop_timed_out)
            && failure == StepState::TimedOut
            && followed_by_kill(&steps[place + 1..], is_conditional, was_needed);
        if !goes_on {
            return failure;
        }
    }
    let all = |wanted: StepState| steps.iter().all(|(_, state)| *state == wanted);
    if all(StepState::Planned) && !steps.is_empty() {
        return StepState::Planned;
    }
    if steps.iter().any(|(_, state)| !state.is_ended()) {
        return StepState::Running;
    }
    if all(StepState::Skipped) && !steps.is_empty() {
        return StepState::Skipped;
    }
    let mut signals =
        steps.iter().filter(|(kind, state)| matches!(kind, NodeKind::Signal(_)) && *state != StepState::Skipped);
    if signals.all(|(_, state)| *state == StepState::Ignored) { StepState::Ignored } else { StepState::Done }
}

/// Whether the kill after a late stop has begun: its own steps, or a hook right before them.
fn followed_by_kill(
    after: &[(&NodeKind, StepState)],
    is_conditional: impl Fn(&NodeKind) -> bool,
    was_needed: impl Fn(StepState) -> bool,
) -> bool {
    let Some(last) = after.iter().rposition(|(kind, _)| is_conditional(kind)) else { return false };
    after[..=last].iter().any(|(_, state)| was_needed(*state))
}

/// The services of a part of the tree, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many are how far.
    pub counts: Counts,
    /// How many failures: services, and groups that a hook of their own made fail.
    pub failures: u32,
    /// The different ways to fail.
    pub kinds: BTreeSet<StepState>,
}

impl Tally {
    /// Adds a service.
    pub fn add(&mut self, state: StepState) {
        let counts = &mut self.counts;
        counts.total += 1;
        let counter = match state {
            StepState::Planned => &mut counts.planned,
            StepState::Running => &mut counts.running,
            StepState::Done => &mut counts.done,
            StepState::Ignored => &mut counts.ignored,
            StepState::Skipped => &mut counts.skipped,
            _ => &mut counts.failed,
        };
        *counter += 1;
        if state.is_failure() {
            self.fail(state);
        }
    }

    fn fail(&mut self, kind: StepState) {
        self.failures += 1;
        self.kinds.insert(kind);
    }

    /// What they come to.
    pub fn result(&self) -> StepState {
        let Counts { total, planned, running, done, ignored, skipped, .. } = self.counts;
        if running > 0 || planned > 0 && planned < total {
            return StepState::Running;
        }
        if planned > 0 {
            return StepState::Planned;
        }
        let mut kinds = self.kinds.iter();
        match (done + ignored > 0, kinds.next(), kinds.next()) {
            (true, Some(_), _) => StepState::PartlyFailed,
            (false, Some(only), None) => *only,
            (false, Some(_), Some(_)) => StepState::Failed,
            (true, None, _) if skipped > 0 => StepState::PartlyFailed,
            (_, None, _) if done > 0 => StepState::Done,
            (_, None, _) if skipped > 0 => StepState::Skipped,
            (_, None, _) => StepState::Ignored,
        }
    }
}

/// A tree and how far each of its nodes is.
#[derive(Debug)]
pub struct Standing<'a> {
    nodes: &'a [Node],
    children: Cow<'a, [Vec<u32>]>,
    states: &'a [StepState],
}

impl<'a> Standing<'a> {
    /// Looks at a tree; a node without a state is planned.
    pub fn new(tree: &'a Tree, states: &'a [StepState]) -> Self {
        Self { nodes: &tree.nodes, children: Cow::Owned(tree.children()), states }
    }

    /// The same by the children of each node, where these are known already.
    pub fn with(tree: &'a Tree, children: &'a [Vec<u32>], states: &'a [StepState]) -> Self {
        Self { nodes: &tree.nodes, children: Cow::Borrowed(children), states }
    }

    /// The first hook of a group that made it fail, in words.
    pub fn failed_hook(&self) -> Option<String> {
        self.nodes.iter().zip(0..).find_map(|(node, number)| match &node.kind {
            NodeKind::Hook(hook) => {
                let failed = of_hook(hook.event.phase, hook.on_failure, self.state(number));
                failed.map(|_| format!("the hook {} ({})", hook.program, hook.event))
            }
            _ => None,
        })
    }

    fn state(&self, number: u32) -> StepState {
        self.states.get(number as usize).copied().unwrap_or_default()
    }

    /// What the services of a node come to, at any depth, with its own.
    pub fn tally(&self, number: u32) -> Tally {
        let mut tally = Tally::default();
        // No recursion: a stored tree may be as deep as it likes.
        let mut left = vec![number];
        while let Some(number) = left.pop() {
            match &self.nodes[number as usize].kind {
                NodeKind::Service(_) => tally.add(self.state(number)),
                NodeKind::Group(_) => {
                    if let Some(kind) = self.by_hooks(number) {
                        tally.fail(kind);
                    }
                    left.extend(&self.children[number as usize]);
                }
                _ => {}
            }
        }
        tally
    }

    /// What the hooks of a group itself mean for it.
    pub fn by_hooks(&self, group: u32) -> Option<StepState> {
        self.children[group as usize].iter().find_map(|child| match &self.nodes[*child as usize].kind {
            NodeKind::Hook(hook) => of_hook(hook.event.phase, hook.on_failure, self.state(*child)),
            _ => None,
        })
    }

    /// What a group comes to.
    pub fn group(&self, number: u32) -> StepState {
        match self.by_hooks(number) {
            Some(kind) if kind != StepState::Failed => kind,
            by_hooks => {
                let members = self.children[number as usize].iter().fold(Tally::default(), |mut tally, child| {
                    let of_child = self.tally(*child);
                    tally.merge(of_child);
                    tally
                });
                let result = members.result();
                by_hooks.filter(|_| result.is_good()).unwrap_or(result)
            }
        }
    }

    /// What the whole operation comes to. A cancel that came too late to keep anything from being done changes nothing.
    pub fn operation(&self, cancelled: bool) -> StepState {
        let result = if self.nodes.is_empty() { StepState::Ignored } else { self.group(0) };
        if cancelled && !result.is_good() { StepState::Cancelled } else { result }
    }

    /// How many services are how far.
    pub fn counts(&self) -> Counts {
        if self.nodes.is_empty() { Counts::default() } else { self.tally(0).counts }
    }
}

impl Tally {
    fn merge(&mut self, other: Tally) {
        let (counts, more) = (&mut self.counts, other.counts);
        counts.total += more.total;
        counts.planned += more.planned;
        counts.running += more.running;
        counts.done += more.done;
        counts.ignored += more.ignored;
        counts.failed += more.failed;
        counts.skipped += more.skipped;
        self.failures += other.failures;
        self.kinds.extend(other.kinds);
    }
}

/// How an operation ended, in words.
pub fn words(result: StepState, counts: &Counts) -> String {
    if counts.total == 0 {
        return "there was nothing to do".to_owned();
    }
    let mut parts = Vec::new();
    for (count, what) in [
        (counts.done, "done"),
        (counts.ignored, "not needed"),
        (counts.failed, "not done"),
        (counts.skipped, "not begun"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("{}: of {} {}", result.word().replace('_', " "), counts.many(), parts.join(", "))
}
