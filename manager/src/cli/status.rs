//! `status`

use std::collections::BTreeMap;

use comfy_table::{Cell, Color};
use protocol::{state::State, time::Timestamp};

use super::{
    args::{Format, StatusArgs},
    client::Client,
    collections,
    exit::{Exit, Failure},
    output::{Output, harmless, state_cell},
    pages::escaped,
    watch,
};
use crate::grid::{
    tags::Tag,
    view::{CollectionState, HeldBy, ServiceType, ServiceView, Status},
};

/// How many characters of an operation's id are shown: those of the millisecond in which it was asked for.
const SHORT: usize = 13;

/// Shows services and their states.
pub async fn run(client: &Client, output: &mut Output, arguments: &StatusArgs) -> Result<Exit, Failure> {
    let path = path(&arguments.targets);
    if arguments.watch {
        return watch::run(client, output, &path, &arguments.targets).await;
    }
    let mut status: Status = client.get(&path).await?;
    match output.format() {
        Format::Json => output.json(&status),
        Format::Name => status.services.iter().for_each(|service| output.line(service.name.as_str())),
        Format::Table => {
            only_named(&mut status, !arguments.targets.is_empty());
            let text = render(output, &status, Timestamp::now());
            output.line(&text);
        }
    }
    for problem in &status.manager.problems {
        output.error(problem);
    }
    if !arguments.check {
        return Ok(Exit::Done);
    }
    // What a collection names and is not there is not active.
    only_named(&mut status, !arguments.targets.is_empty());
    let is_missing = status.collections.iter().any(|collection| collection.missing > 0);
    Ok(if is_missing { Exit::Failed } else { check(&status.services) })
}

/// Leaves out collections that nobody named: they would stand before what everybody looks for.
pub fn only_named(status: &mut Status, are_named: bool) {
    if !are_named {
        status.collections.clear();
    }
}

/// The API's path for targets.
pub fn path(targets: &[String]) -> String {
    if targets.is_empty() {
        return "/status".to_owned();
    }
    let targets: Vec<String> = targets.iter().map(|target| escaped(target)).collect();
    format!("/status?targets={}", targets.join(","))
}

/// Whether all are active; if not, whether only agents are missing: those that ended among them, and what nobody knows
/// without them.
fn check(services: &[ServiceView]) -> Exit {
    let bad: Vec<&ServiceView> = services.iter().filter(|service| service.state != State::Active).collect();
    let is_of_an_agent = |service: &&ServiceView| match service.r#type {
        ServiceType::Agent => matches!(service.state, State::Stopped | State::NotAvailable),
        ServiceType::Instance => service.state == State::NotAvailable,
    };
    match bad.as_slice() {
        [] => Exit::Done,
        bad if bad.iter().all(is_of_an_agent) => Exit::NotAvailable,
        _ => Exit::Failed,
    }
}

/// The status as people read it.
pub fn render(output: &Output, status: &Status, now: Timestamp) -> String {
    if status.services.is_empty() && status.collections.is_empty() {
        return "No services yet. Make a join token with `tomcat-grid token create`, and start an agent with it."
            .to_owned();
    }
    let are_tagged = status.services.iter().any(|service| !service.tags.is_empty());
    let mut headings = vec!["MACHINE", "SERVICE", "TYPE", "STATE", "SINCE", "PORTS"];
    headings.extend(are_tagged.then_some("TAGS"));
    headings.push("REMARKS");
    let mut table = output.table(&headings);
    for collection in &status.collections {
        // From the services, which events change.
        let services = status.services.iter().filter(|service| service.collections.contains(&collection.name));
        let mut states: BTreeMap<State, usize> = BTreeMap::new();
        services.for_each(|service| *states.entry(service.state).or_default() += 1);
        let missing = (collection.services + collection.missing).saturating_sub(states.values().sum());
        let state = CollectionState::of(states.keys().copied());
        let state = collections::state_cell(state, &states, missing);
        table.add_row([Cell::new("–"), Cell::new(&collection.name), Cell::new("collection"), state]);
    }
    for service in &status.services {
        let ports: Vec<String> = service.ports.iter().map(u16::to_string).collect();
        let mut row = vec![
            Cell::new(&service.machine),
            Cell::new(&service.name),
            Cell::new(service.r#type.as_str()),
            state_cell(service.state),
            Cell::new(since(service.since, now)),
            Cell::new(ports.join(",")),
        ];
        row.extend(are_tagged.then(|| Cell::new(tags_text(&service.tags))));
        row.push(remarks(service, status.held.get(&service.name)));
        table.add_row(row);
    }
    format!("{}\n\n{}", output.fitted(&mut table), summary(&status.services))
}

/// Tags as tables show them.
pub fn tags_text(tags: &[Tag]) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(",")
}

