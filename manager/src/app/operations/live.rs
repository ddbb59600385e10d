//! An operation in hand, as it is in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{
    name::{MachineName, ServiceName},
    time::Timestamp,
};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use super::claims::Holder;
use crate::{
    grid::{
        access::Caller,
        audit::Deed,
        operation::{
            NodeKind, StepState,
            request::OperationRequest,
            view::{Counts, LogLine, OperationDetail, OperationNews, OperationView, StepView},
        },
    },
    store::operations::StoredStep,
};

/// The most news that a watcher may be behind before it gets the whole again.
const BEHIND: usize = 16_384;

/// How many news that are in a small operation.
const BEHIND_AT_LEAST: usize = 1024;

/// The most lines of a log.
const MOST_LINES: u64 = 100_000;

/// The most bytes of a log.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// What the last line of a log that is full says.
const FULL: &str = "the log of this operation is full: what follows is not kept";

/// Whether an operation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    /// It does.
    Go,
    /// What is in hand is finished, and nothing else is begun.
    Cancel,
    /// What is in hand is left, too.
    Now,
}

/// An operation in hand.
pub struct Live {
    /// Its id.
    pub id: Uuid,
    /// What was asked for.
    pub asked: OperationRequest,
    /// What the audit says of its end.
    pub deed: Deed,
    /// Whether whoever asked may see only some services, and so must not learn of others' operations.
    pub is_limited: bool,
    /// Of each step the service that it is of.
    subjects: Vec<Option<u32>>,
    // Held for moments only, never across an await.
    progress: Mutex<Progress>,
    /// Held while something of the operation itself is recorded, so that the last that is stored is the last that was.
    pub(super) recording: tokio::sync::Mutex<()>,
    news: broadcast::Sender<Arc<OperationNews>>,
    control: watch::Sender<Control>,
}

/// How far it is.
struct Progress {
    view: OperationView,
    steps: Vec<StoredStep>,
    lines: u64,
    bytes: u64,
    /// Where services went since that was told last: their steps, and whether these are in hand.
    moved: BTreeMap<ServiceName, Option<u32>>,
}

impl Live {
    /// An operation that is begun, or taken up again. `log` is how many lines and bytes its log has.
    pub fn new(
        view: OperationView,
        asked: OperationRequest,
        deed: Deed,
        steps: Vec<StoredStep>,
        (lines, bytes): (u64, u64),
    ) -> Self {
        let mut subjects: Vec<Option<u32>> = Vec::with_capacity(steps.len());
        for StoredStep { view: step, .. } in &steps {
            let of_parent = step.parent.and_then(|parent| subjects.get(parent as usize).copied().flatten());
            let is_service = matches!(step.kind, NodeKind::Service(_));
            subjects.push(if is_service { Some(step.number) } else { of_parent });
        }
        let behind = (4 * steps.len()).clamp(BEHIND_AT_LEAST, BEHIND);
        let mut view = view;
        view.services = count(steps.iter().map(|step| &step.view));
        Self {
            id: view.id,
            asked,
            deed,
            is_limited: false,
            subjects,
            progress: Mutex::new(Progress { view, steps, lines, bytes, moved: BTreeMap::new() }),
            recording: tokio::sync::Mutex::default(),
            news: broadcast::Sender::new(behind),
            control: watch::Sender::new(Control::Go),
        }
    }

