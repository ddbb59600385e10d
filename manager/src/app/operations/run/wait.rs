//! A state is waited for, by the status that the agent tells.

use std::time::Duration;

use protocol::name::ServiceName;
use tokio::time::Instant;

use super::{
    Ended, Run,
    signal::{Sent, away},
};
use crate::grid::operation::{
    StepState, WaitFor, WaitNode,
    looking::{Look, look, words},
};

/// What a wait has at least that is taken up again: the agents must come back first.
const GRACE: Duration = Duration::from_secs(30);

impl Run {
    /// Waits until a service is in a state, counted from its signal on.
    pub(super) async fn wait(&self, number: u32, service: &ServiceName, wait: &WaitNode, sent: &Sent) -> Ended {
        let limit = Duration::from_millis(wait.timeout_ms);
        let mut deadline = sent.from + limit;
        if self.resumed {
            deadline = deadline.max(Instant::now() + GRACE.min(limit));
        }
        let mut wake = self.app.operations.waits.watch(service);
        let mut last = String::new();
        loop {
            let Some(now) = self.app.fleet().standing(service) else {
                return (StepState::Gone, format!("there is no service `{service}` any more"));
            };
            let told = match look(wait.until, &sent.mark, &now) {
                Look::Reached => return (StepState::Done, words(&now)),
                Look::Failed(why) => return (StepState::Failed, why),
                Look::Wait(told) => told,
            };
            if told != last {
                self.recorder.line(&self.live, number, told.clone()).await;
                self.note(number, told.clone()).await;
                last = told;
            }
            if tokio::time::timeout_at(deadline, wake.changed()).await.is_ok() {
                continue;
            }
            let seconds = limit.as_secs_f64();
            if !now.linked {
                let message = format!("{}; it did not come back within {seconds} s", away(&now));
                return (StepState::NotAvailable, message);
            }
            let wanted = match wait.until {
                WaitFor::Active => "active",
                WaitFor::Stopped => "stopped",
            };
            return (StepState::TimedOut, format!("it is not {wanted} after {seconds} s: {last}"));
        }
    }
}