/// What is to be said of a service: who works on it, the last known state, why, and how it ended.
fn remarks(service: &ServiceView, held: Option<&HeldBy>) -> Cell {
    let mut remarks: Vec<String> = Vec::new();
    remarks.extend(held.map(held_by));
    remarks.extend(service.last_state.map(|last| format!("last known: {last}")));
    remarks.extend(service.reason.clone());
    remarks.extend(service.notes.iter().map(|note| format!("note: {note}")));
    let crashed = service.state == State::Stopped && service.last_exit.as_ref().is_some_and(|exit| !exit.wanted);
    let text = if crashed { format!("✗ {}", remarks.join("; ")) } else { remarks.join("; ") };
    let cell = Cell::new(harmless(&text));
    if crashed { cell.fg(Color::Red) } else { cell }
}

/// Who works on a service.
pub fn held_by(held: &HeldBy) -> String {
    match held {
        HeldBy { operation: Some(id), command: Some(command), targets, actor } => {
            let (targets, actor) = (targets.as_deref().unwrap_or_default(), actor.as_deref().unwrap_or_default());
            // So much of an id is enough to find its operation.
            let id: String = id.to_string().chars().take(SHORT).collect();
            harmless(&format!("held by {command} {targets} (operation {id}, by {actor})"))
        }
        _ => "held by another operation".to_owned(),
    }
}

/// How many there are of each state, worst first.
fn summary(services: &[ServiceView]) -> String {
    let instances: Vec<_> = services.iter().filter(|service| service.r#type == ServiceType::Instance).collect();
    let order =
        [State::Unresponsive, State::NotAvailable, State::Stopping, State::Starting, State::Stopped, State::Active];
    let counts: Vec<String> = order
        .iter()
        .map(|state| (state, instances.iter().filter(|service| service.state == *state).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let many = if instances.len() == 1 { "instance" } else { "instances" };
    let agents = services.len() - instances.len();
    let agents = match agents {
        0 => String::new(),
        1 => "; 1 agent".to_owned(),
        agents => format!("; {agents} agents"),
    };
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    format!("{} {many}{counts}{agents}", instances.len())
}

/// How long ago, in the largest units that matter.
pub fn since(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = Timestamp::from_millis(1_000_000_000);
        for (seconds, text) in [(5, "5s"), (65, "1m 05s"), (3700, "1h 01m"), (90_000, "1d 01h")] {
            assert_eq!(since(now.before(std::time::Duration::from_secs(seconds)), now), text);
        }
        assert_eq!(since(now.after(std::time::Duration::from_secs(9)), now), "0s");
    }

    #[test]
    fn the_table_of_checks() {
        let service = |(r#type, state): &(&str, &str)| -> ServiceView {
            let view = serde_json::json!({
                "name": "a@web-1", "machine": "web-1", "type": r#type, "state": state, "last_state": null,
                "reason": null, "last_exit": null, "since": "2026-01-01T00:00:00.000Z", "pid": null,
                "catalina_base": null
            });
            serde_json::from_value(view).unwrap()
        };
        for (services, exit) in [
            (&[][..], Exit::Done),
            (&[("instance", "active"), ("agent", "active")], Exit::Done),
            (&[("instance", "not_available"), ("agent", "not_available")], Exit::NotAvailable),
            (&[("instance", "not_available"), ("agent", "stopped")], Exit::NotAvailable),
            (&[("instance", "active"), ("agent", "stopped")], Exit::NotAvailable),
            (&[("instance", "stopped"), ("agent", "active")], Exit::Failed),
            (&[("instance", "stopped"), ("instance", "not_available"), ("agent", "stopped")], Exit::Failed),
            (&[("instance", "unresponsive")], Exit::Failed),
        ] {
            let views: Vec<ServiceView> = services.iter().map(service).collect();
            assert_eq!(check(&views), exit, "{services:?}");
        }
    }

    #[test]
    fn a_target_is_written_into_a_query() {
        assert_eq!(path(&[]), "/status");
        assert_eq!(path(&["#blue".to_owned(), "a@b".to_owned()]), "/status?targets=%23blue,a@b");
    }
}
