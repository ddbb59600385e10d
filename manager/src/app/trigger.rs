//! Triggers: deliver a signal to services, and say what became of it on each.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::{
    link::{Order, Outcome},
    name::ServiceName,
    state::{Action, State},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{App, AppError, Result, status::bounded};
use crate::grid::{
    access::{Caller, Permission},
    audit::{Deed, in_one_line},
    event::{Draft, Kind},
    fleet::Destination,
    target::Target,
    view::{ServiceType, TriggerOutcome, TriggerResult},
};

/// How long an order is worth carrying out.
const WORTH: Duration = Duration::from_secs(10);

/// How many outcomes are recorded at once.
const BATCH: usize = 256;

/// What the answer says of an outcome that could not be recorded.
const NOT_ON_RECORD: &str = "not on record, because the manager cannot write: its log says why";

/// How long an agent may take to say what became of an order: as long as it may take to start a program.
const OUTCOME: Duration = Duration::from_secs(40);

impl App {
    /// Triggers every service of the targets, all at once.
    pub async fn trigger(
        &self,
        caller: &Caller,
        action: Action,
        targets: &[Target],
        dry_run: bool,
    ) -> Result<Vec<TriggerResult>> {
        let (word, begun) = (word(action), Instant::now());
        let subject = in_one_line(targets.iter().map(ToString::to_string));
        self.permit(caller, Permission::Trigger, word, &subject).await?;
        bounded(targets)?;
        let services = match self.services_for(caller, targets) {
            Err(AppError::NotAllowed(refusal)) => return Err(self.refused(caller, word, &subject, refusal).await),
            services => services?,
        };
        let plan: Vec<(ServiceName, Option<Destination>)> = {
            let fleet = self.fleet();
            let destination = |name: &ServiceName| fleet.destination(name);
            services
                .iter()
                .map(|service| {
                    let instance = service.r#type == ServiceType::Instance;
                    (service.name.clone(), instance.then(|| destination(&service.name)).flatten())
                })
                .collect()
        };
        if dry_run {
            return Ok(plan.into_iter().map(|(service, destination)| planned(service, destination, action)).collect());
        }
        // What was asked for is recorded before anything is sent: also if the manager ends in between. A full disk
        // must not keep anybody from acting; the answer says that it is not on record.
        let count = format!("{} services", plan.len());
        let requested = self.record_deed(&Deed::of(caller, word, subject).outcome("requested").detail(count)).await;
        // Counted from the request on, however long it took to record it.
        let ttl = WORTH.saturating_sub(begun.elapsed());
        let deadline = Instant::now() + OUTCOME;
        let mut outcomes: FuturesUnordered<_> = (plan.into_iter().enumerate())
            .map(|(place, (service, destination))| {
                let order = self.order(caller, service, destination, action, ttl, deadline);
                async move { (place, order.await) }
            })
            .collect();
        // What came while others were being recorded is recorded together.
        let mut results = Vec::with_capacity(outcomes.len());
        let mut batches = outcomes.by_ref().ready_chunks(BATCH);
        while let Some(batch) = batches.next().await {
            let (done, drafts): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|(place, (result, draft))| ((place, result), draft)).unzip();
            let recorded = self.journal.record_all(drafts).await;
            if let Err(error) = &recorded {
                // The signals are delivered, and whoever asked is told so.
                tracing::error!("cannot record {} outcomes of the {word} by {}: {error}", done.len(), caller.name);
            }
            let is_on_record = requested && recorded.is_ok();
            results.extend(done.into_iter().map(|(place, mut result)| {
                if !is_on_record {
                    result.message = format!("{} ({NOT_ON_RECORD})", result.message);
                }
                (place, result)
            }));
        }
        results.sort_unstable_by_key(|(place, _)| *place);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    /// Sends an order at once; the future waits for its outcome, and returns it with what is to be recorded of it.
    fn order(
        &self,
        caller: &Caller,
        service: ServiceName,
        destination: Option<Destination>,
        action: Action,
        ttl: Duration,
        deadline: Instant,
    ) -> impl Future<Output = (TriggerResult, Draft)> {
        let deed = Deed::of(caller, word(action), service.as_str());
        let id = Uuid::now_v7();
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let sent = destination.as_ref().filter(|destination| destination.state != State::NotAvailable).and_then(
            |destination| {
                let order = Order { id, base: destination.base.clone(), action, ttl_ms };
                self.links.order(destination.agent, order)
            },
        );
        async move {
            let (outcome, message) = match (&destination, sent) {
                (None, _) => (TriggerOutcome::Refused, agents_are_not_triggered(action)),
                (Some(destination), None) => (TriggerOutcome::NotAvailable, not_available(destination)),
                (Some(_), Some(outcome)) => match tokio::time::timeout_at(deadline, outcome).await {
                    Ok(Ok(outcome)) => told(outcome),
                    Ok(Err(_)) => (
                        TriggerOutcome::Unknown,
                        "the link to the agent ended before it answered; `status` shows what became of it".to_owned(),
                    ),
                    Err(_) => {
                        self.links.give_up(id);
                        let message = format!(
                            "the agent did not answer in {} s; `status` shows what became of it",
                            OUTCOME.as_secs()
                        );
                        (TriggerOutcome::Unknown, message)
                    }
                },
            };
            let result = TriggerResult { service, outcome, message };
            self.triggers.count(action, outcome);
            let draft = record_of(deed, action, &result, destination);
            (result, draft)
        }
    }
}

