//! What an operation came to: a line for each service, and one for all.

use comfy_table::Cell;
use protocol::{state::State, time::Timestamp};

use super::{Forest, Tails, changes, plan::States, words};
use crate::{
    cli::output::{Output, harmless},
    grid::{
        config::HookFailure,
        operation::{
            NodeKind, StepState,
            view::{OperationDetail, OperationState, OperationView, StepView},
        },
    },
};

/// What a report takes besides the operation.
#[derive(Debug, Default)]
pub struct Besides {
    /// The last that each hook wrote.
    pub tails: Tails,
    /// The states of services that were left in the middle.
    pub states: States,
}

/// What became of a service.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub service: String,
    /// What became of it.
    pub result: StepState,
    /// Whether it was in hand when the manager ended.
    pub interrupted: bool,
    /// How long that took.
    pub took: String,
    /// How, or why not.
    pub how: String,
}

/// What became of each service.
pub fn rows(detail: &OperationDetail, besides: &Besides, now: Timestamp) -> Vec<Row> {
    let forest = Forest::of(detail);
    let services = detail.steps.iter().filter(|step| matches!(step.kind, NodeKind::Service(_)));
    let is_interrupted = detail.operation.state == OperationState::Interrupted;
    let row = |step: &StepView| Row {
        service: words::step(&step.kind),
        result: step.state,
        interrupted: is_interrupted && step.state == StepState::Running,
        took: words::took(step, now).filter(|_| step.ended_at.is_some()).map(words::span).unwrap_or_default(),
        how: how(&forest, step, besides, now),
    };
    services.map(row).collect()
}

/// What the steps of a service brought about, each in words.
fn brought_about(forest: &Forest<'_>, service: &StepView, now: Timestamp) -> Vec<String> {
    let steps: Vec<&StepView> = forest.children(service).collect();
    let is_killed = |step: &&&StepView| words::is_for_late_stop(&step.kind) && step.state == StepState::Done;
    let said = |(place, step): (usize, &&StepView)| match (&step.kind, step.state) {
        (NodeKind::Signal(signal), StepState::Done) if signal.if_stop_timed_out => Some("killed".to_owned()),
        (NodeKind::Signal(signal), StepState::Done) => {
            let next = steps.get(place + 1).filter(|next| matches!(next.kind, NodeKind::Wait(_)));
            let is_told = next.is_some_and(|wait| wait.state == StepState::Done || wait.state == StepState::TimedOut);
            (!is_told).then(|| format!("{} sent", signal.signal.word()))
        }
        // The kill tells it.
        (NodeKind::Wait(wait), StepState::Done) if wait.if_stop_timed_out => None,
        (NodeKind::Wait(wait), StepState::TimedOut) if steps.iter().skip(place).any(|step| is_killed(&step)) => {
            Some(format!("not {} within {}", words::until(wait.until), words::limit(wait.timeout_ms)))
        }
        (NodeKind::Wait(wait), StepState::Done) => {
            let took = words::took(step, now).map(words::span);
            let reached = changes::reached(forest, step, wait.until, took.as_deref());
            Some(if reached.ends_with(" already") { format!("was {reached}") } else { reached })
        }
        _ => None,
    };
    steps.iter().enumerate().filter_map(said).collect()
}

