//! `operations`

use std::time::Duration;

use comfy_table::Cell;
use protocol::{name::ServiceName, time::Timestamp};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    args::{Format, OperationsAction, OperationsArgs, OperationsListArgs},
    client::Client,
    exit::{Exit, Failure},
    operate::{go_on, in_time, states},
    operation::{
        Forest, Tails, changes,
        report::{self, Besides},
        tree, words,
    },
    output::{Output, harmless},
    pages,
    status::since,
};
use crate::grid::operation::{
    NodeKind, StepState,
    view::{LogLine, OperationDetail, OperationState, OperationView},
};

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
            go_on(client, output, begun, wait, until, false).await
        }
        Some(OperationsAction::Wait { id, wait }) => {
            let id = in_time(until, whole(client, id)).await?;
            let begun = in_time(until, client.get(&format!("/operations/{id}"))).await?;
            go_on(client, output, begun, wait, until, false).await
        }
        Some(OperationsAction::Retry { id, dry_run: true, .. }) => {
            in_time(until, would_retry(client, output, id)).await
        }
        Some(OperationsAction::Retry { id, wait, .. }) => {
            let begun = in_time(until, post(client, id, "retry")).await?;
            go_on(client, output, begun, wait, until, true).await
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
    // One more tells whether there are more.
    let mut views: Vec<OperationView> = pages::get(client, &path, arguments.limit.saturating_add(1)).await?;
    let is_filtered = [&arguments.state, &arguments.actor, &arguments.service].iter().any(|filter| filter.is_some());
    let digits = short(&views, is_filtered);
    let shown = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let are_more = views.len() > shown;
    views.truncate(shown);
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
                    Cell::new(&view.id.to_string()[..digits]),
                    Cell::new(words::title(view)),
                    colour.map_or(result.clone(), |colour| result.fg(report::table_colour(colour))),
                    Cell::new(words::counts(&view.services)),
                    Cell::new(format!("{} ago", since(view.created_at, now))),
                    Cell::new(if view.ended_at.is_some() { took } else { String::new() }),
                    Cell::new(harmless(&view.actor)),
                ]);
            }
            output.show(table);
        }
    }
    if are_more {
        output.note(&format!("These are the latest {shown}: there are more. --limit shows more of them."));
    }
    Ok(Exit::Done)
}

/// How many digits of ids tell the operations of a list from each other. Ids begin with their time, so the nearest in
/// time are the likest; where a filter leaves some out, more is shown.
fn short(views: &[OperationView], is_filtered: bool) -> usize {
    const LEAST: usize = 8;
    const WHOLE: usize = 36;
    let ids: Vec<String> = views.iter().map(|view| view.id.to_string()).collect();
    let least = if is_filtered { 18 } else { LEAST };
    let is_enough = |digits: &usize| {
        let known: std::collections::BTreeSet<&str> = ids.iter().map(|id| &id[..*digits]).collect();
        known.len() == ids.len()
    };
    // One that ends with a dash looks cut off.
    [least, 13, 18, 23, 28, WHOLE].into_iter().filter(|digits| *digits >= least).find(is_enough).unwrap_or(WHOLE)
}

/// What would be tried again.
#[derive(Serialize)]
struct Retried<'a> {
    command: crate::grid::command::Command,
    retry_of: Uuid,
    services: Vec<RetriedService<'a>>,
}

/// A service that would be tried again, and what became of it.
#[derive(Serialize)]
struct RetriedService<'a> {
    service: &'a ServiceName,
    state: StepState,
    message: String,
}

async fn would_retry(client: &Client, output: &mut Output, id: &str) -> Result<Exit, Failure> {
    let id = whole(client, id).await?;
    let detail: OperationDetail = client.get(&format!("/operations/{id}")).await?;
    let view = &detail.operation;
    if view.state != OperationState::Ended {
        let message = format!("operation {id} has not ended ({}): only what has is tried again", view.state.word());
        return Err(Failure::new(Exit::Conflict, message));
    }
    let services = detail.steps.iter().filter(|step| !step.state.is_good()).filter_map(|step| match &step.kind {
        NodeKind::Service(node) => {
            Some(RetriedService { service: &node.service, state: step.state, message: words::why(step) })
        }
        _ => None,
    });
    let retried = Retried { command: view.command, retry_of: id, services: services.collect() };
    match output.format() {
        Format::Json => output.json(&retried),
        Format::Name => retried.services.iter().for_each(|one| output.line(one.service.as_str())),
        Format::Table if retried.services.is_empty() => {
            output.line("Nothing is left to do: no service is tried again.")
        }
        Format::Table => {
            let count = words::many(u32::try_from(retried.services.len()).unwrap_or(u32::MAX), "service");
            output.line(&format!("{}: {count} would be tried again; a dry run, nothing is done", words::title(view)));
            let mut table = output.table(&["SERVICE", "LAST TIME", "HOW"]);
            for RetriedService { service, state, message } in &retried.services {
                let last = format!("{} {}", words::mark(*state).0, words::state(*state));
                table.add_row(vec![Cell::new(service), Cell::new(last), Cell::new(message)]);
            }
            output.show(table);
        }
    }
    Ok(if retried.services.is_empty() { Exit::Ignored } else { Exit::Done })
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
    view.interruptions.iter().for_each(|one| output.line(&harmless(&one.words())));
    let colour = output.colour();
    // With the whole log below, the tree need not show parts of it.
    let in_tree = if with_log { &Tails::default() } else { &tails };
    for line in tree::whole(&detail, in_tree, Timestamp::now()) {
        output.line(&line.write(WIDE, colour));
    }
    output.line("");
    let besides = Besides { tails, ..Besides::default() };
    report::show(output, &detail, &besides);
    if let Some(advice) = report::advice(&detail).filter(|_| view.ended_at.is_none()) {
        output.note(&advice);
    }
    if with_log {
        output.line("");
        let forest = Forest::of(&detail);
        for line in &log {
            changes::logged(&forest, line).iter().for_each(|line| output.line(line));
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
        Format::Table => {
            let detail = ended(client, id, now).await?;
            let view = detail.as_ref().map_or(&view, |detail| &detail.operation);
            output.line(&format!("operation {id} ({}): {}", words::title(view), words::result(view)));
            let Some(detail) = detail else { return Ok(Exit::Done) };
            let states = states(client, &detail).await.unwrap_or_default();
            let forest = Forest::of(&detail);
            for step in &detail.steps {
                if let Some(left) = report::left(&forest, step, &states) {
                    output.line(&format!("  {}: {left}", words::step(&step.kind)));
                }
            }
        }
    }
    Ok(Exit::Done)
}

/// The operation that is to end at once, when it has, or as far as it is after a while.
async fn ended(client: &Client, id: Uuid, now: bool) -> Result<Option<OperationDetail>, Failure> {
    /// How long it is waited for, and how often it is looked at.
    const LONGEST: Duration = Duration::from_secs(3);
    const OFTEN: Duration = Duration::from_millis(100);
    let until = Instant::now() + LONGEST;
    loop {
        if !now {
            return Ok(None);
        }
        let detail: OperationDetail = client.get(&format!("/operations/{id}")).await?;
        if detail.operation.state == OperationState::Ended || Instant::now() >= until {
            return Ok(Some(detail));
        }
        tokio::time::sleep(OFTEN).await;
    }
}
