//! Resolving orders whose outcome was not noted: looked at until what became of them is known, and carried out then if
//! they were not.

use std::time::Duration;

use protocol::{
    limits::clip,
    link::{Order, Outcome},
    state::{Action, State},
};
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

use super::{
    doubts::{self, Facts, LIMIT, Resolution, Trace, Way},
    memory::OrderMemory,
    rules::Answer,
    task::Task,
};
use crate::{
    os::{process, systemd},
    tomcat::mark::{self, Proof},
};

/// How many orders may be looked at.
const MAX: usize = 16;

/// How often they are looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// An order that is looked at.
pub(super) struct Doubt {
    order: Order,
    deadline: Instant,
    reply: oneshot::Sender<Outcome>,
    since: Instant,
}

impl Task {
    /// Begins to look at an order that was noted and whose outcome was not.
    pub(super) fn doubt(&mut self, order: Order, deadline: Instant, reply: oneshot::Sender<Outcome>) {
        if self.doubts.len() >= MAX {
            let _gone = reply.send(unknown(order.action, "too many such orders are looked at: ask again"));
            return;
        }
        tracing::info!(base = %self.setup.base.display(), action = %order.action, "looking at what became of an order");
        self.doubts.push(Doubt { order, deadline, reply, since: Instant::now() });
        self.look_at = Some(Instant::now());
    }

    /// Looks at each of them once.
    pub(super) async fn resolve_doubts(&mut self) {
        self.look_at = None;
        for doubt in std::mem::take(&mut self.doubts) {
            if let Some(outcome) = self.resolve(&doubt).await {
                // Whoever asked may have gone.
                let _gone = doubt.reply.send(outcome);
            } else {
                self.doubts.push(doubt);
            }
        }
        if !self.doubts.is_empty() {
            self.look_at = Some(Instant::now() + PAUSE);
        }
    }

    async fn resolve(&mut self, doubt: &Doubt) -> Option<Outcome> {
        let Doubt { order, deadline, since, .. } = doubt;
        if let Some(outcome) = self.memory.outcome_of(order.id) {
            return Some(outcome);
        }
        if self.memory.order(order.id).is_none_or(|known| known.way.is_none()) {
            return Some(unknown(order.action, "how far it came was not noted"));
        }
        let facts = match self.doubt_facts(doubt).await {
            Ok(facts) => facts,
            Err(why) => return Some(unknown(order.action, &why)),
        };
        match doubts::resolve(&facts) {
            Resolution::WasDone => Some(self.was_done(order).await),
            Resolution::NotDone if Instant::now() >= *deadline => {
                let outcome = Outcome::Expired {};
                self.finish(order, &outcome).await;
                Some(outcome)
            }
            Resolution::NotDone => Some(self.perform(order).await),
            Resolution::WaitAndSee if since.elapsed() >= LIMIT => {
                Some(unknown(order.action, "whether it was carried out does not show"))
            }
            Resolution::WaitAndSee => None,
        }
    }

    async fn doubt_facts(&mut self, doubt: &Doubt) -> Result<Facts, String> {
        let (id, action) = (doubt.order.id, doubt.order.action);
        let known = self.memory.order(id).cloned();
        let noted = known.as_ref().and_then(|known| known.process_of_this_boot());
        let mut is_there = noted.is_some_and(|key| key.is_alive());
        // An order of another boot was for a run that is gone.
        let is_of_this_boot = known.as_ref().is_some_and(|known| known.at.is_none_or(|at| at.is_of_this_boot()));
        let may_be_run = is_of_this_boot && known.as_ref().is_some_and(|known| known.process.is_none());
        let trace = match known.and_then(|known| known.way) {
            Some(Way::Launcher {}) => {
                let dir = self.setup.state_dir.clone();
                let settled = tokio::task::spawn_blocking(move || mark::settle(&dir, id)).await;
                let proof = settled.map_err(|error| error.to_string())?;
                Trace::Launcher(proof.map_err(|error| format!("the mark of its launcher cannot be read: {error}"))?)
            }
            Some(Way::Unit { unit, invocation }) => {
                let run = systemd::run_of(&unit).await.map_err(|error| clip(&format!("{error:#}")))?;
                // A unit may be told to end before its process is there.
                is_there |= may_be_run && run.is_there;
                let is_new = match (&invocation, run.invocation.is_empty()) {
                    (Some(invocation), false) => Some(run.invocation != *invocation),
                    (Some(invocation), true) if invocation.is_empty() => Some(false),
                    (Some(_), true) | (None, _) => None,
                };
                let is_busy = if action == Action::Start { run.is_coming } else { run.is_going };
                Trace::Unit { is_busy, is_new }
            }
            Some(Way::Signal {}) | None => {
                let pid = noted.filter(|_| is_there).map(|key| key.pid);
                Trace::Signal {
                    is_pending: pid.is_some_and(process::is_told_to_end),
                    is_frozen: pid.and_then(process::stat).is_some_and(|stat| stat.is_frozen()),
                }
            }
        };
        if let Trace::Launcher(Proof::Gone(key)) = trace
            && action == Action::Start
            && self.process.is_none()
            && key.is_alive()
        {
            // If it ends meanwhile, its end is seen like any other.
            let _gone = self.take_up(key, None).await;
        }
        let answers =
            self.process.as_ref().is_some_and(|process| matches!(process.answer, Answer::Good | Answer::NotAskable));
        let state = match self.judge().state {
            State::Active if !answers => State::Unresponsive,
            state => state,
        };
        Ok(Facts { action, is_there, trace, state, looked: doubt.since.elapsed() })
    }

