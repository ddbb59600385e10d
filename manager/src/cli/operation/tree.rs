//! The tree of an operation in lines: as it goes, folded to what the screen has room for, and whole when it has ended.

use crossterm::style::{Color, Stylize};
use protocol::time::Timestamp;

use super::{Forest, Tails, words};
use crate::{
    cli::output::harmless,
    grid::operation::{
        NodeKind, StepState,
        view::{OperationDetail, OperationState, StepView},
    },
};

/// How many of the last lines of a hook that runs are shown.
const LIVE_TAIL: usize = 3;

/// How many of the last lines of a hook that ran are shown.
const WHOLE_TAIL: usize = 20;

/// The widest column of names.
const WIDEST: usize = 40;

/// A line of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How far it stands in.
    pub depth: usize,
    /// A mark before it, and its colour.
    pub mark: (&'static str, Option<Color>),
    /// The rest.
    pub text: String,
}

impl Line {
    fn new(depth: usize, state: StepState, text: String) -> Self {
        Self { depth, mark: words::mark(state), text }
    }

    /// A line that is not of the tree.
    pub fn note(text: &str) -> Self {
        Self::plain(0, harmless(text))
    }

    fn plain(depth: usize, text: String) -> Self {
        Self { depth, mark: ("", None), text }
    }

    /// The line as it is written, cut to a width in characters.
    pub fn write(&self, width: usize, colour: bool) -> String {
        let indent = " ".repeat(2 * self.depth);
        let (mark, blank) = (self.mark.0, if self.mark.0.is_empty() { "" } else { " " });
        let whole = format!("{indent}{mark}{blank}{}", self.text);
        let cut = console::truncate_str(whole.trim_end(), width, "…");
        match self.mark.1.filter(|_| colour && !mark.is_empty() && cut.chars().count() > indent.len()) {
            Some(wanted) => cut.replacen(mark, &mark.with(wanted).to_string(), 1),
            None => cut.into_owned(),
        }
    }
}

/// What is told in one line for many.
#[derive(Debug, Clone, Copy, Default)]
struct Fold {
    good: bool,
    to_come: bool,
    other: bool,
}

/// How services that are told together are told.
#[derive(Default)]
struct Folded {
    done: u32,
    ignored: u32,
    to_come: u32,
    other: u32,
}

impl Folded {
    fn takes(&mut self, fold: Fold, state: StepState) -> bool {
        let count = match state {
            StepState::Done if fold.good => &mut self.done,
            StepState::Ignored if fold.good => &mut self.ignored,
            StepState::Planned if fold.to_come => &mut self.to_come,
            state if fold.other && state.is_ended() && !state.is_good() => &mut self.other,
            _ => return false,
        };
        *count += 1;
        true
    }

    fn line(&self, depth: usize, what: [(u32, &str); 2], state: StepState) -> Option<Line> {
        let _ = self;
        let said: Vec<String> =
            what.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        (!said.is_empty()).then(|| Line::new(depth, state, said.join(", ")))
    }
}

/// An operation that goes on, in at most so many lines.
pub fn live(detail: &OperationDetail, tails: &Tails, now: Timestamp, height: usize) -> Vec<Line> {
    let forest = Forest::of(detail);
    let folds = [
        Fold::default(),
        Fold { good: true, ..Fold::default() },
        Fold { good: true, to_come: true, other: false },
        Fold { good: true, to_come: true, other: true },
    ];
    let drawing = Drawing { forest: &forest, tails, now, names: widest(detail) };
    let mut lines = Vec::new();
    for fold in folds {
        lines = vec![header(detail, now)];
        if let Some(root) = forest.root() {
            lines.extend(drawing.members(root, 0, fold));
        }
        if lines.len() <= height {
            return lines;
        }
    }
    let beyond = lines.len() + 1 - height.max(2);
    lines.truncate(height.max(2) - 1);
    lines.push(Line::plain(0, format!("… and {beyond} more lines")));
    lines
}

fn header(detail: &OperationDetail, now: Timestamp) -> Line {
    let view = &detail.operation;
    let word = match view.state {
        OperationState::Running => String::new(),
        state => format!("{} · ", state.word()),
    };
    let end = view.ended_at.unwrap_or(now);
    let time = words::span(end.since(view.created_at));
    Line::plain(0, format!("{} · {word}{} · {time}", words::title(view), words::counts(&view.services)))
}

fn widest(detail: &OperationDetail) -> usize {
    let name = |step: &StepView| match &step.kind {
        NodeKind::Service(node) => Some(node.service.as_str().chars().count()),
        _ => None,
    };
    detail.steps.iter().filter_map(name).max().unwrap_or(0).min(WIDEST)
}

struct Drawing<'a> {
    forest: &'a Forest<'a>,
    tails: &'a Tails,
    now: Timestamp,
    names: usize,
}

