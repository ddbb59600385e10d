//! A state is waited for, by the status that the agent tells.

use std::time::Duration;

use protocol::{name::ServiceName, state::State};
use tokio::time::Instant;

use super::{Ended, Run, signal::Sent};
use crate::app::orders::away;
use crate::grid::{
    operation::{
        Signal, StepState, WaitFor, WaitNode,
        looking::{Look, look, words},
    },
    view::ServiceType,
};

/// What a wait has at least that is taken up again: the agents must come back first.
pub(super) const GRACE: Duration = Duration::from_secs(30);

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
                Look::Reached => {
                    let told = match (wait.until, now.state) {
                        (WaitFor::Stopped, State::Stopped) | (WaitFor::Active, _) => words(&now),
                        // All that can be seen of the end of an agent that was killed.
                        _ if now.r#type == ServiceType::Agent => "its link ended".to_owned(),
                        (WaitFor::Stopped, _) => {
                            format!("the process ended; another was started since, and {}", words(&now))
                        }
                    };
                    self.recorder.line(&self.live, number, told.clone()).await;
                    return (StepState::Done, told);
                }
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
            if !now.linked && now.r#type == ServiceType::Agent && wait.until == WaitFor::Stopped {
                let message = format!("its link broke, and nobody can say whether it ended: {last}");
                return (StepState::Unknown, message);
            }
            if !now.linked {
                let message = format!("{}; it did not come back within {seconds} s", away(Signal::Start, &now));
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
