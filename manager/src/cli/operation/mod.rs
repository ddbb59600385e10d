//! Operations as the command line shows them: the words, the tree, one line per change, the report.

pub mod changes;
pub mod follow;
pub mod plan;
pub mod report;
pub mod screen;
pub mod tree;
pub mod watching;
pub mod words;

#[cfg(test)]
mod sample;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::output::harmless;
use crate::grid::operation::{
    NodeKind,
    view::{LogLine, OperationDetail, StepView},
};

/// How many of the last lines that a hook wrote are kept to be shown under it.
const TAIL: usize = 20;

/// The longest line of a hook that is shown, in characters.
const LONGEST: usize = 1000;

/// Of each node its children, which stay the same while an operation goes on.
#[derive(Debug, Clone, Default)]
pub struct Shape(Arc<[Vec<usize>]>);

impl Shape {
    /// The shape of an operation. A node whose parent does not come before it is nobody's child.
    pub fn of(detail: &OperationDetail) -> Self {
        let mut children = vec![Vec::new(); detail.steps.len()];
        for (place, step) in detail.steps.iter().enumerate() {
            if let Some(parent) = step.parent.and_then(|parent| usize::try_from(parent).ok()).filter(|at| *at < place) {
                children[parent].push(place);
            }
        }
        Self(children.into())
    }
}

/// The nodes of an operation with their children.
pub struct Forest<'a> {
    steps: &'a [StepView],
    shape: Shape,
}

impl<'a> Forest<'a> {
    /// The nodes of an operation.
    pub fn of(detail: &'a OperationDetail) -> Self {
        Self::with(detail, &Shape::of(detail))
    }

    /// The nodes of an operation whose shape is known.
    pub fn with(detail: &'a OperationDetail, shape: &Shape) -> Self {
        Self { steps: &detail.steps, shape: shape.clone() }
    }

    /// A node by its number.
    pub fn step(&self, number: u32) -> Option<&'a StepView> {
        self.steps.get(number as usize)
    }

    /// The root.
    pub fn root(&self) -> Option<&'a StepView> {
        self.steps.first()
    }

    /// The children of a node.
    pub fn children(&self, of: &StepView) -> impl DoubleEndedIterator<Item = &'a StepView> + use<'_, 'a> {
        let places = self.shape.0.get(of.number as usize).map_or(&[][..], Vec::as_slice);
        places.iter().map(|place| &self.steps[*place])
    }

    /// Every service below a node, itself included.
    pub fn services(&self, below: &'a StepView) -> Vec<&'a StepView> {
        let mut found = Vec::new();
        let mut open = vec![below];
        while let Some(step) = open.pop() {
            match &step.kind {
                NodeKind::Service(_) => found.push(step),
                _ => open.extend(self.children(step).rev()),
            }
        }
        found
    }

    /// What is shown of the whole: one service that was named alone has no group around it.
    pub fn top(&self) -> Option<&'a StepView> {
        let root = self.root()?;
        let is_unnamed = matches!(&root.kind, NodeKind::Group(group) if words::group_name(group).is_none());
        let mut children = self.children(root);
        let first = children.next();
        if is_unnamed && children.next().is_none() { first.or(Some(root)) } else { Some(root) }
    }

    /// The nodes around a node, the innermost first.
    pub fn around(&self, step: &StepView) -> Vec<&'a StepView> {
        let (mut found, mut at, mut parent) = (Vec::new(), step.number, step.parent);
        while let Some(step) = parent.filter(|parent| *parent < at).and_then(|parent| self.steps.get(parent as usize)) {
            found.push(step);
            (at, parent) = (step.number, step.parent);
        }
        found
    }

    /// What a node is of: the service or the group that it belongs to, by its name.
    pub fn subject(&self, step: &'a StepView) -> Option<String> {
        let mut at = step;
        loop {
            match &at.kind {
                NodeKind::Service(node) => return Some(node.service.to_string()),
                NodeKind::Group(group) if group.collection.is_some() || at.parent.is_none() => {
                    return words::group_name(group);
                }
                _ => at = self.steps.get(at.parent? as usize).filter(|parent| parent.number < at.number)?,
            }
        }
    }
}

/// The last lines that each hook wrote.
#[derive(Debug, Default)]
pub struct Tails(HashMap<u32, VecDeque<String>>);

impl Tails {
    /// Takes what was written to the log.
    pub fn add(&mut self, line: &LogLine) {
        let tail = self.0.entry(line.step).or_default();
        for text in line.text.lines() {
            if tail.len() >= TAIL {
                tail.pop_front();
            }
            tail.push_back(harmless(text).chars().take(LONGEST).collect());
        }
    }

    /// The last lines of a step, at most so many.
    pub fn of(&self, step: u32, most: usize) -> impl Iterator<Item = &str> {
        let tail = self.0.get(&step);
        let skipped = tail.map_or(0, |tail| tail.len().saturating_sub(most));
        tail.into_iter().flatten().skip(skipped).map(String::as_str)
    }
}