impl<'a> Drawing<'a> {
    /// What is below a group.
    fn members(&self, group: &'a StepView, depth: usize, fold: Fold) -> Vec<Line> {
        let (mut folded, mut lines) = (Folded::default(), Vec::new());
        for member in self.forest.children(group) {
            match &member.kind {
                NodeKind::Service(_) if folded.takes(fold, member.state) => {}
                NodeKind::Service(_) => lines.extend(self.service(member, depth)),
                NodeKind::Group(_) => {
                    let services = self.forest.services(member);
                    let mut inner = Folded::default();
                    let is_folded = services.iter().all(|service| inner.takes(fold, service.state));
                    lines.push(self.group(member, depth, services.len()));
                    // An empty group is no riddle.
                    if !is_folded {
                        lines.extend(self.members(member, depth + 1, fold));
                    }
                }
                _ => lines.extend(self.hook(member, depth)),
            }
        }
        let good = folded.line(depth, [(folded.done, "done"), (folded.ignored, "ignored")], StepState::Done);
        let other = folded.line(depth, [(folded.other, "not done"), (0, "")], StepState::Failed);
        let to_come = folded.line(depth, [(folded.to_come, "to come"), (0, "")], StepState::Planned);
        good.into_iter().chain(lines).chain(other).chain(to_come).collect()
    }

    fn group(&self, group: &StepView, depth: usize, services: usize) -> Line {
        let services = words::many(u32::try_from(services).unwrap_or(u32::MAX), "service");
        let took = words::took(group, self.now).map(|took| format!("  {}", words::span(took))).unwrap_or_default();
        let text = format!("{}  {services}  {}{took}", words::step(&group.kind), words::state(group.state));
        Line::new(depth, group.state, text)
    }

    fn service(&self, service: &'a StepView, depth: usize) -> Vec<Line> {
        let took = words::took(service, self.now).map(words::span).unwrap_or_default();
        let name = words::step(&service.kind);
        let in_hand = self.forest.children(service).find(|step| step.state == StepState::Running);
        let how = match in_hand {
            Some(step) => words::in_hand(step, self.now),
            None => harmless(&service.message),
        };
        let state = words::state(service.state);
        let text = format!("{name:<width$}  {state:<9}  {took:>7}  {how}", width = self.names);
        let mut lines = vec![Line::new(depth, service.state, text)];
        lines.extend(in_hand.into_iter().flat_map(|step| self.tail(step, depth + 2, LIVE_TAIL)));
        lines
    }

    /// A hook of a group: shown while it runs, and when it failed.
    fn hook(&self, hook: &StepView, depth: usize) -> Vec<Line> {
        match hook.state {
            StepState::Running => {
                let mut lines = vec![Line::new(depth, hook.state, words::in_hand(hook, self.now))];
                lines.extend(self.tail(hook, depth + 2, LIVE_TAIL));
                lines
            }
            state if state.is_failure() => {
                let text = format!("{}  {}", words::step(&hook.kind), harmless(&hook.message));
                vec![Line::new(depth, state, text)]
            }
            _ => Vec::new(),
        }
    }

    fn tail(&self, step: &StepView, depth: usize, most: usize) -> impl Iterator<Item = Line> {
        let is_hook = matches!(step.kind, NodeKind::Hook(_));
        let tail = is_hook.then(|| self.tails.of(step.number, most)).into_iter().flatten();
        tail.map(move |text| Line::plain(depth, format!("│ {text}")))
    }

    fn whole(&self, step: &'a StepView, depth: usize, lines: &mut Vec<Line>) {
        if step.state == StepState::Skipped && words::is_for_late_stop(&step.kind) {
            return;
        }
        let took = words::took(step, self.now).map(|took| format!("  {}", words::span(took))).unwrap_or_default();
        let message = words::why(step);
        let message = if message.is_empty() { message } else { format!("  {message}") };
        let name = match &step.kind {
            NodeKind::Group(group) => format!("{} ({})", words::step(&step.kind), words::order(group)),
            kind => words::step(kind),
        };
        let text = format!("{name}  {}{took}{message}", words::state(step.state));
        lines.push(Line::new(depth, step.state, text));
        lines.extend(self.tail(step, depth + 2, WHOLE_TAIL));
        self.forest.children(step).for_each(|child| self.whole(child, depth + 1, lines));
    }
}

/// An operation with every step.
pub fn whole(detail: &OperationDetail, tails: &Tails, now: Timestamp) -> Vec<Line> {
    let forest = Forest::of(detail);
    let drawing = Drawing { forest: &forest, tails, now, names: widest(detail) };
    let mut lines = Vec::new();
    if let Some(top) = forest.top() {
        drawing.whole(top, 0, &mut lines);
    }
    lines
}

#[cfg(test)]
mod tests;