/// How a service came to where it is: what is said of it, or what its steps brought about.
fn how(forest: &Forest<'_>, service: &StepView, besides: &Besides, now: Timestamp) -> String {
    let noted = |step: &StepView| match &step.kind {
        NodeKind::Hook(hook) if step.state.is_failure() && hook.on_failure == HookFailure::Warn => {
            Some(format!("{}: {}, only noted", words::step(&step.kind), words::state(step.state)))
        }
        _ => None,
    };
    let done = brought_about(forest, service, now);
    let why = words::why(service);
    if why.is_empty() || service.state == StepState::Done && !done.is_empty() {
        return done.into_iter().chain(forest.children(service).filter_map(noted)).collect::<Vec<_>>().join(", ");
    }
    let hook = forest.children(service).find_map(|step| said_by_hook(step, &besides.tails));
    let before = Some(done.join(", ")).filter(|done| !service.state.is_good() && !done.is_empty());
    let before = before.map(|done| format!("before that: {done}"));
    let left = left(forest, service, &besides.states);
    [Some(why), hook, before, left].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Why a hook failed whose failure counts, and the last that it wrote.
fn said_by_hook(step: &StepView, tails: &Tails) -> Option<String> {
    let NodeKind::Hook(hook) = &step.kind else { return None };
    if !step.state.is_failure() || hook.on_failure == HookFailure::Warn {
        return None;
    }
    let last = tails.of(step.number, 1).next().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let last = last.map(|last| format!(", its last line: {last}")).unwrap_or_default();
    Some(format!("{}{last}", words::why(step)))
}

/// How a service was left in the middle: what was not begun, and its state if that is known.
pub fn left(forest: &Forest<'_>, service: &StepView, states: &States) -> Option<String> {
    let NodeKind::Service(node) = &service.kind else { return None };
    service.started_at?;
    if service.state != StepState::Cancelled {
        let state = states.get(&node.service).filter(|state| **state != State::NotAvailable)?;
        let is_worth_it = service.state.is_failure() || service.state == StepState::Superseded;
        return is_worth_it.then(|| format!("it is {} now", state.to_string().replace('_', " ")));
    }
    let planned = |step: &&StepView| !words::is_for_late_stop(&step.kind);
    let signals = || {
        forest.children(service).filter(planned).filter_map(|step| match &step.kind {
            NodeKind::Signal(signal) => Some((signal.signal.word(), step.state)),
            _ => None,
        })
    };
    let is_begun = |state: StepState| !matches!(state, StepState::Planned | StepState::Skipped);
    let how = match signals().find(|(_, state)| !is_begun(*state)) {
        Some((signal, _)) => format!("the {signal} was not begun"),
        None => format!("nobody waited for the end of the {}", signals().next_back()?.0),
    };
    Some(match states.get(&node.service) {
        Some(state) => format!("left {}: {how}", state.to_string().replace('_', " ")),
        None => how,
    })
}

/// Whether a service was begun and is not where it was to be: then its state is worth asking for.
pub fn is_left(detail: &OperationDetail) -> bool {
    let is_begun = |step: &StepView| matches!(step.kind, NodeKind::Service(_)) && step.started_at.is_some();
    let is_left =
        |state: StepState| state.is_failure() || matches!(state, StepState::Cancelled | StepState::Superseded);
    detail.steps.iter().any(|step| is_begun(step) && is_left(step.state))
}

/// Why the whole was stopped by a hook of its own.
fn vetoed_by(detail: &OperationDetail, tails: &Tails) -> Option<String> {
    let failed = detail.steps.iter().filter(|step| step.state.is_failure());
    failed
        .filter_map(|step| match &step.kind {
            NodeKind::Hook(hook) => Some((hook, said_by_hook(step, tails)?)),
            _ => None,
        })
        .map(|(hook, said)| format!("hook {} {}: {said}", hook.event, harmless(&hook.program)))
        .next()
}

/// The operation as a whole, in one line.
pub fn summary(view: &OperationView, rows: &[Row], why: Option<&str>, now: Timestamp) -> String {
    let took = words::span(view.ended_at.unwrap_or(now).since(view.created_at));
    // Counts stand in the line anyway, and how to go on is told below it.
    let is_said = view.state != OperationState::Ended
        || view.message.is_empty()
        || rows.iter().any(|row| row.how.contains(&harmless(&view.message)))
        || view.result.is_some_and(|result| view.message.starts_with(&format!("{}: of ", words::state(result))));
    let message = match why {
        Some(why) => format!(" ({why})"),
        None if is_said => String::new(),
        None => format!(" ({})", harmless(&view.message)),
    };
    format!(
        "{}: {}{message}; {} of {}, {took}; operation {}",
        words::title(view),
        words::result(view),
        words::counts(&view.services),
        words::many(view.services.total, "service"),
        view.id
    )
}

/// What can be done about an operation that did not come out well.
pub fn advice(detail: &OperationDetail) -> Option<String> {
    let view = &detail.operation;
    let id = view.id;
    // What can never be done is not tried again.
    let can_be_done = detail.steps.iter().any(|step| match &step.kind {
        NodeKind::Service(node) => !step.state.is_good() && node.impossible.is_none() && !node.gone,
        _ => false,
    });
    match (view.state, view.result) {
        (OperationState::Interrupted, _) => Some(format!(
            "the manager ended while it was carried out: `tomcat-grid operations resume {id}` goes on with it, and \
             `show` in place of `resume` tells how far it is"
        )),
        (OperationState::Ended, Some(result)) if result.is_failure() && can_be_done => Some(format!(
            "`tomcat-grid operations retry {id}` tries again what was not done, and `show` in place of `retry` tells every \
             step"
        )),
        _ => None,
    }
}

/// Shows what became of each service, and of all.
pub fn show(output: &mut Output, detail: &OperationDetail, besides: &Besides) {
    let now = Timestamp::now();
    let rows = rows(detail, besides, now);
    let why = vetoed_by(detail, &besides.tails).filter(|_| detail.operation.result == Some(StepState::Vetoed));
    let summary = summary(&detail.operation, &rows, why.as_deref(), now);
    if !rows.is_empty() {
        let mut table = output.table(&["SERVICE", "RESULT", "TOOK", "HOW"]);
        for row in rows {
            let (mark, colour) = if row.interrupted { ("?", None) } else { words::mark(row.result) };
            let word = if row.interrupted { "interrupted".to_owned() } else { words::state(row.result) };
            let result = Cell::new(format!("{mark} {word}"));
            let result = match colour {
                Some(colour) => result.fg(table_colour(colour)),
                None => result,
            };
            table.add_row(vec![Cell::new(row.service), result, Cell::new(row.took), Cell::new(row.how)]);
        }
        output.show(table);
    }
    output.line(&summary);
}

/// Tables have colours of their own.
pub fn table_colour(colour: crossterm::style::Color) -> comfy_table::Color {
    match colour {
        crossterm::style::Color::Green => comfy_table::Color::Green,
        crossterm::style::Color::Cyan => comfy_table::Color::Cyan,
        crossterm::style::Color::Yellow => comfy_table::Color::Yellow,
        crossterm::style::Color::Magenta => comfy_table::Color::Magenta,
        crossterm::style::Color::Red => comfy_table::Color::Red,
        _ => comfy_table::Color::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::sample::{Sample, at, in_the_middle},
        *,
    };
    use crate::grid::operation::view::LogLine;

    #[test]
    fn each_service_says_how_it_came_to_where_it_is() {
        let sample = Sample::new("partly_failed")
            .service(0, "shop-a@web-1", "done", "", Some((0, 4)))
            .wait(1, "stopped", false, "done", Some((0, 1)))
            .wait(1, "active", false, "done", Some((1, 4)))
            .service(0, "shop-b@web-1", "failed", "no permission", Some((4, 5)))
            .service(0, "shop-c@web-1", "skipped", "", None);
        let detail = sample.detail(Some("partly_failed"));
        let rows = rows(&detail, &Besides::default(), at(90));
        let shown: Vec<(&str, &str, &str)> =
            rows.iter().map(|row| (row.result.word(), row.took.as_str(), row.how.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("done", "4 s", "stopped after 1 s, active after 3 s"),
                ("failed", "1 s", "no permission"),
                ("skipped", "", "")
            ]
        );
        assert_eq!(
            summary(&detail.operation, &rows, None, at(99)),
            "restart front: partly failed; 1 done, 1 not done, 1 skipped of 3 services, 90 s; operation \
             00000000-0000-0000-0000-000000000000"
        );
        assert!(advice(&detail).unwrap().contains("operations retry"));
    }

    #[test]
    fn only_what_can_be_helped_gets_advice() {
        let mut detail = in_the_middle();
        assert_eq!(advice(&detail), None);
        detail.operation.state = OperationState::Interrupted;
        assert!(advice(&detail).unwrap().contains("operations resume"));
    }

    #[test]
    fn a_veto_says_why() {
        let sample =
            Sample::new("vetoed").service(0, "shop-a@web-1", "vetoed", "vetoed by the hook drain.sh", Some((0, 1)));
        let detail = sample.hook(1, "failed", "it ended with exit code 3", Some((0, 1))).detail(Some("vetoed"));
        let mut besides = Besides::default();
        let text = "first\nnot today\n".to_owned();
        besides.tails.add(&LogLine { number: 1, at: at(0), step: 2, text });
        let why = "it ended with exit code 3, its last line: not today";
        assert_eq!(rows(&detail, &besides, at(9))[0].how, format!("vetoed by the hook drain.sh; {why}"));
        assert_eq!(vetoed_by(&detail, &besides.tails), Some(format!("hook pre-restart drain.sh: {why}")));
    }

    #[test]
    fn what_was_left_in_the_middle_says_how() {
        let left_with = |stop: &str, start: &str, states: &States| {
            let sample = Sample::new("cancelled").service(0, "shop-a@web-1", "cancelled", "cancelled", Some((0, 1)));
            let detail = sample
                .signal(1, "stop", false, stop, "")
                .signal(1, "start", false, start, "")
                .detail(Some("cancelled"));
            left(&Forest::of(&detail), &detail.steps[1], states)
        };
        let stopped = States::from([("shop-a@web-1".parse().unwrap(), protocol::state::State::Stopped)]);
        for (stop, start, states, words) in [
            ("done", "skipped", &stopped, "left stopped: the start was not begun"),
            ("done", "planned", &States::new(), "the start was not begun"),
            ("skipped", "skipped", &States::new(), "the stop was not begun"),
            ("done", "done", &stopped, "left stopped: nobody waited for the end of the start"),
        ] {
            assert_eq!(left_with(stop, start, states).as_deref(), Some(words));
        }
    }
}
