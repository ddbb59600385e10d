//! What would become of a service, from what is known now.

use protocol::state::State;

use super::view::{ClaimView, HookExplanation};
use crate::grid::{
    command::Command,
    hooks::HookPlace,
    operation::{ServiceNode, StepState, limits::Effective},
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
    let notes = if would == StepState::Gone { Vec::new() } else { notes(all) };
    Prediction { would, message, notes }
}

fn outcome(all: &Circumstances<'_>) -> (StepState, String) {
    let machine = &all.service.machine;
    let Some(view) = all.view.filter(|_| !all.service.gone) else {
        return (StepState::Gone, "there is no such service any more".to_owned());
    };
    if let Some(why) = &all.service.impossible {
        return (StepState::NotAvailable, why.clone());
    }
    if view.state == State::NotAvailable || is_agent(all) && view.state == State::Stopped {
        return (StepState::NotAvailable, format!("the agent of {machine} is not linked"));
    }
    if let Some(claim) = all.claim.filter(|_| !goes_before(all.command)) {
        let ClaimView { operation, command, actor } = claim;
        return (StepState::Conflict, format!("held by operation {operation} ({command}, by {actor})"));
    }
    let (would, message) = by_state(all.command, all.service.r#type, view.state);
    if let Some(word) = missing(all, view.state).first().filter(|_| would == StepState::Planned) {
        return (StepState::Refused, format!("the machine's own file does not allow `{word}`"));
    }
    (would, message)
}

fn by_state(command: Command, r#type: ServiceType, state: State) -> (StepState, String) {
    let planned = |words: &str| (StepState::Planned, format!("is {state}, {words}"));
    let ignored = |words: &str| (StepState::Ignored, format!("is {state}: {words}"));
    let is_down = state == State::Stopped;
    match command {
        Command::Start if is_down => planned("would be started"),
        Command::Start => ignored("the start would be ignored"),
        Command::Stop if is_down => ignored("the stop would be ignored"),
        Command::Stop if state == State::Stopping => ignored("its end would be waited for"),
        Command::Stop => planned("would be told to stop"),
        Command::Kill if is_down => ignored("the kill would be ignored"),
        Command::Kill => planned("would be killed"),
        Command::Restart if r#type == ServiceType::Agent => planned("would begin anew; its Tomcats live on"),
        Command::Restart if is_down => planned("would only be started: the stop would be ignored"),
        Command::Restart => planned("would be stopped, then started"),
        Command::Killstart if is_down => planned("would only be started: the kill would be ignored"),
        Command::Killstart => planned("would be killed, then started"),
    }
}

/// What else to know before.
fn notes(all: &Circumstances<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(claim) = all.claim.filter(|_| goes_before(all.command)) {
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
        notes.push("a hook's program is not ready: it would be waited for, up to the hook's time limit".to_owned());
    }
    notes
}

/// What it takes that the machine's own file does not allow.
fn missing(all: &Circumstances<'_>, state: State) -> Vec<&'static str> {
    let words: &[&str] = match (all.service.r#type, all.command) {
        (ServiceType::Agent, _) => &["agent"],
        (_, Command::Start) => &["start"],
        (_, Command::Stop) => &["stop"],
        (_, Command::Kill) => &["kill"],
        (_, Command::Restart | Command::Killstart) if state == State::Stopped => &["start"],
        (_, Command::Restart) => &["stop", "start"],
        (_, Command::Killstart) => &["kill", "start"],
    };
    words.iter().copied().filter(|word| is_forbidden(all, word)).collect()
}

fn is_forbidden(all: &Circumstances<'_>, word: &str) -> bool {
    !all.allow.is_empty() && !all.allow.iter().any(|allowed| allowed == word)
}

fn is_agent(all: &Circumstances<'_>) -> bool {
    all.service.r#type == ServiceType::Agent
}

/// Whether a command does not ask who holds a service.
fn goes_before(command: Command) -> bool {
    matches!(command, Command::Kill | Command::Killstart)
}
