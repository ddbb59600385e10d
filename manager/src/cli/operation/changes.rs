//! One line per change: for pipes, and for the log of an execution.

use protocol::time::Timestamp;

use super::{Forest, words};
use crate::{
    cli::output::harmless,
    grid::operation::{
        NodeKind, Signal, StepState,
        view::{LogLine, OperationDetail, StepView},
    },
};

/// The most steps in hand that are told one by one.
const MOST_IN_HAND: usize = 20;

/// What is new of a step, if people are to be told: its subject and what became of it.
pub fn of_step(detail: &OperationDetail, before: StepState, step: &StepView) -> Option<String> {
    if before == step.state {
        return None;
    }
    let forest = Forest::of(detail);
    let subject = detail.steps.get(step.number as usize).and_then(|step| forest.subject(step));
    // What the call named has no name; the report tells what became of it.
    let is_unnamed = subject.is_none() && matches!(step.kind, NodeKind::Group(_));
    let told = told(step).filter(|_| !is_unnamed)?;
    Some(match subject {
        Some(subject) => format!("{subject} {told}"),
        None => told,
    })
}

fn told(step: &StepView) -> Option<String> {
    let why = words::why(step);
    let how = |text: &str| if why.is_empty() { text.to_owned() } else { format!("{text} ({why})") };
    let took = words::took(step, Timestamp::EPOCH).map(words::span);
    let ended = match &took {
        Some(took) => how(&format!("{} after {took}", words::state(step.state))),
        None => how(&words::state(step.state)),
    };
    match (&step.kind, step.state) {
        (_, StepState::Planned) => None,
        (NodeKind::Hook(_), StepState::Running) => Some(format!("{} begins", words::step(&step.kind))),
        (NodeKind::Hook(_), StepState::Skipped) => None,
        (NodeKind::Hook(_), _) => Some(format!("{} {ended}", words::step(&step.kind))),
        (NodeKind::Group(_) | NodeKind::Service(_), StepState::Running) => Some("begins".to_owned()),
        (NodeKind::Group(_) | NodeKind::Service(_), _) => Some(ended),
        (NodeKind::Delay(delay), StepState::Running) => Some(format!("pause of {}", words::limit(delay.delay_ms))),
        (NodeKind::Delay(_), _) => None,
        // A signal and a wait are told by what they bring about.
        (NodeKind::Signal(_) | NodeKind::Wait(_), StepState::Running | StepState::Skipped) => None,
        (NodeKind::Signal(node), StepState::Done) => {
            let doing = match node.signal {
                Signal::Start => "starting",
                Signal::Stop => "stopping",
                Signal::Kill => "killed",
                Signal::Restart => "restarting",
            };
            let why = if why.is_empty() { "delivered" } else { &why };
            Some(format!("{doing} ({}: {why})", node.signal.word()))
        }
        (NodeKind::Signal(node), _) => Some(format!("{} {ended}", node.signal.word())),
        (NodeKind::Wait(wait), StepState::Done) => {
            let after = took.map(|took| format!(" after {took}")).unwrap_or_default();
            Some(format!("is {}{after}", words::until(wait.until)))
        }
        (NodeKind::Wait(wait), _) => Some(format!("is not {}: {ended}", words::until(wait.until))),
    }
}

/// What was written to the log, line by line.
pub fn of_log(detail: &OperationDetail, line: &LogLine) -> Vec<String> {
    let forest = Forest::of(detail);
    let step = detail.steps.get(line.step as usize);
    let subject = step.and_then(|step| forest.subject(step)).map(|name| format!("{name} ")).unwrap_or_default();
    let program = match step.map(|step| &step.kind) {
        Some(NodeKind::Hook(hook)) => format!("{} ", harmless(&hook.program)),
        // What was delivered is told by the step itself.
        Some(NodeKind::Signal(node)) if line.text.starts_with(&format!("{}: ", node.signal.word())) => {
            return Vec::new();
        }
        // That it is on its way is told by the signal.
        Some(NodeKind::Wait(_)) if ["it is starting", "it is stopping"].contains(&line.text.as_str()) => {
            return Vec::new();
        }
        _ => String::new(),
    };
    line.text.lines().map(|text| format!("{subject}{program}| {}", harmless(text))).collect()
}