    /// Notes that an order was carried out before the agent ended.
    async fn was_done(&mut self, order: &Order) -> Outcome {
        let message = match (order.action, &self.process) {
            (Action::Start, Some(process)) => {
                format!("started as process {}, before the agent ended", process.watched.key.pid)
            }
            (Action::Start, None) => "started before the agent ended".to_owned(),
            (action, None) => format!("the {action} was sent before the agent ended, and the process is gone"),
            (action, Some(_)) => format!("the {action} was sent before the agent ended"),
        };
        self.confirm_signal(order.action);
        let outcome = Outcome::Done { message };
        self.finish(order, &outcome).await;
        outcome
    }

    /// Makes sure that no launcher of an earlier start can go on beside a new one: those that have not gone on are taken
    /// back, and the process of one that has is taken up. Returns the answer to the new start if that cannot be had.
    pub(super) async fn settle_starts(&mut self, but: Uuid) -> Option<Outcome> {
        let is_open = |known: &&OrderMemory| {
            known.id != but
                && known.action == Action::Start
                && known.outcome.is_none()
                && known.way == Some(Way::Launcher {})
        };
        let open: Vec<Uuid> = self.memory.orders.iter().filter(is_open).map(|known| known.id).collect();
        for id in open {
            let since = Instant::now();
            let proof = loop {
                let dir = self.setup.state_dir.clone();
                let settled = tokio::task::spawn_blocking(move || mark::settle(&dir, id)).await;
                match settled.map_err(anyhow::Error::from).and_then(|settled| Ok(settled?)) {
                    Ok(Proof::OnItsWay) if since.elapsed() < doubts::SETTLE => tokio::time::sleep(PAUSE).await,
                    proof => break proof,
                }
            };
            match proof {
                Ok(Proof::NotGone) => {}
                Ok(Proof::Gone(key)) => {
                    if self.process.is_none() && key.is_alive() {
                        // If it ends meanwhile, its end is seen like any other.
                        let _gone = self.take_up(key, None).await;
                    }
                }
                Ok(Proof::OnItsWay) => {
                    let message = "the launcher of an earlier start is still on its way: ask again".to_owned();
                    return Some(Outcome::Failed { message });
                }
                Err(error) => {
                    let message = format!("whether an earlier start goes on cannot be told: {error:#}");
                    return Some(Outcome::Failed { message: clip(&message) });
                }
            }
        }
        None
    }

    /// Takes up the process that was started right before the agent ended, as long as it does not look like a Tomcat.
    pub(super) async fn find_started(&mut self) {
        if self.process.is_some() {
            return;
        }
        let begun = self.memory.orders.iter().rev().find(|order| order.action == Action::Start);
        let Some(order) = begun.filter(|order| order.outcome.is_none()) else { return };
        if let Ok(Proof::Gone(key)) = mark::look(&self.setup.state_dir, order.id)
            && key.is_alive()
        {
            let _gone = self.take_up(key, None).await;
        }
    }
}

fn unknown(action: Action, why: &str) -> Outcome {
    Outcome::Unknown { message: format!("the {action} was begun, and the agent ended before it was done: {why}") }
}
