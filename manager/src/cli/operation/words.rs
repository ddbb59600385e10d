//! What steps and their states are called.

use std::time::Duration;

use crossterm::style::Color;
use protocol::time::Timestamp;

use crate::{
    cli::output::harmless,
    grid::{
        config::{HookFailure, Mode, OnFailure},
        hooks::HookPlace,
        operation::{
            Group, HookNode, NodeKind, StepState, WaitFor,
            view::{Counts, OperationState, OperationView, StepView},
        },
    },
};

/// A state as people read it.
pub fn state(state: StepState) -> String {
    state.word().replace('_', " ")
}

/// The shape and colour of a state.
pub fn mark(state: StepState) -> (&'static str, Option<Color>) {
    match state {
        StepState::Planned => ("·", None),
        StepState::Running => ("◐", Some(Color::Cyan)),
        StepState::Done => ("✓", Some(Color::Green)),
        StepState::Ignored => ("=", None),
        StepState::Skipped => ("-", None),
        StepState::Cancelled | StepState::Superseded => ("⊘", Some(Color::Yellow)),
        StepState::NotAvailable | StepState::Unknown | StepState::Gone => ("?", Some(Color::Magenta)),
        StepState::Failed
        | StepState::TimedOut
        | StepState::PartlyFailed
        | StepState::Vetoed
        | StepState::Refused
        | StepState::Conflict => ("✗", Some(Color::Red)),
    }
}

/// A time as people read it, short.
pub fn span(time: Duration) -> String {
    let ms = time.as_millis();
    // To the nearest second where only seconds are shown.
    let seconds = if ms < 10_000 { time.as_secs() } else { (time + Duration::from_millis(500)).as_secs() };
    match ms {
        0..10_000 if ms.is_multiple_of(1000) => format!("{seconds} s"),
        0..1000 => format!("{:.2} s", time.as_secs_f64()),
        1000..10_000 => format!("{:.1} s", time.as_secs_f64()),
        10_000..120_000 => format!("{seconds} s"),
        120_000..3_600_000 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A time limit as people read it: the whole of it.
pub fn limit(ms: u64) -> String {
    match ms {
        ms if ms < 120_000 || ms % 60_000 != 0 => format!("{} s", ms as f64 / 1000.0),
        ms => format!("{} min", ms / 60_000),
    }
}

/// How long something has lasted, in the one unit that matters.
pub fn limit_of(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// How long a step took, or takes until now.
pub fn took(step: &StepView, now: Timestamp) -> Option<Duration> {
    let begun = step.started_at?;
    let end = match step.ended_at {
        Some(ended) => ended,
        None if step.state.is_ended() => return None,
        None => now,
    };
    Some(end.since(begun))
}

/// What a group is called: by its collection's name; nothing for what the call named.
pub fn group_name(group: &Group) -> Option<String> {
    match &group.collection {
        Some(name) => Some(name.to_string()),
        None => group.is_grid.then(|| "all".to_owned()),
    }
}

/// In what order a group is worked on.
pub fn order(group: &Group) -> String {
    let order = match (group.mode, group.max_parallel) {
        (Mode::Sequential, _) => "one after the other".to_owned(),
        (Mode::Parallel, None) => "all at once".to_owned(),
        (Mode::Parallel, Some(most)) => format!("{most} at a time"),
    };
    let failure = match (group.on_failure, group.failure_budget) {
        (OnFailure::Stop, None) | (_, Some(0)) => "stops at the first failure".to_owned(),
        (OnFailure::Continue, None) => "goes on after failures".to_owned(),
        (_, Some(budget)) => format!("goes on until more than {budget} have failed"),
    };
    format!("{order}, {failure}")
}

/// A step as people read it.
pub fn step(kind: &NodeKind) -> String {
    match kind {
        NodeKind::Group(group) => group_name(group).unwrap_or_else(|| "what was named".to_owned()),
        NodeKind::Service(node) => node.service.to_string(),
        NodeKind::Hook(hook) => format!("hook {} {}{}", hook.event, harmless(&hook.program), place(hook)),
        NodeKind::Signal(signal) => format!("{} signal", signal.signal.word()),
        NodeKind::Wait(wait) => format!("wait until it is {}", until(wait.until)),
        NodeKind::Delay(delay) => format!("pause of {}", limit(delay.delay_ms)),
    }
}

/// The state that is waited for.
pub fn until(until: WaitFor) -> &'static str {
    match until {
        WaitFor::Active => "active",
        WaitFor::Stopped => "stopped",
    }
}

fn place(hook: &HookNode) -> &'static str {
    match hook.place {
        HookPlace::Machine => "",
        HookPlace::Manager => " on the manager's host",
    }
}

/// What the failure of a hook does.
pub fn failure(hook: &HookNode) -> &'static str {
    match hook.on_failure {
        HookFailure::Abort => "its failure counts",
        HookFailure::Warn => "its failure is only noted",
    }
}

