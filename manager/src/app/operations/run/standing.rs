//! How a service stands before anything of it is begun, and whether its agent is worth waiting for.

use tokio::time::Instant;

use super::{Run, wait::GRACE};
use crate::{
    app::{operations::waits::back_until, orders::away},
    grid::{
        fleet::Standing,
        operation::{ServiceNode, Signal},
    },
};

impl Run {
    /// Waits for an agent that was there a moment ago; returns how the service stands then.
    pub(super) async fn linked_again(
        &self,
        number: u32,
        node: &ServiceNode,
        mut standing: Standing,
    ) -> Option<Standing> {
        let mut wake = self.app.operations.waits.watch(&node.service);
        let mut is_told = false;
        while let Some(until) = back_until(&standing) {
            if !std::mem::replace(&mut is_told, true) {
                let signal = self.first_signal(number).unwrap_or(Signal::Start);
                self.note(number, format!("waits for the agent: {}", away(signal, &standing))).await;
            }
            let waited = tokio::time::timeout_at(until, wake.changed()).await;
            standing = self.app.fleet().standing(&node.service)?;
            if waited.is_err() {
                break;
            }
        }
        Some(standing)
    }

    /// How a service stands. One that a manager that has just started does not know may be told of yet.
    pub(super) async fn known_standing(&self, node: &ServiceNode) -> Option<Standing> {
        let mut wake = self.app.operations.waits.watch(&node.service);
        let until = Instant::now() + GRACE;
        loop {
            let standing = self.app.fleet().standing(&node.service);
            if standing.is_some() || !self.resumed || tokio::time::timeout_at(until, wake.changed()).await.is_err() {
                return standing;
            }
        }
    }
}
