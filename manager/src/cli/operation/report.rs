//! What an operation came to: a line for each service, and one for all.

use comfy_table::Cell;
use protocol::time::Timestamp;

use super::{Forest, words};
use crate::{
    cli::output::{Output, harmless, text_of},
    grid::operation::{
        NodeKind, StepState,
        view::{OperationDetail, OperationState, OperationView, StepView},
    },
};

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
pub fn rows(detail: &OperationDetail, now: Timestamp) -> Vec<Row> {
    let forest = Forest::of(detail);
    let services = detail.steps.iter().filter(|step| matches!(step.kind, NodeKind::Service(_)));
    let is_interrupted = detail.operation.state == OperationState::Interrupted;
    let row = |step: &StepView| Row {
        service: words::step(&step.kind),
        result: step.state,
        interrupted: is_interrupted && step.state == StepState::Running,
        took: words::took(step, now).filter(|_| step.ended_at.is_some()).map(words::span).unwrap_or_default(),
        how: how(&forest, step, now),
    };
    services.map(row).collect()
}

/// How a service came to where it is: what is said of it, or what its steps brought about.
fn how(forest: &Forest<'_>, service: &StepView, now: Timestamp) -> String {
    let said = |step: &StepView| match (&step.kind, step.state) {
        (NodeKind::Wait(wait), StepState::Done) => {
            let took = words::took(step, now).map(words::span).unwrap_or_default();
            Some(format!("{} after {took}", words::until(wait.until)))
        }
        (_, state) if state.is_failure() => Some(format!("{}: {}", words::step(&step.kind), words::state(state))),
        _ => None,
    };
    let steps = forest.children(service).filter_map(said).collect::<Vec<_>>().join(", ");
    match words::why(service) {
        why if why.is_empty() || service.state == StepState::Done && !steps.is_empty() => steps,
        why => why,
    }
}

/// The operation as a whole, in one line.
pub fn summary(view: &OperationView, now: Timestamp) -> String {
    let took = words::span(view.ended_at.unwrap_or(now).since(view.created_at));
    // Counts stand in the line anyway, and how to go on is told below it.
    let is_said = view.state != OperationState::Ended
        || view.message.is_empty()
        || view.result.is_some_and(|result| view.message.starts_with(&format!("{}: of ", result.word())));
    let message = if is_said { String::new() } else { format!(" ({})", harmless(&view.message)) };
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
pub fn advice(view: &OperationView) -> Option<String> {
    let id = view.id;
    match (view.state, view.result) {
        (OperationState::Interrupted, _) => Some(format!(
            "the manager ended while operation {id} was carried out: `tomcat-grid operations show {id}` tells how far it \
             is, and `tomcat-grid operations resume {id}` goes on with it"
        )),
        (OperationState::Ended, Some(result)) if result.is_failure() => Some(format!(
            "`tomcat-grid operations show {id}` tells every step, and `tomcat-grid operations retry {id}` tries again \
             what was not done"
        )),
        _ => None,
    }
}

/// Shows what became of each service, and of all.
pub fn show(output: &mut Output, detail: &OperationDetail) {
    let now = Timestamp::now();
    let rows = rows(detail, now);
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
        output.line(&text_of(&table));
    }
    output.line(&summary(&detail.operation, now));
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

    #[test]
    fn each_service_says_how_it_came_to_where_it_is() {
        let sample = Sample::new("partly_failed")
            .service(0, "shop-a@web-1", "done", "", Some((0, 4)))
            .wait(1, "stopped", false, "done", Some((0, 1)))
            .wait(1, "active", false, "done", Some((1, 4)))
            .service(0, "shop-b@web-1", "failed", "no permission", Some((4, 5)))
            .service(0, "shop-c@web-1", "skipped", "", None);
        let detail = sample.detail(Some("partly_failed"));
        let rows = rows(&detail, at(90));
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
            summary(&detail.operation, at(99)),
            "restart front: partly failed; 1 done, 1 not done, 1 skipped of 3 services, 90 s; operation \
             00000000-0000-0000-0000-000000000000"
        );
        assert!(advice(&detail.operation).unwrap().contains("operations retry"));
    }

    #[test]
    fn only_what_can_be_helped_gets_advice() {
        let mut view = in_the_middle().operation;
        assert_eq!(advice(&view), None);
        view.state = OperationState::Interrupted;
        assert!(advice(&view).unwrap().contains("operations resume"));
    }
}
