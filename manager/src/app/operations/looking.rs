//! Operations are looked at: listed, shown, watched.

use std::{collections::HashMap, sync::Arc};

use protocol::name::ServiceName;
use tokio::sync::broadcast::Receiver;
use uuid::Uuid;

use super::{ending::interrupt, live::Live};
use crate::{
    app::{App, AppError, Result},
    grid::{
        access::{Caller, Permission},
        operation::view::{LogLine, OperationDetail, OperationNews, OperationState, OperationView},
        page::Page,
        target::Target,
    },
    store::operations::{OperationFilter, StoredOperation},
};

/// About how many operations are looked at for one page.
const SCAN: usize = 500;

/// What somebody watches.
pub enum Watched {
    /// One in hand: everything now, and what is new.
    Live(Arc<Live>, Box<OperationDetail>, Receiver<Arc<OperationNews>>),
    /// One of which nothing new comes.
    Still(Box<OperationDetail>),
}

impl App {
    /// Operations, newest first. A page may have few or none and yet not be the last: so many are looked at and no more,
    /// also where most are not for the caller.
    pub async fn operations(
        &self,
        caller: &Caller,
        filter: &OperationFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Page<OperationView>> {
        caller.may(Permission::Read)?;
        let (mut items, mut before, mut looked_at) = (Vec::new(), before, 0);
        loop {
            let found = self.store.operations(filter, before, limit).await?;
            let is_last = found.len() < limit as usize;
            looked_at += found.len();
            let services = match caller.targets {
                Some(_) => {
                    let ids: Vec<Uuid> = found.iter().map(|view| view.id).collect();
                    self.store.services_of_operations(&ids).await?
                }
                None => HashMap::new(),
            };
            for view in found {
                if items.len() == limit as usize {
                    let next = items.last().map(|last: &OperationView| last.id.to_string());
                    return Ok(Page { items, next });
                }
                before = Some(view.id);
                let view = self.as_it_is(view);
                let of = services.get(&view.id).map_or(&[][..], Vec::as_slice);
                if self.covers_all(caller, of) {
                    items.push(view);
                }
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
            if items.len() == limit as usize || looked_at >= SCAN {
                return Ok(Page { items, next: before.map(|id| id.to_string()) });
            }
        }
    }

    /// An operation with its steps.
    pub async fn operation(&self, caller: &Caller, id: Uuid) -> Result<OperationDetail> {
        caller.may(Permission::Read)?;
        self.check_covered(caller, id).await?;
        if let Some(live) = self.operations.live(id) {
            return Ok(live.detail());
        }
        let stored = self.store.operation(id).await?;
        let steps = self.store.steps(id).await?.into_iter().map(|step| step.view).collect();
        Ok(OperationDetail { operation: self.as_it_is(stored.view), steps })
    }

    /// Lines of an operation's log after a number, oldest first.
    pub async fn operation_log(&self, caller: &Caller, id: Uuid, after: u64, limit: u32) -> Result<Page<LogLine>> {
        caller.may(Permission::Read)?;
        self.check_covered(caller, id).await?;
        let mut items = self.store.operation_log(id, after, limit + 1).await?;
        let is_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| is_more).map(|line| line.number.to_string());
        Ok(Page { items, next })
    }

    /// Begins to watch an operation.
    pub async fn watch_operation(&self, caller: &Caller, id: Uuid) -> Result<Watched> {
        caller.may(Permission::Read)?;
        self.check_covered(caller, id).await?;
        if let Some(live) = self.operations.live(id) {
            let (detail, news) = live.watch();
            return Ok(Watched::Live(live, Box::new(detail), news));
        }
        Ok(Watched::Still(Box::new(self.operation(caller, id).await?)))
    }

    /// An operation as it is stored, if a caller may know of it.
    pub(super) async fn stored_operation(&self, caller: &Caller, id: Uuid) -> Result<StoredOperation> {
        self.check_covered(caller, id).await?;
        let stored = self.store.operation(id).await?;
        Ok(StoredOperation { view: self.as_it_is(stored.view), ..stored })
    }

    /// What is known of an operation that is stored: one in hand may be further, and one that should be in hand and is
    /// not was interrupted.
    fn as_it_is(&self, view: OperationView) -> OperationView {
        if let Some(live) = self.operations.live(view.id) {
            return live.view();
        }
        let mut view = view;
        if matches!(view.state, OperationState::Running | OperationState::Cancelling) {
            // More is known of it when a manager starts.
            let last_known = view.interruptions.last().and_then(|last| last.resumed_at).unwrap_or(view.created_at);
            interrupt(&mut view, last_known, false);
        }
        view
    }

    async fn services_of(&self, id: Uuid) -> Result<Vec<ServiceName>> {
        match self.operations.live(id) {
            Some(live) => Ok(live.services()),
            None => Ok(self.store.services_of_operation(id).await?),
        }
    }

    /// Checks that there is an operation, and that a caller may know of it.
    pub(super) async fn check_covered(&self, caller: &Caller, id: Uuid) -> Result<()> {
        if caller.targets.is_some() {
            let services = self.services_of(id).await?;
            // Whether it is there or not: the answer tells nothing of it.
            if !self.covers_all(caller, &services) {
                return Err(AppError::NotFound);
            }
        }
        Ok(())
    }

    /// The same for somebody who acts on it: what is refused is on record.
    pub(super) async fn check_covered_to_act(&self, caller: &Caller, id: Uuid, action: &str) -> Result<()> {
        let checked = self.check_covered(caller, id).await;
        if matches!(checked, Err(AppError::NotFound)) {
            let subject = id.to_string();
            let refusal = caller.outside(subject.clone());
            // The answer tells nothing of what is outside.
            let _recorded = self.refused(caller, action, &subject, refusal).await;
        }
        checked
    }

    /// Whether a caller may know of an operation, as far as that is known without asking the store: of those in hand,
    /// and those that ended lately.
    pub(in crate::app) fn covers_operation(&self, caller: &Caller, id: Option<Uuid>) -> bool {
        caller.targets.is_none()
            || id.and_then(|id| self.operations.subjects.of(id)).is_some_and(|of| self.covers_all(caller, &of))
    }

    fn covers_all(&self, caller: &Caller, services: &[ServiceName]) -> bool {
        let Some(targets) = &caller.targets else { return true };
        let fleet = self.fleet();
        // What is gone can only be known by its name.
        let by_name = |name: &ServiceName| {
            let is_agent = name.of_agent().is_some();
            targets.iter().any(|target| match target {
                Target::Service(covered) => covered == name,
                Target::All => !is_agent,
                Target::Agents => is_agent,
                Target::Machine(_) | Target::Tag(_) => false,
            })
        };
        let covers = |name: &ServiceName| fleet.covers(name, targets).unwrap_or_else(|| by_name(name));
        !services.is_empty() && services.iter().all(covers)
    }
}
