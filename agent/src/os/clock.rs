//! Time that does not jump: the time since the machine booted, suspended time included. And the manager's clock, which may
//! show another time than this machine's.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use protocol::time::Timestamp;
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

/// What the manager's clock shows. As this machine's, until a manager has told.
#[derive(Debug, Default)]
pub struct ManagersClock {
    /// By how much it is ahead, in milliseconds.
    ahead: AtomicI64,
}

impl ManagersClock {
    /// The manager has told its time, some time after `asked` on the clock of this machine.
    pub fn told(&self, now: Timestamp, asked: Timestamp) {
        self.ahead.store(now.as_millis().saturating_sub(asked.as_millis()), Ordering::Relaxed);
    }

    /// What it showed when this machine's clock showed a time, or a moment more: never less.
    pub fn at(&self, own: Timestamp) -> Timestamp {
        Timestamp::from_millis(own.as_millis().saturating_add(self.ahead.load(Ordering::Relaxed)))
    }
}

/// Which boot of the machine this is; empty where the kernel does not tell.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
