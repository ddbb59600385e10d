//! An operation is asked for: planned, stored, begun.

use std::sync::Arc;

use protocol::time::Timestamp;
use uuid::Uuid;

use super::{MOST_SERVICES, live::Live, live::count};
use crate::{
    app::{App, AppError, Result, status::bounded},
    grid::{
        access::{Caller, Permission},
        audit::{Deed, in_one_line},
        config::{GridConfig, PROGRESS_INTERVAL},
        event::{Draft, Kind},
        operation::{
            Tree,
            plan::{PlanError, plan},
            prune::without_grid,
            request::OperationRequest,
            view::{OperationDetail, OperationState, OperationView, StepView},
        },
        target::Target,
        view::ServiceView,
    },
    store::operations::StoredStep,
};

/// What came of a request.
#[derive(Debug)]
pub enum Begun {
    /// What would be done.
    Planned(Box<OperationDetail>),
    /// It is being done.
    Begun(Box<OperationView>),
}

/// The targets of a request as one text.
pub(super) fn subject(targets: &[Target]) -> String {
    in_one_line(targets.iter().map(ToString::to_string))
}

impl App {
    /// Begins an operation, or says what it would be.
    pub async fn begin_operation(self: &Arc<Self>, caller: &Caller, asked: OperationRequest) -> Result<Begun> {
        let (word, subject) = (asked.command.word(), subject(&asked.targets));
        self.permit(caller, Permission::Trigger, word, &subject).await?;
        bounded(&asked.targets)?;
        let tree = match self.plan_operation(caller, &asked) {
            Err(AppError::NotAllowed(refusal)) => return Err(self.refused(caller, word, &subject, refusal).await),
            tree => tree?,
        };
        if asked.dry_run {
            let (view, steps) = new(caller, &asked, &tree, Uuid::nil(), OperationState::Planned);
            let mut steps: Vec<StepView> = steps.into_iter().map(|step| step.view).collect();
            self.warn_at(asked.command, &mut steps, caller.targets.is_some());
            return Ok(Begun::Planned(Box::new(OperationDetail { operation: view, steps })));
        }
        self.begin_tree(caller, asked, &tree, None).await.map(|view| Begun::Begun(Box::new(view)))
    }

    /// Plans a command, as far as a caller may give it.
    pub(in crate::app) fn plan_operation(&self, caller: &Caller, asked: &OperationRequest) -> Result<Tree> {
        self.plan_with(caller, asked, &self.configuration.current(), &self.services_for(caller, &[])?)
    }

    /// Plans a command for a caller who sees these services.
    pub(in crate::app) fn plan_with(
        &self,
        caller: &Caller,
        asked: &OperationRequest,
        config: &GridConfig,
        services: &[ServiceView],
    ) -> Result<Tree> {
        let is_limited = caller.targets.is_some();
        let outside = |name: String| AppError::from(caller.outside(name));
        let mut tree = plan(asked, config, services).map_err(|error| match error {
            // What is outside is refused whether it is there or not: the answer tells nothing of it.
            PlanError::NoSuchTarget(_) if is_limited => outside(subject(&asked.targets)),
            PlanError::NoSuchTarget(error) => error.into(),
            error => AppError::Invalid(error.to_string()),
        })?;
        if let Some(gone) = tree.first_gone().filter(|_| is_limited) {
            return Err(outside(gone.to_string()));
        }
        if is_limited {
            // `all` is then all that the caller may see, and not the grid.
            tree = without_grid(&tree);
        }
        if tree.services() > MOST_SERVICES {
            let count = tree.services();
            return Err(AppError::Invalid(format!(
                "these are {count} services, and {MOST_SERVICES} at once is the most"
            )));
        }
        Ok(tree)
    }

    /// How often the progress of an operation is told.
    pub(super) fn progress_interval_ms(&self) -> u64 {
        let interval = self.configuration.current().progress_interval.unwrap_or(PROGRESS_INTERVAL);
        u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)
    }

    /// Stores a planned operation, and begins it.
    pub(super) async fn begin_tree(
        self: &Arc<Self>,
        caller: &Caller,
        asked: OperationRequest,
        tree: &Tree,
        retry_of: Option<Uuid>,
    ) -> Result<OperationView> {
        let room = self.operations.room(asked.command)?;
        let (mut view, steps) = new(caller, &asked, tree, Uuid::now_v7(), OperationState::Running);
        view.retry_of = retry_of;
        view.progress_interval_ms = Some(self.progress_interval_ms());
        let deed = Deed::of(caller, asked.command.word(), subject(&asked.targets));
        let begun = match retry_of {
            Some(of) => format!("operation {}, which tries {of} again; {}", view.id, view.services.many()),
            None => format!("operation {}, {}", view.id, view.services.many()),
        };
        let draft = told(&view).deed(deed.clone().outcome("begun").detail(begun));
        // Between its storing and its being in hand nobody takes it for one that was interrupted.
        let _beginning = self.operations.taking_up.read().await;
        let live = Arc::new(Live::new(view.clone(), asked.clone(), deed, steps, (0, 0)).of(caller));
        // Whoever is told of it must find whether it is theirs.
        self.operations.subjects.put(live.id, live.services());
        self.carry_out(draft, async |event| self.store.add_operation(event, &view, &asked, tree).await).await?;
        self.set_going(live, Some(room), false);
        Ok(view)
    }
}

/// The event that tells of an operation.
pub(super) fn told(view: &OperationView) -> Draft {
    // A view is plain data, so it can always be written.
    let data = serde_json::to_value(view).unwrap_or_default();
    Draft::new(Kind::OperationState).actor(&view.actor).data(data)
}

/// An operation of which nothing is done yet.
fn new(
    caller: &Caller,
    asked: &OperationRequest,
    tree: &Tree,
    id: Uuid,
    state: OperationState,
) -> (OperationView, Vec<StoredStep>) {
    let steps: Vec<StoredStep> = (0..)
        .zip(&tree.nodes)
        .map(|(number, node)| StoredStep {
            view: StepView {
                number,
                parent: node.parent,
                kind: node.kind.clone(),
                state: crate::grid::operation::StepState::Planned,
                message: String::new(),
                started_at: None,
                ended_at: None,
            },
            order: None,
        })
        .collect();
    let view = OperationView {
        id,
        command: asked.command,
        targets: asked.targets.iter().map(ToString::to_string).collect(),
        state,
        result: None,
        message: String::new(),
        actor: caller.name.clone(),
        created_at: Timestamp::now(),
        ended_at: None,
        retry_of: None,
        cancelled_by: None,
        interruptions: Vec::new(),
        progress_interval_ms: None,
        services: count(steps.iter().map(|step| &step.view)),
    };
    (view, steps)
}
