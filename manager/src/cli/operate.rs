//! `start`, `stop`, `kill`, `restart`, `killstart`: have an operation carried out, and wait for it.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    args::{Format, OperateArgs, WaitArgs},
    client::Client,
    exit::{Exit, Failure},
    operation::{
        plan::{self, States},
        report::{self, Besides},
        watching::{self, End, Waiting},
        words,
    },
    output::Output,
    status,
};
use crate::grid::{
    command::Command,
    config::{Mode, OnFailure, PROGRESS_INTERVAL},
    operation::{
        NodeKind,
        request::{OperationRequest, Order},
        view::{OperationDetail, OperationState, OperationView},
    },
    target::Target,
    view::Status,
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
        // As things are now; a plan is good without it.
        let states = states(client, &plan).await.unwrap_or_default();
        show_plan(output, &plan, &states);
        return Ok(if plan.operation.services.total == 0 { Exit::Ignored } else { Exit::Done });
    }
    let begun: OperationView = in_time(until, client.post("/operations", &request)).await?;
    go_on(client, output, begun, &arguments.wait, until, true).await
}

/// What is asked for.
fn request(command: Command, arguments: &OperateArgs) -> Result<OperationRequest, Failure> {
    let read = |text: &String| text.parse::<Target>().map_err(|error| Failure::new(Exit::Usage, error.to_string()));
    let targets = arguments.targets.iter().map(read).collect::<Result<_, _>>()?;
    let order = Order {
        mode: arguments.parallel.map(|_| Mode::Parallel),
        max_parallel: arguments.parallel.flatten(),
        on_failure: arguments.on_failure.map(OnFailure::from),
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

/// The states of the services of an operation, as they are now.
pub async fn states(client: &Client, detail: &OperationDetail) -> Result<States, Failure> {
    /// More are asked for all at once.
    const MOST_NAMED: usize = 50;
    let names: Vec<String> = (detail.steps.iter())
        .filter_map(|step| match &step.kind {
            NodeKind::Service(node) if !node.gone => Some(node.service.to_string()),
            _ => None,
        })
        .collect();
    let path = status::path(if names.len() > MOST_NAMED { &[] } else { &names });
    let status: Status = client.get(&path).await?;
    Ok(status.services.into_iter().map(|service| (service.name, service.state)).collect())
}

fn show_plan(output: &mut Output, plan: &OperationDetail, states: &States) {
    match output.format() {
        Format::Json => output.json(plan),
        Format::Name => {
            let rows = report::rows(plan, &Besides::default(), plan.operation.created_at);
            rows.iter().for_each(|row| output.line(&row.service));
        }
        Format::Table => plan::lines(plan, states).iter().for_each(|line| output.line(line)),
    }
}

/// Waits for an operation that has begun, unless the caller does not want to, and shows what it came to. `is_new` says
/// whether nothing of it was done before.
pub async fn go_on(
    client: &Client,
    output: &mut Output,
    begun: OperationView,
    wait: &WaitArgs,
    until: Option<Instant>,
    is_new: bool,
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
    let waiting = Waiting { interval, until, is_new, quiet: wait.quiet };
    match watching::wait(client, output, &begun, waiting).await? {
        End::Whole(detail, tails) => {
            let exit = Exit::of_operation(&detail.operation);
            if wait.quiet && matches!(exit, Exit::Done | Exit::Ignored) {
                return Ok(exit);
            }
            let states = match report::is_left(&detail) {
                true => in_time(until, states(client, &detail)).await.unwrap_or_default(),
                false => States::new(),
            };
            show(output, &detail, &Besides { tails, states });
            Ok(exit)
        }
        End::Left => {
            output.note(&format!(
                "it goes on: `tomcat-grid operations wait {id}` waits for it again, and `cancel` in place of `wait` ends it"
            ));
            Ok(Exit::Left)
        }
        End::TimedOut => {
            output.error(&format!(
                "the time of --timeout is up; operation {id} ({}) goes on: `tomcat-grid operations wait` with that id \
                 waits for it again, and `show` tells how far it is",
                words::title(&begun)
            ));
            Ok(Exit::TimedOut)
        }
        End::NoManager(time) => {
            output.error(&format!(
                "there was no manager at {} for {}; nobody can say how far operation {id} ({}) is: when a manager is there \
                 again, `tomcat-grid operations show` with that id tells it, and `resume` goes on with it if it was \
                 interrupted",
                client.address(),
                words::limit_of(time),
                words::title(&begun)
            ));
            Ok(Exit::Unreachable)
        }
    }
}

fn show(output: &mut Output, detail: &OperationDetail, besides: &Besides) {
    match output.format() {
        Format::Json => output.json(detail),
        Format::Name => output.line(&detail.operation.id.to_string()),
        Format::Table if detail.operation.services.total == 0 => {
            output.line(&format!("No services: nothing to do; operation {}", detail.operation.id));
        }
        Format::Table => report::show(output, detail, besides),
    }
    let is_over = detail.operation.state == OperationState::Ended;
    if let Some(advice) = report::advice(detail) {
        match is_over {
            true => output.note(&advice),
            false => output.error(&advice),
        }
    }
}
