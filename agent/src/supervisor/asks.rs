//! What the manager asks of the instances: orders, and settings.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use protocol::{
    desired::InstanceSettings,
    link::{Order, Outcome},
};
use tokio::{
    sync::{mpsc::error::TrySendError, oneshot},
    time::Instant,
};

use super::{Supervisor, board::InHand};
use crate::instance::task::Input;

/// The longest that an order may be worth carrying out, in milliseconds.
const MAX_TTL_MS: u64 = 600_000;

/// What the manager asks.
#[derive(Debug)]
pub enum Ask {
    /// Something to do.
    Order(Order),
    /// What is set for instances, all of it.
    Settings(Vec<InstanceSettings>),
}

impl Supervisor {
    /// Sets what is set for instances.
    pub(super) fn set(&mut self, settings: Vec<InstanceSettings>) {
        self.desired = settings.into_iter().map(|settings| (PathBuf::from(&settings.base), settings)).collect();
        for (base, handle) in &mut self.instances {
            let desired = self.desired.get(base).cloned();
            if handle.setup.desired != desired {
                handle.setup.desired = desired;
                handle.is_told = false;
            }
        }
        self.tell_settings();
    }

    /// Tells tasks what is set for them, where they have not been told: one that was busy is told with the next beat.
    pub(super) fn tell_settings(&mut self) {
        for handle in self.instances.values_mut().filter(|handle| !handle.is_told) {
            let settings = Input::Settings(handle.setup.desired.clone().map(Box::new));
            handle.is_told = handle.inputs.try_send(settings).is_ok();
        }
    }

    /// Gives an order to the task of its instance, and has the outcome posted.
    pub(super) fn give(&mut self, order: Order) {
        let id = order.id;
        let (board, in_hand) = (self.board.clone(), InHand::of(&self.board));
        let fail = |message: String| self.board.put_outcome(id, Outcome::Failed { message });
        let Some(handle) = self.instances.get(Path::new(&order.base)) else {
            let base = protocol::limits::clip(&order.base);
            if self.declarations.is_none() {
                // It may be there, and have been given this order before.
                let message = format!("this machine has not been looked through for {base} yet: ask again");
                return self.board.put_outcome(id, Outcome::Unknown { message });
            }
            return fail(format!("there is no instance at {base} on this machine"));
        };
        let (reply, outcome) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_millis(order.ttl_ms.min(MAX_TTL_MS));
        match handle.inputs.try_send(Input::Order { order, deadline, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return fail("the instance has too many orders in hand".to_owned()),
            Err(TrySendError::Closed(_)) => {
                return fail("the agent failed at this instance, and begins with it anew: ask again".to_owned());
            }
        }
        tokio::spawn(async move {
            let gone = || Outcome::Unknown { message: "the agent lost sight of the instance meanwhile".to_owned() };
            board.put_outcome(id, outcome.await.unwrap_or_else(|_| gone()));
            drop(in_hand);
        });
    }
}
