//! The tables of `docs/HOOKS.md`, as the rules have them. `TOMCAT_GRID_WRITE_DOCS=1 cargo nextest run -p manager
//! hooks::document` writes them there.

use std::{fmt::Write, fs, path::Path};

use super::{
    Around, HookEvent, HookPlace, Phase,
    place::{Level, place},
    rules::{Scope, Situation, Verdict, verdict},
};
use crate::grid::{
    config::HookFailure,
    operation::{StepState, outcome},
};

/// What stands around the tables in the document.
const BEGIN: &str = "<!-- generated from the rules: begin -->";
const END: &str = "<!-- generated from the rules: end -->";

/// What becomes of a hook in a word, and why.
fn cell(verdict: Verdict) -> (&'static str, Option<&'static str>) {
    match verdict {
        Verdict::Run => ("runs", None),
        Verdict::Skip(why) => ("–", Some(why)),
        Verdict::Await(how) => ("waited", Some(how)),
        Verdict::Fail(why) => ("failed", Some(why)),
    }
}

/// The rules of when, a row for each situation.
fn when() -> String {
    let mut text =
        "| when a hook would be next | `pre-trigger-…` | `post-trigger-…` | `pre-…` of a service | `post-…` of a \
                    service | `pre-…` of a whole | `post-…` of a whole | why, or how |\n\
                    | --- | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for situation in Situation::ALL {
        let mut reasons: Vec<&str> = Vec::new();
        let _ = write!(text, "| {} |", situation.words());
        for scope in Scope::ALL {
            for phase in [Phase::Pre, Phase::Post] {
                let (word, why) = cell(verdict(phase, scope, situation));
                let _ = write!(text, " {word} |");
                reasons.extend(why.filter(|why| !reasons.contains(why)));
            }
        }
        let _ = writeln!(text, " {} |", reasons.join("; "));
    }
    text
}

/// The rules of where, a row for each level and place.
fn places() -> String {
    let mut text = "| about | on the service's machine | on the manager's host |\n| --- | --- | --- |\n".to_owned();
    for level in Level::ALL {
        let of = |wanted: HookPlace| {
            let is_operated = |event: &HookEvent| !matches!(event.around, Around::Release(_));
            let events: Vec<HookEvent> = HookEvent::all().filter(|event| fits(*event, level)).collect();
            let here: Vec<HookEvent> = events.iter().copied().filter(|event| place(*event, level) == wanted).collect();
            if here.len() == events.len() {
                return "all".to_owned();
            }
            let words = here.iter().filter(|event| is_operated(event)).map(|event| format!("`{event}`"));
            words.collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(text, "| {} | {} | {} |", level.words(), of(HookPlace::Machine), of(HookPlace::Manager));
    }
    text
}

/// Whether there is such an event of that.
fn fits(event: HookEvent, level: Level) -> bool {
    match (level, event.around) {
        (Level::Grid | Level::Collection, Around::Command(_)) => true,
        (Level::Grid | Level::Collection, _) => false,
        (Level::Release, around) => matches!(around, Around::Release(_)),
        (Level::Instance, _) => true,
        (Level::Agent, around) => !matches!(around, Around::Release(_)),
    }
}

/// What a failing hook does.
fn failures() -> String {
    let mut text = "| a hook that fails | `abort` | `warn` |\n| --- | --- | --- |\n".to_owned();
    for (phase, word) in [(Phase::Pre, "`pre-`"), (Phase::Post, "`post-`")] {
        let _ = write!(text, "| {word} |");
        for on_failure in [HookFailure::Abort, HookFailure::Warn] {
            let means = match outcome::of_hook(phase, on_failure, StepState::Failed) {
                None => "it is noted, and all goes on".to_owned(),
                Some(state) => format!("what it stands around ends as `{}`", state.word()),
            };
            let _ = write!(text, " {means} |");
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_document_shows_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/HOOKS.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the tables have a beginning");
    let (found, after) = rest.split_once(END).expect("the tables have an end");
    let expected = format!("\n\n{}\n{}\n{}\n", when(), failures(), places());
    if std::env::var_os("TOMCAT_GRID_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected, "docs/HOOKS.md must show the rules; TOMCAT_GRID_WRITE_DOCS=1 writes them there");
}
