//! A signal is delivered: an order to the agent, under an id that is on disk before.

use std::time::Duration;

use protocol::{link::Outcome, state::State, time::Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Ended, Run};
use crate::{
    app::{
        links::Links,
        operations::waits::back_until,
        orders::{WORTH_MS, away, ends_link, order},
    },
    grid::{
        fleet::Standing,
        operation::{ServiceNode, Signal, StepState, looking::Mark},
        view::ServiceType,
    },
};

/// How long an agent may take to say what became of an order, at the least.
const OUTCOME: Duration = Duration::from_secs(40);

/// Since when the effect of a signal is waited for.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) mark: Mark,
    pub(super) from: Instant,
}

impl Sent {
    pub(super) fn now(signal: Signal, before: Option<Standing>) -> Self {
        Self { mark: Mark { signal, needless: false, at: Timestamp::now(), before }, from: Instant::now() }
    }

    /// What is so without a signal.
    pub(super) fn needless(signal: Signal) -> Self {
        let mut sent = Self::now(signal, None);
        sent.mark.needless = true;
        sent
    }
}

/// Takes an order's outcome off the list when nobody waits for it any more.
struct Awaited<'a>(&'a Links, Uuid);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.give_up(self.1);
    }
}

impl Run {
    /// Sends a signal and waits for its outcome. Where the link breaks in between, the agent is asked again by the same
    /// id: it carries an order out once.
    pub(super) async fn send(
        &self,
        number: u32,
        node: &ServiceNode,
        signal: Signal,
        limit: Duration,
        patient: bool,
    ) -> (Ended, Sent) {
        let stored = self.live.step(number);
        let known = stored.as_ref().and_then(|step| step.order);
        let id = known.unwrap_or_else(Uuid::now_v7);
        let mut wake = self.app.operations.waits.watch(&node.service);
        let mut sent = Sent::now(signal, self.app.fleet().standing(&node.service).filter(|_| known.is_none()));
        if let (Some(at), Some(_)) = (stored.and_then(|step| step.view.started_at), known) {
            // An operation that is taken up again counts from the first time.
            sent.mark.at = at;
        }
        if let Err(why) = self.begin_sending(number, id).await {
            return ((StepState::Failed, why), sent);
        }
        let deadline = Instant::now() + limit.max(OUTCOME);
        let away_until = Instant::now() + limit;
        let mut was_sent = known.is_some();
        loop {
            let Some(standing) = self.app.fleet().standing(&node.service) else {
                return ((StepState::Gone, format!("there is no service `{}` any more", node.service)), sent);
            };
            let reply = match order(id, signal, &standing, WORTH_MS) {
                Some(message) if standing.linked => self.app.links.ask(standing.agent, id, message),
                Some(_) => None,
                None => return ((StepState::NotAvailable, away(signal, &standing)), sent),
            };
            let Some(reply) = reply else {
                if was_sent && signal == Signal::Stop && has_said_goodbye(&standing) {
                    return ((StepState::Done, "the agent has ended".to_owned()), sent);
                }
                let until = if patient || was_sent { Some(away_until) } else { back_until(&standing) };
                let Some(until) = until else {
                    return ((StepState::NotAvailable, away(signal, &standing)), sent);
                };
                self.note(number, format!("waits for the agent: {}", away(signal, &standing))).await;
                if tokio::time::timeout_at(until, wake.changed()).await.is_err() {
                    let what = if was_sent { "what became of the order is not known" } else { "nothing was sent" };
                    let message = format!("{}; it did not come back in time, and {what}", away(signal, &standing));
                    let state = if was_sent { StepState::Unknown } else { StepState::NotAvailable };
                    return ((state, message), sent);
                }
                continue;
            };
            fail::fail_point!("order_sent", |_| std::process::abort());
            if !std::mem::replace(&mut was_sent, true) {
                sent.from = Instant::now();
            }
            let _awaited = Awaited(&self.app.links, id);
            match tokio::time::timeout_at(deadline, reply).await {
                Ok(Ok(outcome)) => {
                    fail::fail_point!("outcome_received", |_| std::process::abort());
                    return (told(outcome), sent);
                }
                Ok(Err(_)) if ends_link(signal, &standing) => {
                    return ((StepState::Done, "its link ended before it could answer".to_owned()), sent);
                }
                Ok(Err(_)) => {
                    let line = "the link to the agent broke before it answered; it is asked again when it is back";
                    self.recorder.line(&self.live, number, line).await;
                }
                Err(_) => {
                    let message = format!("the agent did not answer in {} s", limit.max(OUTCOME).as_secs());
                    return ((StepState::Unknown, message), sent);
                }
            }
        }
    }
}

/// Whether it is an agent that ended in order: one whose link broke does not say so.
fn has_said_goodbye(standing: &Standing) -> bool {
    standing.r#type == ServiceType::Agent && standing.state == State::Stopped
}

fn told(outcome: Outcome) -> Ended {
    match outcome {
        Outcome::Done { message } => (StepState::Done, message),
        Outcome::Ignored { message } => (StepState::Ignored, message),
        Outcome::Refused { message } => (StepState::Refused, message),
        Outcome::Failed { message } => (StepState::Failed, message),
        Outcome::Expired {} => {
            (StepState::Failed, "it reached the service too late, and was not carried out".to_owned())
        }
        // Whether it was delivered is seen by what the service does next.
        Outcome::Unknown { message } => {
            (StepState::Done, format!("it was begun, and its effect is waited for: {message}"))
        }
    }
}
