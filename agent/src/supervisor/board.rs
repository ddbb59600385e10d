//! The latest status of every instance, and what of it has still to be told: the one thing that link and supervisor
//! share.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::{
    desired::Programs,
    hook::HookEnd,
    link::{FromAgent, Outcome},
    report::{InstanceReport, MachineFacts, digest},
};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::hook_news::HookNews;
use crate::{instance::task::News, os::clock::ManagersClock};

/// How many outcomes may wait for a link. The oldest is dropped: who still wants it asks again by its id.
const OUTCOMES: usize = 1024;

/// How long what hooks write is collected before it is told.
const OUTPUT_PAUSE: Duration = Duration::from_millis(200);

/// The board.
#[derive(Default)]
pub struct Board {
    // Held for moments only, never across an await.
    inner: Mutex<Inner>,
    changed: Notify,
    in_hand: watch::Sender<usize>,
    /// What the manager's clock shows.
    pub managers_clock: Arc<ManagersClock>,
}

/// Something that is being done; when it is dropped, it is done.
pub struct InHand(Arc<Board>);

impl InHand {
    /// Something is begun whose outcome will be put up on the board.
    pub fn of(board: &Arc<Board>) -> Self {
        board.in_hand.send_modify(|count| *count += 1);
        Self(board.clone())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.in_hand.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[derive(Default)]
struct Inner {
    instances: BTreeMap<String, News>,
    facts: MachineFacts,
    changed: BTreeSet<String>,
    gone: BTreeSet<String>,
    facts_changed: bool,
    outcomes: VecDeque<(Uuid, Outcome)>,
    hooks: HookNews,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can be left half done by a panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts up the status of an instance.
    pub fn put(&self, mut news: News) {
        // In the one place that every report comes by: one that is odd would turn the whole machine away.
        news.report.clip();
        let mut inner = self.lock();
        let base = news.report.base.clone();
        inner.gone.remove(&base);
        inner.changed.insert(base.clone());
        inner.instances.insert(base, news);
        drop(inner);
        self.changed.notify_one();
    }

    /// Whether an instance had a process when it was last heard of.
    pub fn has_process(&self, base: &str) -> bool {
        self.lock().instances.get(base).is_some_and(|news| news.report.pid.is_some())
    }

    /// Takes down an instance that is no longer on the machine.
    pub fn remove(&self, base: &str) {
        let mut inner = self.lock();
        if inner.instances.remove(base).is_some() {
            inner.changed.remove(base);
            inner.gone.insert(base.to_owned());
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Puts up the facts of the machine.
    pub fn put_facts(&self, facts: MachineFacts) {
        let mut inner = self.lock();
        if inner.facts != facts {
            inner.facts = facts;
            inner.facts_changed = true;
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Puts up what became of an order.
    pub fn put_outcome(&self, order: Uuid, outcome: Outcome) {
        let mut inner = self.lock();
        if inner.outcomes.len() >= OUTCOMES {
            inner.outcomes.pop_front();
        }
        inner.outcomes.push_back((order, outcome));
        drop(inner);
        self.changed.notify_one();
    }

    /// The latest status of an instance.
    pub fn report(&self, base: &str) -> Option<InstanceReport> {
        self.lock().instances.get(base).map(aged)
    }

    /// Puts up what a hook wrote; it is told with whatever else is written soon.
    pub fn put_hook_output(self: &Arc<Self>, run: Uuid, text: String) {
        if !self.lock().hooks.put_output(run, text) {
            return;
        }
        let board = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(OUTPUT_PAUSE).await;
            board.changed.notify_one();
        });
    }

    /// Puts up how the run of a hook ended.
    pub fn put_hook_end(&self, run: Uuid, end: HookEnd) {
        self.lock().hooks.put_end(run, end);
        self.changed.notify_one();
    }

    /// Puts up which hook programs are there; told even if that was told before.
    pub fn put_programs(&self, programs: Programs) {
        self.lock().hooks.put_programs(programs);
        self.changed.notify_one();
    }

    /// Everything, for a hello; what was still to be told is told by it.
    pub fn whole(&self) -> (MachineFacts, Vec<InstanceReport>) {
        let mut inner = self.lock();
        inner.changed.clear();
        inner.gone.clear();
        inner.facts_changed = false;
        (inner.facts.clone(), inner.instances.values().map(aged).collect())
    }

    /// Has the status of these instances told once more.
    pub fn tell_again(&self, bases: Vec<String>) {
        if !bases.is_empty() {
            self.lock().changed.extend(bases);
            self.changed.notify_one();
        }
    }

    /// A fingerprint of every status.
    pub fn digest(&self) -> String {
        digest(self.lock().instances.values().map(|news| &news.report))
    }

    /// Waits until nothing is being done any more.
    pub async fn idle(&self) {
        // The board has the sender itself.
        let mut in_hand = self.in_hand.subscribe();
        let _never = in_hand.wait_for(|count| *count == 0).await;
    }

    /// Waits until there is something to tell, and takes it.
    pub async fn next(&self) -> Vec<FromAgent> {
        loop {
            let messages = self.take();
            if !messages.is_empty() {
                return messages;
            }
            self.changed.notified().await;
        }
    }

    /// Takes what there is to tell now.
    pub fn take(&self) -> Vec<FromAgent> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut messages = Vec::new();
        if std::mem::take(&mut inner.facts_changed) {
            messages.push(FromAgent::Facts { facts: Box::new(inner.facts.clone()) });
        }
        messages.extend(std::mem::take(&mut inner.gone).into_iter().map(|base| FromAgent::Gone { base }));
        for base in std::mem::take(&mut inner.changed) {
            let news = inner.instances.get(&base);
            messages.extend(news.map(|news| FromAgent::Status { instance: Box::new(aged(news)) }));
        }
        // Last, so that whoever reads an outcome has read the state that came with it.
        let outcomes = inner.outcomes.drain(..);
        messages.extend(outcomes.map(|(order, outcome)| FromAgent::Outcome { order, outcome }));
        inner.hooks.take(&mut messages);
        messages
    }
}

/// The status with the age that it has now.
fn aged(news: &News) -> InstanceReport {
    let age = news.since.age();
    InstanceReport { age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX), ..news.report.clone() }
}
