//! The grid's configuration: what is in force, its versions, and their changes.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::grid::config::GridConfig;

/// The configuration that is in force.
#[derive(Default)]
pub struct Configuration {
    // Held for moments only, never across an await.
    current: RwLock<Arc<GridConfig>>,
    changed: watch::Sender<u64>,
}

impl Configuration {
    /// What is in force now.
    pub fn current(&self) -> Arc<GridConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another one in force.
    pub fn put(&self, config: GridConfig) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells whenever another one is in force.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