/// What is recorded of an outcome.
fn record_of(deed: Deed, action: Action, result: &TriggerResult, destination: Option<Destination>) -> Draft {
    let draft = Draft::new(Kind::Trigger)
        .service(&result.service)
        .deed(deed.outcome(result.outcome.as_str()).detail(&result.message))
        .data(serde_json::json!({"action": action, "outcome": result.outcome, "message": result.message}));
    Draft { machine: destination.map(|destination| destination.machine), ..draft }
}

/// The action as the audit names it.
fn word(action: Action) -> &'static str {
    match action {
        Action::Start => "trigger-start",
        Action::Stop => "trigger-stop",
        Action::Kill => "trigger-kill",
    }
}

fn planned(service: ServiceName, destination: Option<Destination>, action: Action) -> TriggerResult {
    let (outcome, message) = match destination {
        None => (TriggerOutcome::Refused, agents_are_not_triggered(action)),
        Some(destination) => match (action, destination.state) {
            (_, State::NotAvailable) => (TriggerOutcome::NotAvailable, not_available(&destination)),
            (Action::Start, State::Stopped) => (TriggerOutcome::Planned, "would be started".to_owned()),
            (Action::Start, state) => (TriggerOutcome::Ignored, format!("it is {state}: a process exists")),
            (_, State::Stopped) => (TriggerOutcome::Ignored, "it is stopped: there is no process".to_owned()),
            (Action::Stop, State::Stopping) => {
                (TriggerOutcome::Ignored, "it is stopping: it was signalled before".to_owned())
            }
            (Action::Stop, state) => (TriggerOutcome::Planned, format!("is {state}, would be told to stop")),
            (Action::Kill, state) => (TriggerOutcome::Planned, format!("is {state}, would be killed")),
        },
    };
    TriggerResult { service, outcome, message }
}

fn told(outcome: Outcome) -> (TriggerOutcome, String) {
    match outcome {
        Outcome::Done { message } => (TriggerOutcome::Done, message),
        Outcome::Ignored { message } => (TriggerOutcome::Ignored, message),
        Outcome::Refused { message } => (TriggerOutcome::Refused, message),
        Outcome::Failed { message } => (TriggerOutcome::Failed, message),
        Outcome::Expired {} => {
            (TriggerOutcome::Failed, "it reached the instance too late, and was not carried out".to_owned())
        }
        Outcome::Unknown { message } => (TriggerOutcome::Unknown, message),
    }
}

fn not_available(destination: &Destination) -> String {
    format!("the agent of {} is not linked: nothing was sent", destination.machine)
}

fn agents_are_not_triggered(action: Action) -> String {
    let verb = match action {
        Action::Start => "start",
        Action::Stop => "stop",
        Action::Kill => "kill",
    };
    format!("this version does not {verb} agents: on the host, `systemctl {verb} tomcat-grid-agent`")
}
