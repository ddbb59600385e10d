//! `tags`

use std::collections::BTreeSet;

use comfy_table::Cell;
use protocol::name::{MachineName, ServiceName};

use super::{
    args::{Format, TagWhat, TagsAction},
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    pages,
    status::path,
};
use crate::{
    app::tags::TagsChanged,
    grid::{
        tags::{Tag, TagView},
        target::MAX_TARGETS,
        view::Status,
    },
    http::api::tags::TagRequest,
};

/// Shows tags, tags services and machines.
pub async fn run(client: &Client, output: &mut Output, action: Option<&TagsAction>) -> Result<Exit, Failure> {
    match action {
        None | Some(TagsAction::List) => list(client, output).await,
        Some(TagsAction::Add(what)) => change(client, output, what, true).await,
        Some(TagsAction::Remove(what)) => change(client, output, what, false).await,
    }
}

async fn list(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let tags: Vec<TagView> = pages::all(client, "/tags").await?;
    match output.format() {
        Format::Json => output.json(&tags),
        Format::Name => tags.iter().for_each(|view| output.line(view.tag.as_str())),
        Format::Table if tags.is_empty() => {
            output.line("No tags yet. `tomcat-grid tags add TAG --on TARGET` tags services.");
        }
        Format::Table => {
            let mut table = output.table(&["TAG", "MACHINES", "SERVICES"]);
            for view in &tags {
                table.add_row(vec![Cell::new(&view.tag), Cell::new(view.machines), Cell::new(view.services)]);
            }
            output.show(table);
        }
    }
    Ok(Exit::Done)
}

async fn change(client: &Client, output: &mut Output, what: &TagWhat, add: bool) -> Result<Exit, Failure> {
    let tags: BTreeSet<Tag> = read(&what.tags)?;
    let machines: BTreeSet<MachineName> = read(&what.machine)?;
    let services: Vec<ServiceName> = match what.on.is_empty() {
        true => Vec::new(),
        false => {
            let status: Status = client.get(&path(&what.on)).await?;
            status.services.into_iter().map(|service| service.name).collect()
        }
    };
    if services.is_empty() && machines.is_empty() {
        output.line("No instances: nothing to do.");
        return Ok(Exit::Ignored);
    }
    let mut changed = TagsChanged { services: Vec::new(), machines: Vec::new() };
    for (services, machines) in parts(services, machines) {
        let (some, none) = (tags.clone(), BTreeSet::new());
        let (add, remove) = if add { (some, none) } else { (none, some) };
        let part: TagsChanged = client.post("/tags", &TagRequest { add, remove, services, machines }).await?;
        changed.services.extend(part.services);
        changed.machines.extend(part.machines);
    }
    let names = || {
        let machines = changed.machines.iter().map(|machine| format!("@{machine}"));
        changed.services.iter().map(ToString::to_string).chain(machines)
    };
    let is_nothing = changed.services.is_empty() && changed.machines.is_empty();
    match output.format() {
        Format::Json => output.json(&changed),
        Format::Name => names().for_each(|name| output.line(&name)),
        Format::Table if is_nothing => output.line("Nothing was to change."),
        Format::Table => names().for_each(|name| {
            let how = if add { "is tagged" } else { "is not tagged any more:" };
            let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            output.line(&format!("{name} {how} {}", tags.join(", ")));
        }),
    }
    Ok(if is_nothing { Exit::Ignored } else { Exit::Done })
}

fn read<T: std::str::FromStr<Err: ToString> + Ord>(texts: &[String]) -> Result<BTreeSet<T>, Failure> {
    let parse = |text: &String| text.parse().map_err(|error: T::Err| Failure::new(Exit::Usage, error.to_string()));
    texts.iter().map(parse).collect()
}

/// The services and machines in parts of which none is too large for a call.
fn parts(
    services: Vec<ServiceName>,
    machines: BTreeSet<MachineName>,
) -> Vec<(BTreeSet<ServiceName>, BTreeSet<MachineName>)> {
    if services.len() + machines.len() <= MAX_TARGETS {
        return vec![(services.into_iter().collect(), machines)];
    }
    let machines: Vec<MachineName> = machines.into_iter().collect();
    let services = services.chunks(MAX_TARGETS).map(|part| (part.iter().cloned().collect(), BTreeSet::new()));
    let machines = machines.chunks(MAX_TARGETS).map(|part| (BTreeSet::new(), part.iter().cloned().collect()));
    services.chain(machines).collect()
}
