//! One line per change: for pipes, and for the log of an execution.

use protocol::time::Timestamp;

use super::{Forest, words};
use crate::{
    cli::output::harmless,
    grid::operation::{
        NodeKind, Signal, StepState, WaitFor,
        view::{LogLine, OperationDetail, StepView},
    },
};

/// The most steps in hand that are told one by one.
const MOST_IN_HAND: usize = 20;

/// What is new of a step, if people are to be told: its subject and what became of it.
pub fn of_step(forest: &Forest<'_>, before: StepState, step: &StepView) -> Option<String> {
    if before == step.state {
        return None;
    }
    let subject = forest.step(step.number).and_then(|step| forest.subject(step));
    // What the call named has no name; the report tells what became of it.
    let is_unnamed = subject.is_none() && matches!(step.kind, NodeKind::Group(_));
    let told = told(forest, step).filter(|_| !is_unnamed)?;
    Some(match subject {
        Some(subject) => format!("{subject} {told}"),
        None => told,
    })
}

/// A state that was waited for: after how long, or that it was so before.
pub fn reached(forest: &Forest<'_>, step: &StepView, until: WaitFor, took: Option<&str>) -> String {
    let until = words::until(until);
    let service = forest.around(step).into_iter().next();
    let before =
        service.into_iter().flat_map(|service| forest.children(service)).take_while(|one| one.number < step.number);
    let signal = before.filter(|one| matches!(one.kind, NodeKind::Signal(_)) && one.state != StepState::Skipped).last();
    match (signal.is_some_and(|signal| signal.state == StepState::Ignored), took) {
        (true, _) => format!("{until} already"),
        (false, Some(took)) => format!("{until} after {took}"),
        (false, None) => until.to_owned(),
    }
}

fn told(forest: &Forest<'_>, step: &StepView) -> Option<String> {
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
        // How it came to be so was told by its steps.
        (NodeKind::Group(_) | NodeKind::Service(_), StepState::Done) => Some(match &took {
            Some(took) => format!("done after {took}"),
            None => "done".to_owned(),
        }),
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
            Some(format!("is {}", reached(forest, step, wait.until, took.as_deref())))
        }
        (NodeKind::Wait(wait), _) => Some(format!("is not {}: {ended}", words::until(wait.until))),
    }
}

/// What was written to the log, line by line.
pub fn of_log(forest: &Forest<'_>, line: &LogLine) -> Vec<String> {
    let step = forest.step(line.step);
    let subject = step.and_then(|step| forest.subject(step)).map(|name| format!("{name} ")).unwrap_or_default();
    let program = match step.map(|step| &step.kind) {
        Some(NodeKind::Hook(hook)) => format!("{} ", harmless(&hook.program)),
        // What was delivered is told by the step itself.
        Some(NodeKind::Signal(node)) if line.text.starts_with(&format!("{}: ", node.signal.word())) => {
            return Vec::new();
        }
        // That it is on its way is told by the signal.
        Some(NodeKind::Wait(wait)) if is_told(&line.text, wait.until) => return Vec::new(),
        _ => String::new(),
    };
    line.text.lines().map(|text| format!("{subject}{program}| {}", harmless(text))).collect()
}

/// Whether a line of a wait says only what the signal before it, or its end, says too.
fn is_told(text: &str, until: WaitFor) -> bool {
    let end = format!("it is {}", words::until(until));
    let rest = text.strip_prefix(&end);
    ["it is starting", "it is stopping"].contains(&text)
        || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Every line of the log, with its time and what it is of.
pub fn logged(forest: &Forest<'_>, line: &LogLine) -> Vec<String> {
    let step = forest.step(line.step);
    let subject = step.and_then(|step| forest.subject(step)).map(|name| format!("{name} ")).unwrap_or_default();
    let what = match step.map(|step| &step.kind) {
        None | Some(NodeKind::Group(_) | NodeKind::Service(_)) => String::new(),
        Some(kind) => format!("{} ", words::step(kind)),
    };
    line.text.lines().map(|text| format!("{}  {subject}{what}| {}", line.at, harmless(text))).collect()
}

/// What is in hand, one line each, with what it is of. What `was_told` of is left out.
pub fn in_hand(detail: &OperationDetail, now: Timestamp, was_told: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let forest = Forest::of(detail);
    let is_leaf = |step: &&StepView| !matches!(step.kind, NodeKind::Group(_) | NodeKind::Service(_));
    let running = detail.steps.iter().filter(|step| step.state == StepState::Running).filter(is_leaf);
    let running: Vec<(String, &StepView)> =
        running.map(|step| (forest.subject(step).unwrap_or_default(), step)).collect();
    if running.is_empty() && !was_told("") {
        return vec![(String::new(), words::counts(&detail.operation.services))];
    }
    let due = running.into_iter().filter(|(subject, _)| !was_told(subject));
    let mut lines: Vec<(String, String)> = due
        .map(|(subject, step)| {
            let text = format!("{subject} {}", words::in_hand(step, now));
            (subject, text.trim_start().to_owned())
        })
        .collect();
    if lines.len() > MOST_IN_HAND {
        let more = lines.len() - MOST_IN_HAND;
        lines[MOST_IN_HAND].1 = format!("and {more} more");
        // Those that are only counted were told, too.
        lines[MOST_IN_HAND + 1..].iter_mut().for_each(|(_, text)| text.clear());
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
            (
                sample().signal(1, "stop", false, "ignored", "it is stopped").wait(
                    1,
                    "stopped",
                    false,
                    "done",
                    Some((1, 1)),
                ),
                Some("shop-a@web-1 is stopped already"),
            ),
            (
                sample().service(0, "shop-b@web-1", "done", "it is active", Some((1, 2))),
                Some("shop-b@web-1 done after 1 s"),
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
            let (forest, step) = (Forest::of(&detail), detail.steps.last().unwrap());
            assert_eq!(of_step(&forest, StepState::Planned, step).as_deref(), said, "{step:?}");
            assert_eq!(of_step(&forest, step.state, step), None);
        }
    }

    #[test]
    fn what_is_in_hand_is_told_with_its_time() {
        let lines = in_hand(&in_the_middle(), at(12), |_| false);
        let lines: Vec<&str> = lines.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(in_hand(&in_the_middle(), at(12), |subject| subject == "shop-c@web-1"), []);
        assert_eq!(lines, ["shop-c@web-1 waiting until it is stopped, 7 s of 60 s"]);
        let line = LogLine { number: 1, at: at(1), step: 4, text: "a\n\u{7}b".to_owned() };
        let detail = in_the_middle();
        let forest = Forest::of(&detail);
        assert_eq!(of_log(&forest, &line), ["shop-c@web-1 | a", "shop-c@web-1 |  b"]);
        let at = line.at;
        let logged = logged(&forest, &line);
        assert_eq!(logged[0], format!("{at}  shop-c@web-1 stop signal | a"));
        for (text, is_left_out) in [
            ("it is stopping", true),
            ("it is stopped", true),
            ("it is stopped: stopped by the grid", true),
            ("it is stopping: 3 requests are open", false),
        ] {
            assert_eq!(is_told(text, WaitFor::Stopped), is_left_out, "{text}");
        }
    }
}
