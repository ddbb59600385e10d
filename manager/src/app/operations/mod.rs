//! Operations: planned, stored, carried out, cancelled and resumed.

mod acting;
mod beginning;
pub mod claims;
mod ending;
mod holding;
#[cfg(test)]
mod hook_tests;
pub mod live;
mod looking;
#[cfg(test)]
mod output_tests;
pub mod recorder;
mod run;
mod subjects;
#[cfg(test)]
mod taking_tests;
#[cfg(test)]
mod tests;
pub mod waits;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

pub(in crate::app) use self::run::hook_ended;
pub use self::{beginning::Begun, looking::Watched};
use self::{claims::Claims, live::Live, recorder::Recorder, subjects::Subjects, waits::Waits};
use super::{AppError, Result, journal::Journal};
use crate::{grid::command::Command, store::Store};

/// How many operations may be in hand at once.
pub const MOST_IN_HAND: usize = 64;

/// How many more may be in hand that go before others: what hangs must not keep it from being killed.
pub const MOST_KILLS: usize = 8;

/// The most services of one operation.
pub const MOST_SERVICES: usize = 10_000;

/// The operations in hand.
pub struct Operations {
    /// Which services are held, and by which operations.
    pub claims: Claims,
    /// Who waits for services.
    pub waits: Waits,
    recorder: Recorder,
    // Held for moments only, never across an await.
    in_hand: Mutex<HashMap<Uuid, Arc<Live>>>,
    room: Arc<Semaphore>,
    room_for_kills: Arc<Semaphore>,
    // Alone while one is taken up again, shared while one is begun: what is stored and what is in hand fit.
    taking_up: tokio::sync::RwLock<()>,
    ending: AtomicBool,
    /// When old ones were removed last.
    trimmed: tokio::sync::Mutex<Option<Instant>>,
    /// Which services those are of that are in hand or ended lately.
    subjects: Subjects,
}

impl Operations {
    /// Begins with none in hand.
    pub fn start(store: Store, journal: Arc<Journal>) -> Self {
        Self {
            claims: Claims::default(),
            waits: Waits::default(),
            recorder: Recorder::start(store, journal),
            in_hand: Mutex::default(),
            room: Arc::new(Semaphore::new(MOST_IN_HAND)),
            room_for_kills: Arc::new(Semaphore::new(MOST_KILLS)),
            taking_up: tokio::sync::RwLock::default(),
            ending: AtomicBool::new(false),
            trimmed: tokio::sync::Mutex::default(),
            subjects: Subjects::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Live>>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation that is in hand.
    pub fn live(&self, id: Uuid) -> Option<Arc<Live>> {
        self.lock().get(&id).cloned()
    }

    /// All that are in hand.
    pub fn all(&self) -> Vec<Arc<Live>> {
        self.lock().values().cloned().collect()
    }

    /// One in hand that somebody has begun.
    pub fn in_hand_of(&self, actor: &str) -> Option<Uuid> {
        self.all().into_iter().map(|live| live.view()).find(|view| view.actor == actor).map(|view| view.id)
    }

    fn room(&self, command: Command) -> Result<OwnedSemaphorePermit> {
        self.going_on()?;
        let reserved = || self.room_for_kills.clone().try_acquire_owned();
        let room = self.room.clone().try_acquire_owned();
        room.or_else(|none| if command.goes_before() { reserved() } else { Err(none) }).map_err(|_| {
            AppError::Conflict(format!("so many operations are in hand already: {MOST_IN_HAND} at once is the most"))
        })
    }

    /// Whether anything may still be begun.
    fn going_on(&self) -> Result<()> {
        if self.is_ending() {
            return Err(AppError::Conflict("the manager ends".to_owned()));
        }
        Ok(())
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }
}