/// A step that is in hand, with how long it takes already and may take.
pub fn in_hand(step: &StepView, now: Timestamp) -> String {
    let took = span(took(step, now).unwrap_or_default());
    let doing = match &step.kind {
        NodeKind::Hook(hook) => format!("{}, {took} of {}", self::step(&step.kind), limit(hook.timeout_ms)),
        NodeKind::Signal(signal) => format!("{} signal is being delivered", signal.signal.word()),
        NodeKind::Wait(wait) => {
            format!("waiting until it is {}, {took} of {}", until(wait.until), limit(wait.timeout_ms))
        }
        NodeKind::Delay(delay) => format!("pause, {took} of {}", limit(delay.delay_ms)),
        NodeKind::Group(_) | NodeKind::Service(_) => took,
    };
    if step.message.is_empty() { doing } else { format!("{doing}: {}", harmless(&step.message)) }
}

/// Why a step is as it is, without the state, which stands beside it.
pub fn why(step: &StepView) -> String {
    let message = harmless(&step.message);
    let prefixes = [step.state.word().to_owned(), state(step.state)];
    let rest = prefixes.iter().find_map(|word| message.strip_prefix(word.as_str())?.strip_prefix(": "));
    rest.map(str::to_owned).unwrap_or(message)
}

/// Whether a step is only for the case that a stop takes too long.
pub fn is_for_late_stop(kind: &NodeKind) -> bool {
    match kind {
        NodeKind::Signal(signal) => signal.if_stop_timed_out,
        NodeKind::Wait(wait) => wait.if_stop_timed_out,
        _ => false,
    }
}

/// The command and its targets.
pub fn title(view: &OperationView) -> String {
    let targets: Vec<String> = view.targets.iter().map(|target| harmless(target)).collect();
    match targets.as_slice() {
        [] => view.command.to_string(),
        targets if targets.len() > 5 => {
            format!("{} {} and {} more", view.command, targets[..4].join(" "), targets.len() - 4)
        }
        targets => format!("{} {}", view.command, targets.join(" ")),
    }
}

/// How far an operation is, or how it ended, in a word or two.
pub fn result(view: &OperationView) -> String {
    match (view.state, view.result) {
        (OperationState::Ended, Some(result)) => state(result),
        (state, _) => state.word().to_owned(),
    }
}

/// How many services are how far, without those that are none.
pub fn counts(counts: &Counts) -> String {
    let all = [
        (counts.done, "done"),
        (counts.ignored, "ignored"),
        (counts.failed, "not done"),
        (counts.skipped, "skipped"),
        (counts.running, "in hand"),
        (counts.planned, "to come"),
    ];
    let said: Vec<String> =
        all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if said.is_empty() { "no services".to_owned() } else { said.join(", ") }
}

/// One of something, or several.
pub fn many(count: u32, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (ms, text) in [
            (0, "0 s"),
            (40, "0.04 s"),
            (1000, "1 s"),
            (1240, "1.2 s"),
            (34_900, "35 s"),
            (130_000, "2m 10s"),
            (3_700_000, "1h 01m"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        for (ms, text) in [(500, "0.5 s"), (60_000, "60 s"), (180_000, "3 min"), (181_000, "181 s")] {
            assert_eq!(limit(ms), text);
        }
    }

    #[test]
    fn orders_are_told_in_words() {
        let group = |mode, max_parallel, on_failure, failure_budget| Group {
            collection: None,
            is_grid: false,
            mode,
            max_parallel,
            on_failure,
            failure_budget,
        };
        for (group, words) in [
            (group(Mode::Sequential, None, OnFailure::Stop, None), "one after the other, stops at the first failure"),
            (
                group(Mode::Sequential, None, OnFailure::Continue, Some(0)),
                "one after the other, stops at the first failure",
            ),
            (group(Mode::Parallel, None, OnFailure::Continue, None), "all at once, goes on after failures"),
            (
                group(Mode::Parallel, Some(4), OnFailure::Stop, Some(1)),
                "4 at a time, goes on until more than 1 have failed",
            ),
        ] {
            assert_eq!(order(&group), words);
        }
    }

    #[test]
    fn every_state_has_a_mark_and_a_word() {
        for each in StepState::ALL {
            assert!(!state(each).contains('_') && mark(each).0.chars().count() == 1, "{each:?}");
        }
    }
}