/// What is in hand, one line each.
pub fn in_hand(detail: &OperationDetail, now: Timestamp) -> Vec<String> {
    let forest = Forest::of(detail);
    let is_leaf = |step: &&StepView| !matches!(step.kind, NodeKind::Group(_) | NodeKind::Service(_));
    let running = detail.steps.iter().filter(|step| step.state == StepState::Running).filter(is_leaf);
    let mut lines: Vec<String> = running
        .map(|step| {
            let subject = forest.subject(step).map(|name| format!("{name} ")).unwrap_or_default();
            format!("{subject}{}", words::in_hand(step, now))
        })
        .collect();
    if lines.len() > MOST_IN_HAND {
        let more = lines.len() - MOST_IN_HAND;
        lines.truncate(MOST_IN_HAND);
        lines.push(format!("and {more} more"));
    }
    if lines.is_empty() {
        lines.push(words::counts(&detail.operation.services));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{
        super::sample::{Sample, at, in_the_middle},
        *,
    };

    #[test]
    fn the_table_of_changes() {
        let sample = || Sample::new("running").service(0, "shop-a@web-1", "running", "", Some((0, 0)));
        for (sample, said) in [
            (sample().signal(1, "stop", false, "running", ""), None),
            (
                sample().signal(1, "stop", false, "done", "SIGTERM sent to 4242"),
                Some("shop-a@web-1 stopping (stop: SIGTERM sent to 4242)"),
            ),
            (
                sample().signal(1, "start", false, "ignored", "it is active"),
                Some("shop-a@web-1 start ignored (it is active)"),
            ),
            (sample().wait(1, "stopped", false, "running", Some((1, 0))), None),
            (sample().wait(1, "stopped", false, "done", Some((1, 4))), Some("shop-a@web-1 is stopped after 3 s")),
            (
                sample().wait(1, "active", false, "timed_out", Some((1, 61))),
                Some("shop-a@web-1 is not active: timed out after 60 s"),
            ),
            (sample().wait(1, "stopped", true, "skipped", None), None),
            (sample().hook(1, "running", "", Some((1, 0))), Some("shop-a@web-1 hook pre-restart drain.sh begins")),
            (
                sample().hook(1, "failed", "exit code 3", Some((1, 2))),
                Some("shop-a@web-1 hook pre-restart drain.sh failed after 1 s (exit code 3)"),
            ),
            (
                sample().service(0, "shop-b@web-1", "skipped", "shop-a@web-1 failed", None),
                Some("shop-b@web-1 skipped (shop-a@web-1 failed)"),
            ),
            (sample().service(0, "shop-b@web-1", "running", "", Some((1, 0))), Some("shop-b@web-1 begins")),
            (sample().group(Some(0), "back", "done"), Some("back done")),
            (sample().hook(0, "done", "", Some((0, 1))), Some("front hook pre-restart drain.sh done after 1 s")),
        ] {
            let detail = sample.detail(None);
            let step = detail.steps.last().unwrap();
            assert_eq!(of_step(&detail, StepState::Planned, step).as_deref(), said, "{step:?}");
            assert_eq!(of_step(&detail, step.state, step), None);
        }
    }

    #[test]
    fn what_is_in_hand_is_told_with_its_time() {
        let lines = in_hand(&in_the_middle(), at(12));
        assert_eq!(lines, ["shop-c@web-1 waiting until it is stopped, 7 s of 60 s"]);
        let line = LogLine { number: 1, at: at(1), step: 4, text: "a\n\u{7}b".to_owned() };
        assert_eq!(of_log(&in_the_middle(), &line), ["shop-c@web-1 | a", "shop-c@web-1 |  b"]);
    }
}
