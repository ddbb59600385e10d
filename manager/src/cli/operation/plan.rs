//! What a dry run says: the tree with its limits.

use super::{Forest, words};
use crate::{
    cli::output::harmless,
    grid::operation::{
        NodeKind, WaitFor,
        view::{OperationDetail, StepView},
    },
};

/// What would be done, one line each.
pub fn lines(detail: &OperationDetail) -> Vec<String> {
    let forest = Forest::of(detail);
    let view = &detail.operation;
    let count = words::many(view.services.total, "service");
    let mut lines = vec![format!("{}: {count}; a dry run, nothing is done", words::title(view))];
    if let Some(root) = forest.root() {
        // One service has no order.
        let is_unnamed = matches!(&root.kind, NodeKind::Group(group) if words::group_name(group).is_none());
        let is_alone = is_unnamed && forest.children(root).count() == 1;
        let root = forest.children(root).next().filter(|_| is_alone).unwrap_or(root);
        add(&forest, root, 0, &mut lines);
    }
    lines
}

fn add<'a>(forest: &Forest<'a>, step: &'a StepView, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let late = if words::is_for_late_stop(&step.kind) { "if the stop takes longer: " } else { "" };
    let name = words::step(&step.kind);
    let text = match &step.kind {
        NodeKind::Group(group) => format!("{name}: {}", words::order(group)),
        NodeKind::Service(node) => match &node.impossible {
            Some(why) => format!("{name}: cannot be done: {}", harmless(why)),
            None => name,
        },
        NodeKind::Hook(hook) => {
            format!("{name}: at most {}, {}", words::limit(hook.timeout_ms), words::failure(hook))
        }
        NodeKind::Signal(_) => format!("{late}{name}"),
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
    forest.children(step).for_each(|child| add(forest, child, depth + 1, lines));
}
