//! `explain`: what a command would do, and why so.

use comfy_table::{Cell, Table};

use super::{
    args::{ExplainArgs, Format},
    client::Client,
    exit::{Exit, Failure},
    operation::words,
    output::{Output, harmless, mark, text_of},
};
use crate::{
    grid::{
        config::HookFailure,
        explain::view::{Explanation, GroupExplanation, HookExplanation, ServiceExplanation},
        hooks::HookPlace,
        operation::{Group, StepState},
    },
    http::api::explain::ExplainRequest,
};

/// Shows what a command would do.
pub async fn run(client: &Client, output: &mut Output, arguments: &ExplainArgs) -> Result<Exit, Failure> {
    let request = ExplainRequest { command: arguments.command, targets: arguments.targets.clone() };
    let told: Explanation = client.post("/explain", &request).await?;
    match output.format() {
        Format::Json => output.json(&told),
        Format::Name => told.services.iter().for_each(|service| output.line(service.service.as_str())),
        Format::Table => show(output, &told),
    }
    Ok(Exit::Done)
}

fn show(output: &mut Output, told: &Explanation) {
    output.line(&format!("{} {}: {}", told.command, harmless(&told.targets.join(" ")), summary(told)));
    output.line(&permission(told));
    for group in &told.groups {
        show_group(output, group);
    }
    for service in &told.services {
        show_service(output, service);
    }
}

/// How many services what would become of, the unusual last.
fn summary(told: &Explanation) -> String {
    let mut parts = Vec::new();
    for state in StepState::ALL {
        let count = told.services.iter().filter(|service| service.would == state).count();
        if count > 0 {
            let what = if state == StepState::Planned { "would be done" } else { state.word() };
            parts.push(format!("{count} {}", what.replace('_', " ")));
        }
    }
    if parts.is_empty() { "no services: nothing to do".to_owned() } else { parts.join(", ") }
}

fn permission(told: &Explanation) -> String {
    let permission = &told.permission;
    match &permission.why {
        None => format!("{} may do this.", harmless(&permission.caller)),
        Some(why) => format!("It would be refused: {}.", harmless(why)),
    }
}

fn show_group(output: &mut Output, group: &GroupExplanation) {
    let Group { collection, is_grid, .. } = &group.group;
    let name = match (collection, is_grid) {
        (Some(name), _) => format!("Collection {name}"),
        (None, true) => "All instances".to_owned(),
        // A call on one service has nothing to order.
        (None, false) if group.services < 2 => return,
        (None, false) => "This call".to_owned(),
    };
    output.line("");
    output.line(&format!("{name}: {}, {}", words::many(group.services, "service"), words::order(&group.group)));
    if !group.hooks.is_empty() {
        output.line(&indented(&hooks(output, &group.hooks, None)));
    }
}

fn show_service(output: &mut Output, service: &ServiceExplanation) {
    let sign = service.state.map_or("–", |state| mark(state).0);
    let through = service.collection.as_ref().map(|name| format!(", through {name}")).unwrap_or_default();
    output.line("");
    output.line(&format!("{sign} {} on {}{through}", service.service, service.machine));
    let words = harmless(&service.message);
    match service.would {
        StepState::Planned | StepState::Ignored => output.line(&format!("  {words}")),
        state => output.line(&format!("  {}: {words}", state.word().replace('_', " "))),
    }
    if let Some(claim) = service.claim.as_ref().filter(|_| service.would == StepState::Conflict) {
        output.line(&format!("  see `tomcat-grid operations show {}`", claim.operation));
    }
    for note in &service.notes {
        output.line(&format!("  note: {}", harmless(note)));
    }
    if let Some(allow) = &service.allow {
        output.line(&format!("  {} allows {}", service.machine, harmless(&allow.join(", "))));
    }
    if !service.limits.is_empty() {
        let mut table = output.table(&["LIMIT", "VALUE", "SET IN"]);
        for limit in &service.limits {
            table.add_row([&limit.name, &limit.value, &limit.from].map(|text| Cell::new(harmless(text))));
        }
        output.line(&indented(&table));
    }
    if !service.hooks.is_empty() {
        output.line(&indented(&hooks(output, &service.hooks, Some(service.machine.as_str()))));
    }
}

fn hooks(output: &Output, hooks: &[HookExplanation], machine: Option<&str>) -> Table {
    let mut table = output.table(&["HOOK", "PROGRAM", "WHERE", "LIMIT", "IF IT FAILS", "READY"]);
    for hook in hooks {
        let place = match (hook.place, machine) {
            (HookPlace::Machine, Some(machine)) => machine,
            _ => "manager",
        };
        let failure = match hook.on_failure {
            HookFailure::Abort => "abort",
            HookFailure::Warn => "warn",
        };
        let ready = match (hook.ready, &hook.why) {
            (Some(true), _) => "yes".to_owned(),
            (Some(false), Some(why)) => format!("no: {}", harmless(why)),
            (Some(false), None) => "no".to_owned(),
            (None, _) => "not known".to_owned(),
        };
        let late = if hook.only_if_late { " (if the stop is late)" } else { "" };
        table.add_row([
            format!("{}{late}", hook.event),
            harmless(&hook.program),
            place.to_owned(),
            format!("{} s", hook.timeout_ms as f64 / 1000.0),
            failure.to_owned(),
            ready,
        ]);
    }
    table
}

fn indented(table: &Table) -> String {
    text_of(table).lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
