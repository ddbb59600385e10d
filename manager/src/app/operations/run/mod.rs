//! Carries an operation out: walks its tree, group by group and service by service, as the rules of
//! [`crate::grid::operation`] say.

mod group;
mod hook;
mod output;
mod sending;
mod service;
mod signal;
mod standing;
mod wait;

pub(in crate::app) use self::hook::ended as hook_ended;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{
    live::{Control, Live},
    recorder::{Change, Recorder},
};
use crate::{
    app::App,
    grid::operation::{Node, NodeKind, ServiceNode, StepState, Tree, outcome::Standing},
};

/// Why what comes after a cancel is not begun.
const CANCELLED: &str = "not begun: the operation was cancelled";

/// How a step ended, and why.
type Ended = (StepState, String);

/// One operation, being carried out.
pub(super) struct Run {
    app: Arc<App>,
    live: Arc<Live>,
    recorder: Recorder,
    tree: Tree,
    children: Vec<Vec<u32>>,
    /// How far each node is. What is shown follows when it is on disk.
    states: Mutex<Vec<StepState>>,
    /// Of each group how many services in it failed.
    failures: HashMap<u32, AtomicU32>,
    /// Whether a manager that is gone had it in hand before.
    resumed: bool,
}

impl Run {
    pub(super) fn new(app: Arc<App>, live: Arc<Live>, resumed: bool) -> Self {
        let steps = live.steps();
        let states = steps.iter().map(|step| step.view.state).collect();
        let node = |step: crate::store::operations::StoredStep| Node { parent: step.view.parent, kind: step.view.kind };
        let tree = Tree { nodes: steps.into_iter().map(node).collect() };
        let groups = (0..).zip(&tree.nodes).filter(|(_, node)| matches!(node.kind, NodeKind::Group(_)));
        let failures = groups.map(|(number, _)| (number, AtomicU32::new(0))).collect();
        let (children, recorder) = (tree.children(), app.operations.recorder.clone());
        let run = Self { app, live, recorder, tree, children, states: Mutex::new(states), failures, resumed };
        // What failed before a manager's end counts.
        for number in 0..u32::try_from(run.tree.nodes.len()).unwrap_or(u32::MAX) {
            if matches!(run.kind(number), NodeKind::Service(_)) && run.state(number).is_failure() {
                run.count_failure(number);
            }
            // What their own hooks made fail counts, too; those in hand are counted at their end.
            let is_group = matches!(run.kind(number), NodeKind::Group(_)) && run.state(number).is_ended();
            if is_group && run.standing(|standing| standing.by_hooks(number)).is_some_and(StepState::is_failure) {
                run.count_group(number);
            }
        }
        run
    }

    /// Carries it out to its end; returns how it ended, and in words.
    pub(super) async fn carry_out(&self) -> Ended {
        self.node(0).await;
        // What is said of the whole is read from what is shown of its parts.
        let _tried_again = self.recorder.flush().await;
        let cancelled = self.live.control() != Control::Go;
        let (result, counts) = self.standing(|standing| (standing.operation(cancelled), standing.counts()));
        let mut words = crate::grid::operation::outcome::words(result, &counts);
        // Of one service what became of it says more.
        let mut services = (0..).zip(&self.tree.nodes).filter(|(_, node)| matches!(node.kind, NodeKind::Service(_)));
        if let (Some((only, _)), None) = (services.next(), services.next())
            && let Some(step) = self.live.step(only).filter(|step| !step.view.message.is_empty())
        {
            words = step.view.message;
        }
        (result, words)
    }

    fn kind(&self, number: u32) -> &NodeKind {
        &self.tree.nodes[number as usize].kind
    }

    fn children(&self, number: u32) -> &[u32] {
        &self.children[number as usize]
    }

    /// Looks at how far the tree is.
    fn standing<T>(&self, look: impl FnOnce(Standing<'_>) -> T) -> T {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        look(Standing::with(&self.tree, &self.children, &states))
    }

    fn state(&self, number: u32) -> StepState {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)[number as usize]
    }

    fn set(&self, number: u32, state: StepState) {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)[number as usize] = state;
    }

    /// A node begins for which nothing is sent.
    async fn begin(&self, number: u32, message: &str) {
        self.set(number, StepState::Running);
        let change = Change::Begin { order: None, message: message.to_owned() };
        self.recorder.change(&self.live, number, change).await;
    }

    /// What is going on with a node is something else.
    async fn note(&self, number: u32, message: String) {
        self.recorder.change(&self.live, number, Change::Note(message)).await;
    }

    /// A node ends.
    async fn end(&self, number: u32, state: StepState, message: impl Into<String>) {
        self.set(number, state);
        self.recorder.change(&self.live, number, Change::End { state, message: message.into() }).await;
    }

    /// A node and all in it are not begun.
    async fn skip(&self, number: u32, why: &str) {
        let mut left = vec![number];
        while let Some(number) = left.pop() {
            if !self.state(number).is_ended() {
                self.end(number, StepState::Skipped, why).await;
            }
            left.extend(self.children(number));
        }
    }

    /// A service has failed: all groups around it count it.
    fn count_failure(&self, number: u32) {
        let mut at = self.tree.nodes[number as usize].parent;
        while let Some(group) = at {
            if let Some(failures) = self.failures.get(&group) {
                failures.fetch_add(1, Ordering::Relaxed);
            }
            at = self.tree.nodes[group as usize].parent;
        }
    }

    /// A group has failed by a hook of its own: it and all groups around it count it.
    fn count_group(&self, number: u32) {
        if let Some(failures) = self.failures.get(&number) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
        self.count_failure(number);
    }

    /// Says in the log what a command on a service does to other operations; returns it.
    async fn warn(&self, number: u32, node: &ServiceNode) -> String {
        let (command, is_limited) = (self.live.asked.command, self.live.is_limited);
        let warnings = self.app.warnings_of(command, node, Some(self.live.id), is_limited);
        for warning in &warnings {
            self.recorder.line(&self.live, number, format!("warning: {warning}")).await;
        }
        warnings.join("; ")
    }
}
