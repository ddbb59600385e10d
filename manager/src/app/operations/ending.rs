//! An operation is set going, and comes to its end: its own, or the manager's.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use protocol::time::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    beginning::told,
    live::{Control, Live, count},
    run::Run,
};
use crate::{
    app::App,
    grid::{
        audit::Deed,
        operation::{
            StepState,
            view::{OperationState, OperationView},
        },
    },
    store::{StoreError, operations::StoredStep},
};

/// How long after an end that could not be recorded it is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How often old operations are removed at most.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// How often it is told how far an operation is.
const PROGRESS: Duration = Duration::from_millis(500);

/// Who did what the manager's own end did.
const MANAGER: &str = "manager";

impl App {
    /// Carries an operation out, in a task of its own.
    pub(super) fn set_going(self: &Arc<Self>, live: Arc<Live>, room: Option<OwnedSemaphorePermit>, resumed: bool) {
        self.operations.lock().insert(live.id, live.clone());
        self.operations.subjects.put(live.id, live.services());
        let progress = tokio::spawn(self.clone().tell_progress(live.clone()));
        let app = self.clone();
        tokio::spawn(async move {
            let (work, of) = (app.clone(), live.clone());
            // What goes wrong in one operation must not leave it unended.
            let work = tokio::spawn(async move { Run::new(work, of, resumed).carry_out().await });
            let (result, words) = work.await.unwrap_or_else(|error| {
                tracing::error!("the operation {} broke off: {error}", live.id);
                (StepState::Unknown, "something went wrong in the manager; its log says what".to_owned())
            });
            progress.abort();
            app.end_operation(&live, result, words).await;
            app.operations.lock().remove(&live.id);
            drop(room);
            app.trim_operations().await;
        });
    }

    /// Tells those who watch the grid how far an operation is, whenever that has changed. Nothing of it is stored.
    async fn tell_progress(self: Arc<Self>, live: Arc<Live>) {
        loop {
            tokio::time::sleep(PROGRESS).await;
            let (view, taken, left) = live.moved();
            if taken.is_empty() && left.is_empty() {
                continue;
            }
            let mut draft = told(&view);
            if let serde_json::Value::Object(data) = &mut draft.data {
                data.insert("taken".to_owned(), serde_json::json!(taken));
                data.insert("left".to_owned(), serde_json::json!(left));
            }
            self.journal.pass(draft);
        }
    }

    async fn end_operation(&self, live: &Arc<Live>, result: StepState, words: String) {
        let (mut tried, at) = (false, Timestamp::now());
        loop {
            // The steps are on disk before it says that it has ended.
            let written = self.operations.recorder.flush().await.map_err(|why| why.0);
            let recording = live.recording.lock().await;
            if self.operations.is_ending() {
                return;
            }
            let ended = |view: &mut OperationView| {
                view.state = OperationState::Ended;
                view.result = Some(result);
                view.message.clone_from(&words);
                view.ended_at = Some(at);
            };
            let mut view = live.view();
            ended(&mut view);
            let deed = live.deed.clone().outcome(result.word());
            let deed = deed.detail(format!("operation {}: {words}", live.id));
            let recorded = match written {
                Ok(()) => self.record_operation(&view, Some(deed)).await.map_err(|error| error.to_string()),
                Err(why) => Err(why),
            };
            match recorded {
                Ok(()) => {
                    live.change(ended);
                    break;
                }
                Err(why) => {
                    if !std::mem::replace(&mut tried, true) {
                        tracing::error!("the end of the operation {} cannot be recorded: {why}", live.id);
                        // What is done is done, on record or not.
                        live.change(|view| {
                            ended(view);
                            view.message = format!("{words} (not on record yet: {why})");
                        });
                    }
                    drop(recording);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Removes what is too old to be kept; at most once in a while.
    async fn trim_operations(&self) {
        let Ok(mut trimmed) = self.operations.trimmed.try_lock() else { return };
        if trimmed.is_some_and(|last| last.elapsed() < TRIM_EVERY) {
            return;
        }
        if let Err(error) = self.store.trim_operations().await {
            tracing::warn!("old operations cannot be removed: {error}");
        }
        *trimmed = Some(Instant::now());
    }

    /// Records how far an operation is, and tells it.
    pub(super) async fn record_operation(&self, view: &OperationView, deed: Option<Deed>) -> Result<(), StoreError> {
        let mut draft = told(view);
        if let Some(deed) = deed {
            draft = draft.deed(deed);
        }
        let write = async |event: crate::store::events::EventRow| {
            let log_bytes = self.operations.live(view.id).map(|live| live.log_bytes());
            self.journal.noting(self.store.change_operation(&event, view, log_bytes).await)
        };
        self.journal.record_with(draft, write).await
    }

    /// The manager ends: nothing more is sent, and what is in hand can be resumed.
    pub async fn end_operations(&self) {
        self.operations.ending.store(true, Ordering::Release);
        self.operations.recorder.freeze().await;
        for live in self.operations.all() {
            let _recording = live.recording.lock().await;
            if live.view().state != OperationState::Ended {
                let now = Timestamp::now();
                let view = live.change(|view| interrupt(view, now, true));
                tracing::warn!("the operation {} is interrupted: it goes on only when it is resumed", view.id);
                self.note_interrupted(view).await;
            }
        }
    }

    /// What a manager that is gone had in hand can be resumed.
    pub(in crate::app) async fn interrupt_left(&self) -> Result<(), StoreError> {
        for left in self.store.unended_operations().await? {
            let mut view = left.view;
            let steps = self.store.steps(view.id).await?;
            let last_known = self.last_known(&view, &steps).await?;
            interrupt(&mut view, last_known, false);
            view.services = count(steps.iter().map(|step| &step.view));
            tracing::warn!("the operation {} was interrupted: it goes on only when it is resumed", view.id);
            self.note_interrupted(view).await;
        }
        Ok(())
    }

    /// The last that is known of an operation whose manager was killed.
    async fn last_known(&self, view: &OperationView, steps: &[StoredStep]) -> Result<Timestamp, StoreError> {
        let of_steps = steps.iter().flat_map(|step| [step.view.started_at, step.view.ended_at]).flatten();
        let resumed = view.interruptions.last().and_then(|last| last.resumed_at);
        let logged = self.store.last_logged(view.id).await?;
        Ok(of_steps.chain(resumed).chain(logged).fold(view.created_at, Timestamp::max))
    }

    async fn note_interrupted(&self, view: OperationView) {
        let subject = crate::grid::audit::in_one_line(view.targets.iter().cloned());
        let deed = Deed::of_stranger(MANAGER, "", view.command.word(), subject)
            .outcome("interrupted")
            .detail(format!("operation {}: the manager ended", view.id));
        if let Err(error) = self.record_operation(&view, Some(deed)).await {
            tracing::error!("cannot note that the operation {} was interrupted: {error}", view.id);
        }
    }
}

/// It is not carried out any more, and has not ended.
pub(super) fn interrupt(view: &mut OperationView, at: Timestamp, exact: bool) {
    view.note_interruption(at, exact);
    view.state = OperationState::Interrupted;
    let resume = format!("`tomcat-grid operations resume {}`", view.id);
    view.message = match &view.cancelled_by {
        None => format!("the manager ended while it was carried out: {resume} goes on"),
        Some(by) => format!(
            "cancelled by {by}, and then the manager ended: {resume} finishes what was in hand, and begins nothing else"
        ),
    };
}

impl Live {
    /// Whether it may be told to end.
    pub(super) fn is_cancelled(&self) -> bool {
        self.control() != Control::Go
    }
}
