//! What would become of a service, from what is known now.

use protocol::state::State;

use super::view::{ClaimView, HookExplanation};
use crate::grid::{
    command::Command,
    hooks::{Around, HookPlace},
    operation::{ServiceNode, Signal, StepState, limits::Effective, needless::needless},
    view::{ServiceType, ServiceView},
};

/// What is known.
pub(super) struct Circumstances<'a> {
    pub command: Command,
    pub service: &'a ServiceNode,
    pub view: Option<&'a ServiceView>,
    pub limits: &'a Effective<'a>,
    pub hooks: &'a [HookExplanation],
    pub claim: Option<&'a ClaimView>,
    pub allow: &'a [String],
}

/// What would become of it.
#[derive(Debug)]
pub(super) struct Prediction {
    pub would: StepState,
    pub message: String,
    pub notes: Vec<String>,
}

pub(super) fn predict(all: &Circumstances<'_>) -> Prediction {
    let (would, message) = outcome(all);
    let mut notes = if would == StepState::Gone { Vec::new() } else { notes(all) };
    let runs = |hook: &HookExplanation| matches!(hook.event.around, Around::Command(_));
    if would == StepState::Ignored && all.hooks.iter().any(runs) {
        let why =
            format!("hooks of `{}` run all the same, although nothing is to do; those of triggers do not", all.command);
        notes.push(why);
    }
    Prediction { would, message, notes }
}

fn outcome(all: &Circumstances<'_>) -> (StepState, String) {
    if let Some(why) = &all.service.impossible {
        return (StepState::NotAvailable, why.clone());
    }
    let Some(view) = all.view.filter(|_| !all.service.gone) else {
        return (StepState::Gone, "there is no such service any more".to_owned());
    };
    if let Some(claim) = all.claim.filter(|_| !all.command.goes_before()) {
        let ClaimView { operation, command, actor } = claim;
        return (StepState::Conflict, format!("held by operation {operation} ({command}, by {actor})"));
    }
    let signals = signals(all);
    let is_away = view.state == State::NotAvailable || is_agent(all) && view.state == State::Stopped;
    let is_first_needed = signals.first().is_none_or(|(_, why)| why.is_none());
    if is_away && is_first_needed {
        return (StepState::NotAvailable, format!("the agent of {} is not linked", all.service.machine));
    }
    let words: Vec<String> = signals
        .iter()
        .map(|(signal, needless)| match needless {
            None => format!("it would be {}", done(*signal)),
            Some(_) => format!("the {} would be ignored", signal.word()),
        })
        .collect();
    let forbidden = signals.iter().filter(|(_, needless)| needless.is_none()).find_map(|(signal, _)| {
        let word = if is_agent(all) { "agent" } else { signal.word() };
        is_forbidden(all, word).then_some(word)
    });
    if let Some(word) = forbidden {
        return (StepState::Refused, format!("the machine's own file does not allow `{word}`"));
    }
    let is_needed = signals.iter().any(|(_, needless)| needless.is_none());
    let would = if is_needed { StepState::Planned } else { StepState::Ignored };
    (would, format!("is {}: {}", view.state, words.join(", then ")))
}

/// The signals of a command in order, each with why there would be no need for it if all before it succeed. Without the
/// automatic kill.
fn signals(all: &Circumstances<'_>) -> Vec<(Signal, Option<String>)> {
    let signals: &[Signal] = match all.command {
        Command::Start => &[Signal::Start],
        Command::Stop => &[Signal::Stop],
        Command::Kill => &[Signal::Kill],
        Command::Restart if is_agent(all) => &[Signal::Restart],
        Command::Restart => &[Signal::Stop, Signal::Start],
        Command::Killstart => &[Signal::Kill, Signal::Start],
    };
    let mut state = all.view.map_or(State::NotAvailable, |view| view.state);
    let look = |signal: &Signal| {
        let needless = needless(*signal, all.service.r#type, state);
        state = if *signal == Signal::Start { State::Active } else { State::Stopped };
        (*signal, needless)
    };
    signals.iter().map(look).collect()
}

fn done(signal: Signal) -> &'static str {
    match signal {
        Signal::Start => "started",
        Signal::Stop => "stopped",
        Signal::Kill => "killed",
        Signal::Restart => "begun anew, while its Tomcats live on",
    }
}

/// What else to know before.
fn notes(all: &Circumstances<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(claim) = all.claim.filter(|_| all.command.goes_before()) {
        let ClaimView { operation, command, actor } = claim;
        notes.push(format!("operation {operation} ({command}, by {actor}) holds it, and would be superseded"));
    }
    let state = all.view.map(|view| view.state);
    let kills = all.limits.auto_kill.value && !is_agent(all) && matches!(all.command, Command::Stop | Command::Restart);
    if kills && state != Some(State::Stopped) && is_forbidden(all, "kill") {
        notes.push("the machine's own file does not allow `kill`: the automatic kill would be refused".to_owned());
    }
    if all.hooks.iter().any(|hook| hook.place == HookPlace::Machine) && is_forbidden(all, "hooks") {
        notes.push("the machine's own file does not allow `hooks`: those that run there would fail".to_owned());
    }
    if all.hooks.iter().any(|hook| hook.ready == Some(false)) {
        notes.push("a hook is not ready: its program would be waited for, up to its time limit, and without its secret it would fail"
                .to_owned());
    }
    notes
}

fn is_forbidden(all: &Circumstances<'_>, word: &str) -> bool {
    !all.allow.is_empty() && !all.allow.iter().any(|allowed| allowed == word)
}

fn is_agent(all: &Circumstances<'_>) -> bool {
    all.service.r#type == ServiceType::Agent
}
