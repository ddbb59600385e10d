//! `operations`

use std::time::Duration;

use comfy_table::Cell;
use protocol::time::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    args::{Format, OperationsAction, OperationsArgs, OperationsListArgs},
    client::Client,
    exit::{Exit, Failure},
    operate::{go_on, in_time},
    operation::{Tails, report, tree, words},
    output::{Output, harmless, text_of},
    pages,
    status::since,
};
use crate::grid::operation::view::{LogLine, OperationDetail, OperationView};

/// Among how many operations the beginning of an id is looked for.
const LOOKED_THROUGH: u32 = 10_000;

/// The widest line of a tree that is not on a terminal.
const WIDE: usize = 10_000;

/// Shows operations, cancels, resumes and retries them.
pub async fn run(
    client: &Client,
    output: &mut Output,
    arguments: &OperationsArgs,
    limit: Option<Duration>,
) -> Result<Exit, Failure> {
    let until = limit.map(|limit| Instant::now() + limit);
    match &arguments.action {
        None => in_time(until, list(client, output, &arguments.list)).await,
        Some(OperationsAction::List(arguments)) => in_time(until, list(client, output, arguments)).await,
        Some(OperationsAction::Show { id, log }) => in_time(until, show(client, output, id, *log)).await,
        Some(OperationsAction::Cancel { id, now }) => in_time(until, cancel(client, output, id, *now)).await,
        Some(OperationsAction::Resume { id, wait }) => {
            let begun = in_time(until, post(client, id, "resume")).await?;
            go_on(client, output, begun, wait, until).await
        }
        Some(OperationsAction::Retry { id, wait }) => {
            let begun = in_time(until, post(client, id, "retry")).await?;
            go_on(client, output, begun, wait, until).await
        }
    }
}

/// The whole id of an operation of which a beginning is given.
async fn whole(client: &Client, text: &str) -> Result<Uuid, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        let message = format!("`{text}` is no id of an operation: `tomcat-grid operations` shows them");
        return Err(Failure::new(Exit::Usage, message));
    }
    let wanted = text.to_ascii_lowercase();
    let views: Vec<OperationView> = pages::get(client, "/operations", LOOKED_THROUGH).await?;
    let found: Vec<Uuid> = views.iter().map(|view| view.id).filter(|id| id.to_string().starts_with(&wanted)).collect();
    match found.as_slice() {
        [] => Err(Failure::new(Exit::NoSuchTarget, format!("there is no operation whose id begins with `{text}`"))),
        [id] => Ok(*id),
        [one, other, ..] => {
            let count = found.len();
            let message = format!("{count} operations have ids that begin with `{text}`, such as {one} and {other}");
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

async fn post(client: &Client, id: &str, what: &str) -> Result<OperationView, Failure> {
    let id = whole(client, id).await?;
    client.post(&format!("/operations/{id}/{what}"), &serde_json::json!({})).await
}

async fn list(client: &Client, output: &mut Output, arguments: &OperationsListArgs) -> Result<Exit, Failure> {
    let parameters = [("state", &arguments.state), ("actor", &arguments.actor), ("service", &arguments.service)];
    let path = pages::query("/operations", parameters);
    let views: Vec<OperationView> = pages::get(client, &path, arguments.limit).await?;
    match output.format() {
        Format::Json => output.json(&views),
        Format::Name => views.iter().for_each(|view| output.line(&view.id.to_string())),
        Format::Table if views.is_empty() => output.line("No operations."),
        Format::Table => {
            let now = Timestamp::now();
            let mut table = output.table(&["OPERATION", "COMMAND", "RESULT", "SERVICES", "BEGAN", "TOOK", "BY"]);
            for view in &views {
                let (mark, colour) = match view.result {
                    Some(result) => words::mark(result),
                    None => ("◐", None),
                };
                let result = Cell::new(format!("{mark} {}", words::result(view)));
                let took = words::span(view.ended_at.unwrap_or(now).since(view.created_at));
                table.add_row(vec![
                    Cell::new(view.id),
                    Cell::new(words::title(view)),
                    colour.map_or(result.clone(), |colour| result.fg(report::table_colour(colour))),
                    Cell::new(words::counts(&view.services)),
                    Cell::new(format!("{} ago", since(view.created_at, now))),
                    Cell::new(if view.ended_at.is_some() { took } else { String::new() }),
                    Cell::new(harmless(&view.actor)),
                ]);
            }
            output.line(&text_of(&table));
        }
    }
    Ok(Exit::Done)
}

/// An operation with its log.
#[derive(Serialize)]
struct Logged {
    #[serde(flatten)]
    detail: OperationDetail,
    log: Vec<LogLine>,
}

async fn show(client: &Client, output: &mut Output, id: &str, with_log: bool) -> Result<Exit, Failure> {
    let id = whole(client, id).await?;
    let detail: OperationDetail = client.get(&format!("/operations/{id}")).await?;
    if output.format() == Format::Name {
        output.line(&id.to_string());
        return Ok(Exit::Done);
    }
    if output.format() == Format::Json && !with_log {
        output.json(&detail);
        return Ok(Exit::Done);
    }
    let log: Vec<LogLine> = pages::all(client, &format!("/operations/{id}/log")).await?;
    if output.format() == Format::Json {
        output.json(&Logged { detail, log });
        return Ok(Exit::Done);
    }
    let mut tails = Tails::default();
    log.iter().for_each(|line| tails.add(line));
    let view = &detail.operation;
    let ended = view.ended_at.map(|ended| format!(", ended {ended}")).unwrap_or_default();
    output.line(&format!("operation {id}, by {}, begun {}{ended}", harmless(&view.actor), view.created_at));
    if let Some(before) = view.retry_of {
        output.line(&format!("tries again what operation {before} did not do"));
    }
    let colour = output.colour();
    for line in tree::whole(&detail, &tails, Timestamp::now()) {
        output.line(&line.write(WIDE, colour));
    }
    output.line("");
    report::show(output, &detail);
    if let Some(advice) = report::advice(view).filter(|_| view.ended_at.is_none()) {
        output.note(&advice);
    }
    if with_log {
        output.line("");
        for line in &log {
            let name = detail.steps.get(line.step as usize).map(|step| words::step(&step.kind)).unwrap_or_default();
            line.text.lines().for_each(|text| output.line(&format!("{}  {name} | {}", line.at, harmless(text))));
        }
    }
    Ok(Exit::Done)
}

async fn cancel(client: &Client, output: &mut Output, id: &str, now: bool) -> Result<Exit, Failure> {
    let id = whole(client, id).await?;
    let view: OperationView =
        client.post(&format!("/operations/{id}/cancel"), &serde_json::json!({"now": now})).await?;
    match output.format() {
        Format::Json => output.json(&view),
        Format::Name => output.line(&id.to_string()),
        Format::Table => output.line(&format!("operation {id} ({}): {}", words::title(&view), words::result(&view))),
    }
    Ok(Exit::Done)
}
