//! Operations are acted on: cancelled, resumed, tried again.

use std::{collections::HashSet, sync::Arc};

use protocol::{name::ServiceName, time::Timestamp};
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
            outcome::Standing,
            prune::{left, only},
            request::{OperationRequest, Order},
            view::{OperationState, OperationView},
        },
        target::Target,
    },
    store::operations::StoredOperation,
};

impl App {
    /// Cancels an operation: what is in hand is finished, or left where `now` says so.
    pub async fn cancel_operation(self: &Arc<Self>, caller: &Caller, id: Uuid, now: bool) -> Result<OperationView> {
        let action = "operation-cancel";
        self.permit(caller, Permission::Trigger, action, &id.to_string()).await?;
        self.check_covered_to_act(caller, id, action).await?;
        let deed = Deed::of(caller, action, id.to_string());
        let Some(live) = self.operations.live(id) else {
            let stored = self.stored_operation(caller, id).await?;
            return match stored.view.state {
                // Nothing of it is in hand, so there is nothing to finish.
                OperationState::Interrupted => self.take_up(caller, id, action, Control::Now).await,
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
            view.cancelled_by.get_or_insert_with(|| by.clone());
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
        self.check_covered_to_act(caller, id, action).await?;
        self.take_up(caller, id, action, Control::Go).await
    }

    /// Takes an interrupted operation up again; one that was cancelled only to finish what was in hand.
    async fn take_up(
        self: &Arc<Self>,
        caller: &Caller,
        id: Uuid,
        action: &str,
        control: Control,
    ) -> Result<OperationView> {
        // One at a time, by what is stored then: of two who resume it one does, and nothing is done twice.
        let _alone = self.operations.taking_up.write().await;
        let StoredOperation { mut view, asked } = self.stored_operation(caller, id).await?;
        if view.state != OperationState::Interrupted || self.operations.live(id).is_some() {
            let state = view.state.standing();
            return Err(AppError::Conflict(format!("the operation {state}: only one that is interrupted is resumed")));
        }
        // To leave it takes no time.
        let room = match control {
            Control::Now => self.operations.going_on().map(|()| None)?,
            _ => Some(self.operations.room(asked.command)?),
        };
        let (steps, log) = (self.store.steps(id).await?, self.store.size_of_log(id).await?);
        let control = if view.cancelled_by.is_some() { control.max(Control::Cancel) } else { control };
        view.state = if control == Control::Go { OperationState::Running } else { OperationState::Cancelling };
        view.message = match (&view.cancelled_by, control) {
            (_, Control::Now) => format!("cancelled by {}: what was in hand is left", caller.name),
            (Some(by), _) => format!("cancelled by {by}: what was in hand is finished, and nothing else is begun"),
            (None, _) => String::new(),
        };
        if control == Control::Now {
            view.cancelled_by.get_or_insert_with(|| caller.name.clone());
        }
        // What is only left is not resumed.
        if control != Control::Now {
            view.note_resumption(Timestamp::now(), &caller.name);
        }
        view.progress_interval_ms = Some(self.progress_interval_ms());
        let deed = Deed::of(caller, asked.command.word(), subject(&asked.targets));
        let live = Arc::new(Live::new(view, asked, deed, steps, log).of(caller));
        live.cancel(control);
        // Whoever cancels it meanwhile records that after this.
        let recording = live.recording.lock().await;
        self.operations.lock().insert(id, live.clone());
        let view = live.view();
        let recorded = self.record_operation(&view, Some(Deed::of(caller, action, id.to_string()))).await;
        if let Err(error) = recorded {
            self.operations.lock().remove(&id);
            return Err(error.into());
        }
        drop(recording);
        self.set_going(live, room, true);
        Ok(view)
    }

    /// Begins a new operation with what of another one is neither done nor ignored.
    pub async fn retry_operation(self: &Arc<Self>, caller: &Caller, id: Uuid) -> Result<OperationView> {
        let action = "operation-retry";
        self.permit(caller, Permission::Trigger, action, &id.to_string()).await?;
        self.check_covered_to_act(caller, id, action).await?;
        let stored = self.stored_operation(caller, id).await?;
        if stored.view.state != OperationState::Ended {
            let state = stored.view.state.standing();
            return Err(AppError::Conflict(format!("the operation {state}: only one that has ended is tried again")));
        }
        let steps = self.store.steps(id).await?;
        let states: Vec<_> = steps.iter().map(|step| step.view.state).collect();
        let node = |step: crate::store::operations::StoredStep| Node { parent: step.view.parent, kind: step.view.kind };
        let tree = Tree { nodes: steps.into_iter().map(node).collect() };
        let left = left(&tree, &states);
        if left.is_empty() {
            let command = format!("`{} {}`", stored.asked.command, subject(&stored.asked.targets));
            return Err(AppError::Conflict(match Standing::new(&tree, &states).failed_hook() {
                Some(hook) => {
                    format!("every service of it is done, and only {hook} failed: {command} does all of it again")
                }
                None => "every service of it is done or was ignored: nothing is to be tried again".to_owned(),
            }));
        }
        let tree = match self.plan_again(caller, &stored.asked, &left) {
            Err(AppError::NotAllowed(refusal)) => {
                return Err(self.refused(caller, action, &id.to_string(), refusal).await);
            }
            tree => tree?,
        };
        self.begin_tree(caller, stored.asked, &tree, Some(id)).await
    }

    /// Plans what is left of an operation, as the configuration and the grid are now.
    pub(super) fn plan_again(
        &self,
        caller: &Caller,
        asked: &OperationRequest,
        left: &HashSet<ServiceName>,
    ) -> Result<Tree> {
        let (config, services) = (self.configuration.current(), self.services_for(caller, &[])?);
        let plan = |targets: Vec<Target>| {
            // What was said of several targets is not said of a collection that is the only one left.
            let is_alone = targets.len() == 1 && asked.targets.len() > 1;
            let order = if is_alone { Order::default() } else { asked.order.clone() };
            let asked = OperationRequest { targets, order, ..asked.clone() };
            self.plan_with(caller, &asked, &config, &services)
        };
        let tree = match plan(asked.targets.clone()) {
            // What is not there any more keeps nobody from trying the rest again.
            Err(AppError::NoSuchTarget(error)) => {
                let is_there = |target: &Target| !matches!(plan(vec![target.clone()]), Err(AppError::NoSuchTarget(_)));
                let there: Vec<_> = asked.targets.iter().filter(|target| is_there(target)).cloned().collect();
                if there.is_empty() {
                    return Err(AppError::NoSuchTarget(error));
                }
                plan(there)?
            }
            tree => tree?,
        };
        only(&tree, left).ok_or_else(|| {
            AppError::Conflict(
                "what failed of it is not among its targets any more: nothing is to be tried again".to_owned(),
            )
        })
    }
}

fn has_ended(id: Uuid) -> AppError {
    AppError::Conflict(format!("the operation {id} has ended"))
}