    /// The same, asked for or taken up by somebody.
    #[must_use]
    pub fn of(mut self, caller: &Caller) -> Self {
        self.is_limited = caller.targets.is_some();
        self
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operation, without its steps.
    pub fn view(&self) -> OperationView {
        self.lock().view.clone()
    }

    /// The operation with its steps.
    pub fn detail(&self) -> OperationDetail {
        self.lock().detail()
    }

    /// How many bytes its log has.
    pub fn log_bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// How many steps it has.
    pub fn count(&self) -> usize {
        self.subjects.len()
    }

    /// A step.
    pub fn step(&self, number: u32) -> Option<StoredStep> {
        self.lock().steps.get(number as usize).cloned()
    }

    /// Every step.
    pub fn steps(&self) -> Vec<StoredStep> {
        self.lock().steps.clone()
    }

    /// The services of it, and their machines.
    pub fn services(&self) -> Vec<ServiceName> {
        let progress = self.lock();
        let name = |step: &StoredStep| match &step.view.kind {
            NodeKind::Service(node) => Some(node.service.clone()),
            _ => None,
        };
        progress.steps.iter().filter_map(name).collect()
    }

    /// The service that a step is of, and its machine.
    pub fn subject(&self, number: u32) -> Option<(ServiceName, MachineName)> {
        let at = self.subjects.get(number as usize).copied().flatten()?;
        match &self.lock().steps.get(at as usize)?.view.kind {
            NodeKind::Service(node) => Some((node.service.clone(), node.machine.clone())),
            _ => None,
        }
    }

    /// Begins to watch: everything, and what comes after.
    pub fn watch(&self) -> (OperationDetail, broadcast::Receiver<Arc<OperationNews>>) {
        let progress = self.lock();
        (progress.detail(), self.news.subscribe())
    }

    /// Who it is for those who find a service held.
    pub fn holder(&self) -> Holder {
        let progress = self.lock();
        Holder {
            operation: self.id,
            command: progress.view.command,
            targets: crate::grid::audit::in_one_line(progress.view.targets.iter().cloned()),
            actor: progress.view.actor.clone(),
        }
    }

    /// Changes the operation itself, and tells it.
    pub fn change(&self, change: impl FnOnce(&mut OperationView)) -> OperationView {
        let mut progress = self.lock();
        change(&mut progress.view);
        let view = progress.view.clone();
        self.tell(OperationNews::Operation(Box::new(view.clone())));
        view
    }

    /// Puts up how far steps are, and lines of the log, and tells them.
    pub(super) fn put(&self, steps: impl IntoIterator<Item = StoredStep>, lines: impl IntoIterator<Item = LogLine>) {
        let mut progress = self.lock();
        for step in steps {
            let Some(place) = progress.steps.get_mut(step.view.number as usize) else { continue };
            let before = std::mem::replace(place, step);
            let after = place.view.clone();
            if let NodeKind::Service(node) = &after.kind
                && before.view.state != after.state
            {
                let in_hand = (after.state == StepState::Running).then_some(after.number);
                progress.moved.insert(node.service.clone(), in_hand);
                let counts = &mut progress.view.services;
                *of(counts, before.view.state) -= 1;
                *of(counts, after.state) += 1;
            }
            self.tell(OperationNews::Step(Box::new(after)));
        }
        for line in lines {
            self.tell(OperationNews::Log(line));
        }
    }

    /// The operation, the services that were taken in hand since this was asked last, with their steps, and those that
    /// were left.
    pub(super) fn moved(&self) -> (OperationView, Vec<(ServiceName, u32)>, Vec<ServiceName>) {
        let mut progress = self.lock();
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for (service, in_hand) in std::mem::take(&mut progress.moved) {
            match in_hand {
                Some(step) => taken.push((service, step)),
                None => left.push(service),
            }
        }
        (progress.view.clone(), taken, left)
    }

    /// Numbers a line of the log; nothing where the log is full.
    pub(super) fn number(&self, at: Timestamp, step: u32, mut text: String) -> Option<LogLine> {
        let mut progress = self.lock();
        if progress.lines >= MOST_LINES || progress.bytes >= MOST_BYTES {
            return None;
        }
        progress.bytes += text.len() as u64;
        progress.lines += 1;
        if progress.lines == MOST_LINES || progress.bytes >= MOST_BYTES {
            text = FULL.to_owned();
        }
        Some(LogLine { number: progress.lines, at, step, text })
    }

    fn tell(&self, news: OperationNews) {
        if self.news.receiver_count() > 0 {
            // Whoever watched may just have gone.
            let _nobody = self.news.send(Arc::new(news));
        }
    }

    /// Whether it goes on.
    pub fn control(&self) -> Control {
        *self.control.borrow()
    }

    /// Cancels it; what was said before is not taken back.
    pub fn cancel(&self, control: Control) {
        self.control.send_if_modified(|now| {
            let is_more = control > *now;
            *now = control.max(*now);
            is_more
        });
    }

    /// Waits until what is in hand is to be left.
    pub async fn left_now(&self) {
        let mut control = self.control.subscribe();
        if control.wait_for(|control| *control == Control::Now).await.is_err() {
            // The other end is held here.
            std::future::pending().await
        }
    }
}

impl Progress {
    fn detail(&self) -> OperationDetail {
        let steps = self.steps.iter().map(|step| step.view.clone()).collect();
        OperationDetail { operation: self.view.clone(), steps }
    }
}

/// The count that a service of a state belongs to.
fn of(counts: &mut Counts, state: StepState) -> &mut u32 {
    match state {
        StepState::Planned => &mut counts.planned,
        StepState::Running => &mut counts.running,
        StepState::Done => &mut counts.done,
        StepState::Ignored => &mut counts.ignored,
        StepState::Skipped => &mut counts.skipped,
        _ => &mut counts.failed,
    }
}

/// How many services are how far.
pub fn count<'a>(steps: impl Iterator<Item = &'a StepView>) -> Counts {
    let mut counts = Counts::default();
    for step in steps.filter(|step| matches!(step.kind, NodeKind::Service(_))) {
        counts.total += 1;
        *of(&mut counts, step.state) += 1;
    }
    counts
}
