//! What a hook is told, and what is recorded of it.

use std::collections::BTreeMap;

use protocol::hook::{HookEnd, HookFate};
use serde_json::{Value, json};

use super::running::HookContext;
use crate::{
    app::App,
    grid::{
        event::{Draft, Kind},
        operation::HookNode,
        view::ServiceView,
    },
};

/// How many bytes of what a hook wrote its event holds at most; an operation's log has all of it.
const MOST_OUTPUT: usize = 4096;

/// The service that a hook is about, as it is now.
pub(super) fn service_of(app: &App, context: &HookContext) -> Option<ServiceView> {
    let (name, machine) = context.service.as_ref()?;
    app.fleet().services_of(machine).into_iter().find(|view| view.name == *name)
}

/// The environment of a hook. What the grid says cannot be set otherwise.
pub(super) fn environment(
    app: &App,
    hook: &HookNode,
    context: &HookContext,
    service: Option<&ServiceView>,
) -> BTreeMap<String, String> {
    let mut environment = hook.environment.clone();
    let (operation, _) = context.operation.unzip();
    let known = [
        ("EVENT", Some(hook.event.to_string())),
        ("COMMAND", Some(context.command.clone())),
        ("SERVICE", context.service.as_ref().map(|(service, _)| service.to_string())),
        ("MACHINE", context.service.as_ref().map(|(_, machine)| machine.to_string())),
        ("COLLECTION", context.collection.as_ref().map(ToString::to_string)),
        ("OPERATION", operation.map(|id| id.to_string())),
        ("RUN", Some(context.run.to_string())),
        ("GRID", Some(app.meta.grid_name.clone())),
        ("HOOK", Some(hook.program.clone())),
        ("RESULT", context.result.clone()),
        ("PID", service.and_then(|service| service.pid).map(|pid| pid.to_string())),
    ];
    environment.extend(known.into_iter().filter_map(|(name, value)| Some((format!("TOMCAT_GRID_{name}"), value?))));
    let places = [
        ("CATALINA_HOME", service.and_then(|service| service.catalina_home.clone())),
        ("CATALINA_BASE", service.and_then(|service| service.catalina_base.clone())),
    ];
    environment.extend(places.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    environment
}

/// What a hook reads on its standard input: everything that is in its environment, and more.
pub(super) fn input(app: &App, hook: &HookNode, context: &HookContext, service: Option<&ServiceView>) -> Value {
    let (operation, step) = context.operation.unzip();
    let mut input = match &context.more {
        Value::Object(more) => more.clone(),
        Value::Null => serde_json::Map::new(),
        more => [("more".to_owned(), more.clone())].into_iter().collect(),
    };
    let known = json!({
        "event": hook.event,
        "command": context.command,
        "service": context.service.as_ref().map(|(service, _)| service),
        "machine": context.service.as_ref().map(|(_, machine)| machine),
        "collection": context.collection,
        "operation": operation,
        "step": step,
        "run": context.run,
        "grid": app.meta.grid_name,
        "hook": hook.program,
        "target": hook.target,
        "actor": context.actor,
        "result": context.result,
        "state": service.map(|service| service.state),
        "pid": service.and_then(|service| service.pid),
        "catalina_home": service.and_then(|service| service.catalina_home.as_deref()),
        "catalina_base": service.and_then(|service| service.catalina_base.as_deref()),
        "version_id": null,
    });
    if let Value::Object(known) = known {
        for (key, value) in known {
            // What is known of a release is put in by whoever does something with it.
            if !(value.is_null() && input.contains_key(&key)) {
                input.insert(key, value);
            }
        }
    }
    Value::Object(input)
}

/// The fate as a stable word, the exit code, and what else is to say.
fn words(fate: &HookFate) -> (&'static str, Option<i32>, Option<String>) {
    match fate {
        HookFate::Ran { exit_code } => ("ran", Some(*exit_code), None),
        HookFate::Killed { signal } => ("killed", None, Some(format!("signal {signal}"))),
        HookFate::TimedOut {} => ("timed_out", None, None),
        HookFate::Abandoned {} => ("abandoned", None, None),
        HookFate::NotRun { why } => ("not_run", None, Some(why.clone())),
        HookFate::Unknown { why } => ("unknown", None, Some(why.clone())),
    }
}

/// The event of a hook's fate.
pub(super) fn draft(hook: &HookNode, context: &HookContext, end: &HookEnd) -> Draft {
    let (operation, step) = context.operation.unzip();
    let (fate, exit_code, why) = words(&end.fate);
    let output = &end.output[..end.output.floor_char_boundary(MOST_OUTPUT)];
    let data = json!({
        "event": hook.event,
        "program": hook.program,
        "place": hook.place,
        "target": hook.target,
        "collection": context.collection,
        "fate": fate,
        "exit_code": exit_code,
        "why": why,
        "output": output,
        "dropped": end.dropped.saturating_add((end.output.len() - output.len()) as u64),
        "duration_ms": end.duration_ms,
        "operation": operation,
        "step": step,
        "run": context.run,
    });
    let draft = Draft::new(Kind::HookRan).actor(&context.actor).data(data);
    match &context.service {
        Some((service, machine)) => draft.service(service).machine(machine),
        None => draft,
    }
}

/// What of a hook's output was not heard while it ran: everything from the line in which the two differ.
pub(in crate::app) fn unheard<'a>(output: &'a str, heard: &str) -> &'a str {
    if let Some(rest) = output.strip_prefix(heard) {
        return rest;
    }
    let same = output.bytes().zip(heard.bytes()).take_while(|(one, other)| one == other).count();
    if same == output.len() {
        return "";
    }
    let line = output.as_bytes()[..same].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    &output[line..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_what_was_not_heard() {
        for (output, heard, missed) in [
            ("one two", "", "one two"),
            ("one two", "one ", "two"),
            ("one two three", "one three", "one two three"),
            ("one\ntwo\nthree\n", "one\nthree\n", "two\nthree\n"),
            ("one\ntwo\n", "one\n", "two\n"),
            ("one", "one", ""),
            // More was heard than is kept.
            ("one", "one two", ""),
            ("ä", "ö", "ä"),
            ("", "", ""),
        ] {
            assert_eq!(unheard(output, heard), missed, "{output} {heard}");
        }
    }
}
