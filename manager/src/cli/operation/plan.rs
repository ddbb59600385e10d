//! What a dry run says: the tree with its limits.

use std::collections::HashMap;

use protocol::{name::ServiceName, state::State};

use super::{Forest, words};
use crate::{
    cli::output::harmless,
    grid::operation::{
        NodeKind, Signal, WaitFor,
        needless::needless,
        view::{OperationDetail, StepView},
    },
};

/// The states of services, as they are now.
pub type States = HashMap<ServiceName, State>;

/// What would be done, one line each; with `states`, which of it there would be no need for.
pub fn lines(detail: &OperationDetail, states: &States) -> Vec<String> {
    let forest = Forest::of(detail);
    let view = &detail.operation;
    let count = words::many(view.services.total, "service");
    let mut lines = vec![format!("{}: {count}; a dry run, nothing is done", words::title(view))];
    if let Some(top) = forest.top() {
        let planning = Planning { forest: &forest, needless: needless_steps(&forest, detail, states) };
        planning.add(top, 0, &mut lines);
    }
    lines
}

/// Why there is no need for a signal as things are now, by the numbers of the signals.
fn needless_steps(forest: &Forest<'_>, detail: &OperationDetail, states: &States) -> HashMap<u32, String> {
    let mut found = HashMap::new();
    for step in &detail.steps {
        let NodeKind::Service(node) = &step.kind else { continue };
        let Some(mut state) = states.get(&node.service).copied() else { continue };
        for step in forest.children(step) {
            let NodeKind::Signal(signal) = &step.kind else { continue };
            if signal.if_stop_timed_out {
                continue;
            }
            if let Some(why) = needless(signal.signal, node.r#type, state) {
                found.insert(step.number, why);
            }
            // If all goes well before the next.
            state = if signal.signal == Signal::Start { State::Active } else { State::Stopped };
        }
    }
    found
}

struct Planning<'a> {
    forest: &'a Forest<'a>,
    needless: HashMap<u32, String>,
}

impl<'a> Planning<'a> {
    fn add(&self, step: &'a StepView, depth: usize, lines: &mut Vec<String>) {
        let indent = "  ".repeat(depth);
        let late = if words::is_for_late_stop(&step.kind) { "if the stop takes longer: " } else { "" };
        let name = words::step(&step.kind);
        let text = match &step.kind {
            NodeKind::Group(group) => format!("{name}: {}", words::order(group)),
            NodeKind::Service(node) => match &node.impossible {
                Some(why) => format!("{name}: cannot be done: {}", harmless(why)),
                None if !step.message.is_empty() => format!("{name}: warning: {}", harmless(&step.message)),
                None => name,
            },
            NodeKind::Hook(hook) => {
                format!("{name}: at most {}, {}", words::limit(hook.timeout_ms), words::failure(hook))
            }
            NodeKind::Signal(_) => match self.needless.get(&step.number) {
                Some(why) => format!("{name}: would be ignored, as things are now: {why}"),
                None => format!("{late}{name}"),
            },
            NodeKind::Wait(wait) => {
                let state = match wait.until {
                    WaitFor::Active => "active",
                    WaitFor::Stopped => "stopped",
                };
                format!("{late}wait until it is {state}: at most {}", words::limit(wait.timeout_ms))
            }
            NodeKind::Delay(_) => name,
        };
        lines.push(format!("{indent}{text}"));
        self.forest.children(step).for_each(|child| self.add(child, depth + 1, lines));
    }
}
