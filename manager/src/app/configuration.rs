//! The grid's configuration: what is in force, its versions, and their changes.

use std::sync::{Arc, PoisonError, RwLock};

use crate::grid::config::GridConfig;

/// The configuration that is in force.
#[derive(Default)]
pub struct Configuration {
    // Held for moments only, never across an await.
    current: RwLock<Arc<GridConfig>>,
}

impl Configuration {
    /// What is in force now.
    pub fn current(&self) -> Arc<GridConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
