//! `machines`

use comfy_table::Cell;
use protocol::time::Timestamp;
use reqwest::Method;

use super::{
    args::{Format, MachinesAction},
    client::Client,
    exit::{Exit, Failure},
    output::{Output, harmless},
    pages,
    status::{since, tags_text},
};
use crate::grid::view::MachineView;

/// Shows machines, removes or revokes one.
pub async fn run(client: &Client, output: &mut Output, action: Option<&MachinesAction>) -> Result<Exit, Failure> {
    match action {
        None | Some(MachinesAction::List) => list(client, output).await,
        Some(MachinesAction::Remove { name, force }) => {
            client.act(Method::DELETE, &format!("/machines/{}?force={force}", checked(name)?)).await?;
            output.line(&format!("{name} is removed from the grid"));
            Ok(Exit::Done)
        }
        Some(MachinesAction::Revoke { name }) => {
            client.act(Method::POST, &format!("/machines/{}/revoke", checked(name)?)).await?;
            output.line(&format!("the agent of {name} is revoked"));
            Ok(Exit::Done)
        }
    }
}

/// A name that is none must not become another path.
fn checked(name: &str) -> Result<&str, Failure> {
    let parsed = name.parse::<protocol::name::MachineName>();
    parsed.map(|_| name).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

async fn list(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let machines: Vec<MachineView> = pages::all(client, "/machines").await?;
    match output.format() {
        Format::Json => output.json(&machines),
        Format::Name => machines.iter().for_each(|machine| output.line(machine.name.as_str())),
        Format::Table if machines.is_empty() => {
            output.line(
                "No machines yet. Make a join token with `tomcat-grid token create`, and start an agent with it.",
            );
        }
        Format::Table => {
            let now = Timestamp::now();
            let are_tagged = machines.iter().any(|machine| !machine.tags.is_empty());
            let mut headings = vec!["MACHINE", "AGENT", "VERSION", "INSTANCES", "RUNS AS", "SYSTEM", "JOINED"];
            headings.extend(are_tagged.then_some("TAGS"));
            let mut table = output.table(&headings);
            for machine in &machines {
                let agent = match (machine.revoked_at, machine.connected, machine.last_heard) {
                    (Some(_), ..) => "✗ revoked".to_owned(),
                    (None, true, _) => "● linked".to_owned(),
                    (None, false, Some(heard)) => format!("? away for {}", since(heard, now)),
                    (None, false, None) => "? away".to_owned(),
                };
                let system = format!("{} {}", machine.facts.os, machine.facts.arch);
                let mut row = vec![
                    Cell::new(&machine.name),
                    Cell::new(agent),
                    Cell::new(harmless(&machine.agent_version)),
                    Cell::new(machine.instances),
                    Cell::new(harmless(&machine.facts.user)),
                    Cell::new(harmless(system.trim())),
                    Cell::new(format!("{} ago", since(machine.joined_at, now))),
                ];
                row.extend(are_tagged.then(|| Cell::new(tags_text(&machine.tags))));
                table.add_row(row);
            }
            output.show(table);
            let notes =
                machines.iter().flat_map(|machine| machine.facts.notes.iter().map(move |note| (&machine.name, note)));
            for (name, note) in notes {
                output.note(&format!("{name}: {}", harmless(note)));
            }
        }
    }
    Ok(Exit::Done)
}
