//! What a session does when the manager orders the agent itself about, or tells what the machine should have.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use protocol::{
    desired::Desired,
    link::{AgentOrder, FromAgent},
    state::AgentAction,
};

use super::session::{Connection, End, Session};
use crate::{desired, os::process, supervisor::asks::Ask};

/// How long what is in hand may take when the agent ends. The manager must not take the link for dead meanwhile.
pub const HAND_OVER: Duration = Duration::from_secs(8);

/// How long the outcome of a kill may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(100);

impl Session<'_> {
    /// Puts in force what the manager wants the machine to have, and keeps it for a start without a manager.
    pub(super) async fn take_desired(&mut self, desired: Desired) {
        let desired = desired::sound(desired);
        let kept = desired.clone();
        if self.parts.desired.as_ref() == Some(&desired) {
            // It is in force; but the manager waits to hear which programs are there.
            return self.parts.programs.want(desired.programs).await;
        }
        if let Err(error) = self.store(move |state| desired::store(state.path(), &kept)).await {
            tracing::error!("what the manager wants cannot be kept, and holds until the agent ends: {error:#}");
            // The next one is stored in any case: what is on disk may be neither.
            self.parts.desired = None;
        } else {
            self.parts.desired = Some(desired.clone());
        }
        // The supervisor ends only with the agent.
        let _ending = self.parts.links.asks.send(Ask::Settings(desired.instances)).await;
        self.parts.programs.want(desired.programs).await;
    }

    /// Carries out an order for the agent itself.
    pub(super) async fn take_own(&mut self, connection: &mut Connection, order: &AgentOrder) -> Result<Option<End>> {
        let (outcome, action) = self.parts.own.take(order, connection.heard).await;
        let outcome = FromAgent::Outcome { order: order.id, outcome };
        let Some(action) = action else {
            connection.send(&outcome).await?;
            return Ok(None);
        };
        tracing::info!(action = action.as_str(), "the manager has ordered the agent to {}", action.as_str());
        if action == AgentAction::Kill {
            // Whether it arrives or not, the agent is killed.
            let _unheard = connection.send(&outcome).await;
            tokio::time::sleep(LAST_WORDS).await;
            process::kill_itself();
            return Ok(Some(End::Shutdown));
        }
        self.hand_over(connection).await;
        // Whether it arrives or not, the order is carried out: it was noted.
        let _unheard = connection.send(&outcome).await;
        let (reason, end) = match action {
            AgentAction::Restart => ("the manager told the agent to begin anew", End::Restart),
            AgentAction::Stop | AgentAction::Kill => ("the manager told the agent to end", End::Shutdown),
        };
        connection.say_goodbye(reason).await;
        Ok(Some(end))
    }

    /// Tells what becomes of everything that is in hand, for a bounded time.
    pub(super) async fn hand_over(&self, connection: &mut Connection) {
        let board = Arc::clone(&self.parts.links.board);
        let tell = async {
            loop {
                tokio::select! {
                    biased;
                    messages = board.next() => connection.send_all(&messages).await?,
                    () = board.idle() => {
                        // The last of it may have been put up just now.
                        return connection.send_all(&board.take()).await;
                    }
                }
            }
        };
        // What is not done by then is remembered, and told when it is asked for again.
        let _remembered = tokio::time::timeout(HAND_OVER, tell).await;
    }
}
