//! Schedules: commands that are given by the clock.

/// The schedules.
#[derive(Default)]
pub struct Schedules {}
