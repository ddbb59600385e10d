//! Orders that the agent carries out on itself: stop, kill and restart, each at most once by its id.

use std::{collections::VecDeque, io, path::PathBuf, sync::Arc};

use anyhow::Result;
use protocol::{
    link::{AgentOrder, Outcome},
    state::AgentAction,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use crate::{
    config::Permission,
    os::{
        clock::ManagersClock,
        files::{self, write_atomically},
        process,
    },
    state_dir::StateDir,
};

/// How many orders are remembered.
const MAX: usize = 64;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// The longest that an order may be worth carrying out.
const MAX_TTL: Duration = Duration::from_secs(600);

/// The orders that the agent had for itself.
pub struct OwnOrders {
    file: PathBuf,
    allow: Arc<[Permission]>,
    orders: VecDeque<Own>,
    /// When what was remembered was damaged, if it was.
    lost: Option<Timestamp>,
    managers_clock: Arc<ManagersClock>,
}

/// An order, and its outcome: noted before it is carried out, as nobody is left to note it afterwards.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Own {
    id: Uuid,
    outcome: Outcome,
}

impl OwnOrders {
    /// Loads what is remembered. What cannot be read is set aside, and said. Blocks.
    pub fn load(state: &StateDir, allow: Arc<[Permission]>, managers_clock: Arc<ManagersClock>) -> Self {
        let file = state.path().join("own-orders.json");
        let read = files::read_patiently(&file, MAX_FILE);
        let orders = match read.and_then(|content| serde_json::from_slice(&content).map_err(io::Error::from)) {
            Ok(orders) => orders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => VecDeque::new(),
            Err(error) => {
                tracing::error!(file = %file.display(), "what was remembered of the agent's own orders is lost: {error}");
                files::set_aside(&file);
                VecDeque::new()
            }
        };
        let lost = files::set_aside_at(&file);
        Self { file, allow, orders, lost, managers_clock }
    }

    /// Answers an order, with what is to be done now that the answer is on disk.
    pub async fn take(&mut self, order: &AgentOrder, received: Instant) -> (Outcome, Option<AgentAction>) {
        if let Some(known) = self.orders.iter().find(|known| known.id == order.id) {
            return (known.outcome.clone(), None);
        }
        if received.elapsed() >= Duration::from_millis(order.ttl_ms).min(MAX_TTL) {
            return (Outcome::Expired {}, None);
        }
        if files::may_be_forgotten(order.id, self.lost, &self.managers_clock) {
            let message = "what the agent remembered was damaged: whether this was done before is not known".to_owned();
            return (Outcome::Unknown { message }, None);
        }
        if !self.allow.contains(&Permission::Agent) {
            let message = "the agent's own configuration does not allow `agent` (see `allow` there)".to_owned();
            return (Outcome::Refused { message }, None);
        }
        let message = match order.action {
            AgentAction::Stop => "the agent ends now; its Tomcats live on",
            AgentAction::Kill => "the agent kills itself now; its Tomcats live on",
            AgentAction::Restart => match process::own_program() {
                Some(program) if process::is_executable(&program) => {
                    "the agent begins anew now, as the same process; its Tomcats live on"
                }
                Some(program) => {
                    let message = format!("{} cannot be executed: install the agent again", program.display());
                    return (Outcome::Failed { message: protocol::limits::clip(&message) }, None);
                }
                None => {
                    let message = "the agent's program is not there any more: install it again".to_owned();
                    return (Outcome::Failed { message }, None);
                }
            },
        };
        let outcome = Outcome::Done { message: message.to_owned() };
        if let Err(error) = self.note(order.id, outcome.clone()).await {
            let message = format!("nothing was done, because it could not be remembered: {error:#}");
            return (Outcome::Failed { message: protocol::limits::clip(&message) }, None);
        }
        fail::fail_point!("own_order_noted", |_| std::process::abort());
        (outcome, Some(order.action))
    }

    async fn note(&mut self, id: Uuid, outcome: Outcome) -> Result<()> {
        let mut orders = self.orders.clone();
        if orders.len() >= MAX {
            orders.pop_front();
        }
        orders.push_back(Own { id, outcome });
        let (file, content) = (self.file.clone(), serde_json::to_vec(&orders)?);
        tokio::task::spawn_blocking(move || write_atomically(&file, &content)).await??;
        self.orders = orders;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_is_carried_out_once_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("state")).unwrap();
        let order = AgentOrder { id: Uuid::from_u128(1), action: AgentAction::Restart, ttl_ms: 1000 };
        let allow: Arc<[Permission]> = Permission::ALL.into();
        let mut own = OwnOrders::load(&state, allow.clone(), Arc::default());
        let (outcome, action) = own.take(&order, Instant::now()).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        assert_eq!(action, Some(AgentAction::Restart));
        assert_eq!(OwnOrders::load(&state, allow, Arc::default()).take(&order, Instant::now()).await, (outcome, None));
    }

    #[tokio::test]
    async fn what_may_have_been_done_before_is_not_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("state")).unwrap();
        let before = AgentOrder { id: Uuid::now_v7(), action: AgentAction::Restart, ttl_ms: 1000 };
        std::fs::write(state.path().join("own-orders.json"), "[{").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let allow: Arc<[Permission]> = Permission::ALL.into();
        for _ in 0..2 {
            let (outcome, action) =
                OwnOrders::load(&state, allow.clone(), Arc::default()).take(&before, Instant::now()).await;
            assert!(matches!(outcome, Outcome::Unknown { .. }) && action.is_none(), "{outcome:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
        let order = AgentOrder { id: Uuid::now_v7(), ..before };
        assert!(OwnOrders::load(&state, allow, Arc::default()).take(&order, Instant::now()).await.1.is_some());
    }

    #[tokio::test]
    async fn what_is_late_or_forbidden_is_not_carried_out() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("state")).unwrap();
        let order = AgentOrder { id: Uuid::from_u128(1), action: AgentAction::Kill, ttl_ms: 0 };
        let mut own = OwnOrders::load(&state, [Permission::Start].into(), Arc::default());
        assert_eq!(own.take(&order, Instant::now()).await, (Outcome::Expired {}, None));
        let (outcome, action) = own.take(&AgentOrder { ttl_ms: 1000, ..order }, Instant::now()).await;
        assert!(matches!(outcome, Outcome::Refused { .. }) && action.is_none(), "{outcome:?}");
    }
}
