//! Triggers: deliver a signal to services, and say what became of it on each.

mod one;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use protocol::state::Action;
use tokio::time::Instant;

use self::one::One;
use super::{App, AppError, Result, status::bounded};
use crate::grid::{
    access::{Caller, Permission},
    audit::{Deed, in_one_line},
    hooks::{Around, HookEvent, Phase, binding::Bindings},
    target::Target,
    view::{ServiceView, TriggerResult},
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
        self: &Arc<Self>,
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
        let config = self.configuration.current();
        let bindings = Bindings::new(&config.hooks, |event| event.around == Around::Trigger(action));
        let hooks = |phase, service: &ServiceView| {
            bindings.of_service(HookEvent { phase, around: Around::Trigger(action) }, service)
        };
        let plan: Vec<One> = services
            .into_iter()
            .map(|service| {
                let (pre, post) = (hooks(Phase::Pre, &service), hooks(Phase::Post, &service));
                One { action, pre, post, service: service.name, machine: service.machine }
            })
            .collect();
        if dry_run {
            return Ok(plan.iter().map(|one| self.planned(caller, one)).collect());
        }
        // What was asked for is recorded before anything is sent: also if the manager ends in between. A full disk
        // must not keep anybody from acting; the answer says that it is not on record.
        let count = format!("{} services", plan.len());
        let requested = self.record_deed(&Deed::of(caller, word, subject).outcome("requested").detail(count)).await;
        // Counted from the request on, however long it took to record it.
        let ttl = WORTH.saturating_sub(begun.elapsed());
        let deadline = Instant::now() + OUTCOME;
        let mut outcomes: FuturesUnordered<_> = (plan.into_iter().enumerate())
            .map(|(place, one)| async move { (place, self.deliver(caller, one, ttl, deadline).await) })
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
}

/// The action as the audit names it.
fn word(action: Action) -> &'static str {
    match action {
        Action::Start => "trigger-start",
        Action::Stop => "trigger-stop",
        Action::Kill => "trigger-kill",
    }
}
