//! `start`, `stop`, `kill`, `restart`, `killstart`: have an operation carried out, and wait for it.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    args::{Format, OperateArgs, WaitArgs},
    client::Client,
    exit::{Exit, Failure},
    operation::{
        plan, report,
        watching::{self, End},
        words,
    },
    output::Output,
};
use crate::grid::{
    command::Command,
    config::{Mode, OnFailure, PROGRESS_INTERVAL},
    operation::{
        request::{OperationRequest, Order},
        view::{OperationDetail, OperationState, OperationView},
    },
    target::Target,
};

/// The shortest time between two looks at what is in hand.
const SHORTEST: Duration = Duration::from_millis(100);

/// Has a command carried out.
pub async fn run(
    client: &Client,
    output: &mut Output,
    command: Command,
    arguments: &OperateArgs,
    limit: Option<Duration>,
) -> Result<Exit, Failure> {
    let until = limit.map(|limit| Instant::now() + limit);
    let request = request(command, arguments)?;
    if arguments.dry_run {
        let plan: OperationDetail = in_time(until, client.post("/operations", &request)).await?;
        show_plan(output, &plan);
        return Ok(if plan.operation.services.total == 0 { Exit::Ignored } else { Exit::Done });
    }
    let begun: OperationView = in_time(until, client.post("/operations", &request)).await?;
    go_on(client, output, begun, &arguments.wait, until).await
}

/// What is asked for.
fn request(command: Command, arguments: &OperateArgs) -> Result<OperationRequest, Failure> {
    let read = |text: &String| text.parse::<Target>().map_err(|error| Failure::new(Exit::Usage, error.to_string()));
    let targets = arguments.targets.iter().map(read).collect::<Result<_, _>>()?;
    let order = Order {
        mode: if arguments.parallel.is_some() { Mode::Parallel } else { Mode::Sequential },
        max_parallel: arguments.parallel.and_then(std::num::NonZeroU32::new),
        on_failure: arguments.on_failure.map_or(OnFailure::default(), OnFailure::from),
        failure_budget: arguments.failure_budget.map(|budget| budget.0),
    };
    Ok(OperationRequest { command, targets, order, dry_run: arguments.dry_run })
}

/// An answer that must come before the caller's time is up.
pub async fn in_time<T>(
    until: Option<Instant>,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(until) = until else { return answer.await };
    let late = |_| {
        let message = "no answer within --timeout; what was begun goes on: `tomcat-grid operations` shows it";
        Failure::new(Exit::TimedOut, message)
    };
    tokio::time::timeout_at(until, answer).await.map_err(late)?
}

fn show_plan(output: &mut Output, plan: &OperationDetail) {
    match output.format() {
        Format::Json => output.json(plan),
        Format::Name => report::rows(plan, plan.operation.created_at).iter().for_each(|row| output.line(&row.service)),
        Format::Table => plan::lines(plan).iter().for_each(|line| output.line(line)),
    }
}

/// Waits for an operation that has begun, unless the caller does not want to, and shows what it came to.
pub async fn go_on(
    client: &Client,
    output: &mut Output,
    begun: OperationView,
    wait: &WaitArgs,
    until: Option<Instant>,
) -> Result<Exit, Failure> {
    let id = begun.id;
    if wait.detach {
        match output.format() {
            Format::Json => output.json(&begun),
            Format::Table | Format::Name => output.line(&id.to_string()),
        }
        return Ok(Exit::Done);
    }
    let of_grid = begun.progress_interval_ms.map_or(PROGRESS_INTERVAL, Duration::from_millis);
    let interval = wait.interval.map_or(of_grid, |span| span.0).max(SHORTEST);
    match watching::wait(client, output, &begun, interval, until).await? {
        End::Whole(detail) => {
            show(output, &detail);
            Ok(Exit::of_operation(&detail.operation))
        }
        End::Left => {
            output.note(&format!(
                "operation {id} goes on: `tomcat-grid operations show {id}` tells how far it is, and \
                 `tomcat-grid operations cancel {id}` ends it"
            ));
            Ok(Exit::Left)
        }
        End::TimedOut => {
            output.error(&format!(
                "the time of --timeout is up; operation {id} ({}) goes on: `tomcat-grid operations show {id}` tells how \
                 far it is",
                words::title(&begun)
            ));
            Ok(Exit::TimedOut)
        }
    }
}

fn show(output: &mut Output, detail: &OperationDetail) {
    match output.format() {
        Format::Json => output.json(detail),
        Format::Name => output.line(&detail.operation.id.to_string()),
        Format::Table if detail.operation.services.total == 0 => {
            output.line(&format!("No services: nothing to do; operation {}", detail.operation.id));
        }
        Format::Table => report::show(output, detail),
    }
    let is_over = detail.operation.state == OperationState::Ended;
    if let Some(advice) = report::advice(&detail.operation) {
        match is_over {
            true => output.note(&advice),
            false => output.error(&advice),
        }
    }
}
