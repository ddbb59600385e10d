//! `collections`

use std::collections::BTreeMap;

use comfy_table::{Cell, Color};
use protocol::{state::State, time::Timestamp};

use super::{
    args::{CollectionsAction, Format},
    client::Client,
    exit::{Exit, Failure},
    output::{Output, mark},
    pages, status,
};
use crate::{
    app::collections::CollectionDetail,
    grid::{
        config::{Mode, OnFailure},
        target::NoSuchTarget,
        view::{CollectionState, Status},
    },
};

/// Shows collections.
pub async fn run(client: &Client, output: &mut Output, action: Option<&CollectionsAction>) -> Result<Exit, Failure> {
    let all: Vec<CollectionDetail> = pages::all(client, "/collections").await?;
    match action {
        None | Some(CollectionsAction::List) => list(output, &all),
        Some(CollectionsAction::Show { name }) => {
            let found = all.iter().find(|collection| collection.name.as_str() == name);
            let found = found.ok_or_else(|| {
                let miss = NoSuchTarget::new("collection", name, all.iter().map(|one| one.name.as_str()));
                Failure::new(Exit::NoSuchTarget, miss.to_string())
            })?;
            show(client, output, found).await?;
        }
    }
    Ok(Exit::Done)
}

fn list(output: &mut Output, all: &[CollectionDetail]) {
    match output.format() {
        Format::Json => output.json(&all),
        Format::Name => all.iter().for_each(|collection| output.line(collection.name.as_str())),
        Format::Table if all.is_empty() => {
            output.line("No collections yet. `tomcat-grid apply FILE` puts a configuration with some in force.");
        }
        Format::Table => {
            let mut table = output.table(&["COLLECTION", "MODE", "SERVICES", "STATE", "MEMBERS"]);
            for collection in all {
                let members: Vec<&str> = collection.members.iter().map(|member| member.as_str()).collect();
                table.add_row([
                    Cell::new(&collection.name),
                    Cell::new(mode(collection)),
                    Cell::new(collection.services),
                    state_cell(collection.state, &collection.states, collection.missing),
                    Cell::new(members.join(", ")),
                ]);
            }
            output.show(table);
        }
    }
}

async fn show(client: &Client, output: &mut Output, collection: &CollectionDetail) -> Result<(), Failure> {
    match output.format() {
        Format::Json => output.json(collection),
        Format::Name => collection.members.iter().for_each(|member| output.line(member.as_str())),
        Format::Table => {
            let members: Vec<&str> = collection.members.iter().map(|member| member.as_str()).collect();
            let on_failure = match collection.on_failure {
                OnFailure::Stop => "stop",
                OnFailure::Continue => "continue",
            };
            let budget = collection.failure_budget.map_or("none".to_owned(), |budget| budget.to_string());
            output.line(&format!("Mode            {}", mode(collection)));
            output.line(&format!("On failure      {on_failure}"));
            output.line(&format!("Failure budget  {budget}"));
            output.line(&format!("Members         {}\n", members.join(", ")));
            let status: Status = client.get(&status::path(&[collection.name.to_string()])).await?;
            let text = status::render(output, &status, Timestamp::now());
            output.line(&text);
        }
    }
    Ok(())
}

fn mode(collection: &CollectionDetail) -> String {
    match (collection.mode, collection.max_parallel) {
        (Mode::Sequential, _) => "sequential".to_owned(),
        (Mode::Parallel, None) => "parallel".to_owned(),
        (Mode::Parallel, Some(most)) => format!("parallel, {most} at a time"),
    }
}

/// The state of a collection, and how many of its services are in which where they differ.
pub fn state_cell(state: CollectionState, states: &BTreeMap<State, usize>, missing: usize) -> Cell {
    let (sign, colour) = match state {
        CollectionState::Active => mark(State::Active),
        CollectionState::Starting => mark(State::Starting),
        CollectionState::Stopping => mark(State::Stopping),
        CollectionState::Unresponsive => mark(State::Unresponsive),
        CollectionState::Stopped => mark(State::Stopped),
        CollectionState::NotAvailable => mark(State::NotAvailable),
        CollectionState::Mixed => ("◒", Color::Yellow),
        CollectionState::Empty => ("·", Color::Reset),
    };
    let mut counts: Vec<String> = Vec::new();
    if states.len() > 1 {
        counts.extend(states.iter().map(|(state, count)| format!("{count} {state}")));
    }
    counts.extend((missing > 0).then(|| format!("{missing} missing")));
    let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
    Cell::new(format!("{sign} {}{counts}", state.as_str())).fg(colour)
}
