//! Time that does not jump: the time since the machine booted, suspended time included.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A point in time since boot. Comparable only within one boot of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime {
    millis: u64,
}

impl BootTime {
    /// The present.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
        Self { millis: seconds * 1000 + nanos / 1_000_000 }
    }

    /// How long ago this was; zero for what lies ahead.
    pub fn age(self) -> Duration {
        Duration::from_millis(Self::now().millis.saturating_sub(self.millis))
    }

    /// The point of a process's start time, given in clock ticks since boot.
    pub fn from_ticks(ticks: u64) -> Self {
        Self { millis: ticks.saturating_mul(1000) / procfs::ticks_per_second().max(1) }
    }
}

/// Which boot of the machine this is; empty where the kernel does not tell.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
