//! Hooks: their programs, which machines have them, and their runs.

pub mod running;

/// Hook programs, and which machines have them.
#[derive(Default)]
pub struct Hooks {}
