//! Operations are acted on: cancelled, resumed, tried again.

use std::{collections::hash_map::Entry, sync::Arc};

use uuid::Uuid;

use super::{
    beginning::subject,
    live::{Control, Live},
};
use crate::{
    app::{App, AppError, Result},
    grid::{
        access::{Caller, Permission},
        audit::Deed,
        operation::{
            Node, Tree,
            prune::prune,
            view::{OperationState, OperationView},
        },
    },
    store::operations::StoredOperation,
};

impl App {
    /// Cancels an operation: what is in hand is finished, or left where `now` says so.
    pub async fn cancel_operation(self: &Arc<Self>, caller: &Caller, id: Uuid, now: bool) -> Result<OperationView> {
        let action = "operation-cancel";
        self.permit(caller, Permission::Trigger, action, &id.to_string()).await?;
        self.check_covered(caller, id).await?;
        let deed = Deed::of(caller, action, id.to_string());
        let Some(live) = self.operations.live(id) else {
            let stored = self.stored_operation(caller, id).await?;
            return match stored.view.state {
                // Nothing of it is in hand, so there is nothing to finish.
                OperationState::Interrupted => self.take_up(caller, stored, action, Control::Now).await,
                _ => Err(has_ended(id)),
            };
        };
        let _recording = live.recording.lock().await;
        if matches!(live.view().state, OperationState::Ended | OperationState::Interrupted) {
            return Err(has_ended(id));
        }
        let by = &caller.name;
        let message = match now {
            true => format!("cancelled by {by}: what is in hand is left"),
            false => format!("cancelled by {by}: what is in hand is finished"),
        };
        let was_cancelled = live.is_cancelled();
        live.cancel(if now { Control::Now } else { Control::Cancel });
        let view = live.change(|view| {
            if view.state == OperationState::Running || now {
                view.state = OperationState::Cancelling;
                view.message.clone_from(&message);
            }
        });
        if was_cancelled && !now {
            return Ok(view);
        }
        // It is cancelled, also where the disk takes nothing.
        let detail = if now { "at once" } else { "after what is in hand" };
        if let Err(error) = self.record_operation(&view, Some(deed.detail(detail))).await {
            tracing::error!("cannot record the cancel of the operation {id} by {by}: {error}");
        }
        Ok(view)
    }

    /// Goes on with an operation that a manager's end has interrupted.
    pub async fn resume_operation(self: &Arc<Self>, caller: &Caller, id: Uuid) -> Result<OperationView> {
        let action = "operation-resume";
        self.permit(caller, Permission::Trigger, action, &id.to_string()).await?;
        let stored = self.stored_operation(caller, id).await?;
        if stored.view.state != OperationState::Interrupted {
            let state = stored.view.state.word();
            return Err(AppError::Conflict(format!(
                "the operation is {state}: only one that is interrupted is resumed"
            )));
        }
        self.take_up(caller, stored, action, Control::Go).await
    }

    /// Takes an interrupted operation up again.
    async fn take_up(
        self: &Arc<Self>,
        caller: &Caller,
        stored: StoredOperation,
        action: &str,
        control: Control,
    ) -> Result<OperationView> {
        let StoredOperation { mut view, asked } = stored;
        let id = view.id;
        let room = self.operations.room()?;
        let (steps, log) = (self.store.steps(id).await?, self.store.size_of_log(id).await?);
        view.state = if control == Control::Go { OperationState::Running } else { OperationState::Cancelling };
        view.message = String::new();
        view.progress_interval_ms = Some(self.progress_interval_ms());
        let deed = Deed::of(caller, asked.command.word(), subject(&asked.targets));
        let live = Arc::new(Live::new(view, asked, deed, steps, log));
        live.cancel(control);
        // Of two who resume it one does.
        match self.operations.lock().entry(id) {
            Entry::Occupied(_) => return Err(AppError::Conflict("the operation is in hand already".to_owned())),
            Entry::Vacant(place) => {
                place.insert(live.clone());
            }
        }
        let view = live.view();
        let recorded = self.record_operation(&view, Some(Deed::of(caller, action, id.to_string()))).await;
        if let Err(error) = recorded {
            self.operations.lock().remove(&id);
            return Err(error.into());
        }
        self.set_going(live, room, true);
        Ok(view)
    }

    /// Begins a new operation with what of another one is neither done nor ignored.
    pub async fn retry_operation(self: &Arc<Self>, caller: &Caller, id: Uuid) -> Result<OperationView> {
        let action = "operation-retry";
        self.permit(caller, Permission::Trigger, action, &id.to_string()).await?;
        let stored = self.stored_operation(caller, id).await?;
        if stored.view.state != OperationState::Ended {
            let state = stored.view.state.word();
            return Err(AppError::Conflict(format!(
                "the operation is {state}: only one that has ended is tried again"
            )));
        }
        let steps = self.store.steps(id).await?;
        let states: Vec<_> = steps.iter().map(|step| step.view.state).collect();
        let node = |step: crate::store::operations::StoredStep| Node { parent: step.view.parent, kind: step.view.kind };
        let tree = Tree { nodes: steps.into_iter().map(node).collect() };
        let Some(tree) = prune(&tree, &states) else {
            return Err(AppError::Conflict(
                "every service of it is done or was ignored: nothing is to be tried again".to_owned(),
            ));
        };
        self.begin_tree(caller, stored.asked, &tree, Some(id)).await
    }
}

fn has_ended(id: Uuid) -> AppError {
    AppError::Conflict(format!("the operation {id} has ended"))
}
