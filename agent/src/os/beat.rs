//! A regular beat that wakes the process exactly once each time.
//!
//! The runtime's own timers come in steps, so that one second costs two or three wake-ups.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::{
    io::Errno,
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime},
};
use tokio::io::unix::AsyncFd;

/// The beat.
#[derive(Debug)]
pub struct Beat {
    timer: AsyncFd<OwnedFd>,
}

impl Beat {
    /// A beat whose first is due at once.
    pub fn every(period: Duration) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let soon = Timespec { tv_sec: 0, tv_nsec: 1 };
        let it_interval = Timespec::try_from(period).map_err(invalid)?;
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value: soon })?;
        #[expect(
            deprecated,
            reason = "an `OwnedFd` keeps every promise that the replacement makes its caller give by `unsafe`"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { timer })
    }

    /// Returns at the next beat. Beats that were slept through count as one.
    pub async fn next(&self) {
        loop {
            // An error would mean that the descriptor cannot be polled, which its creation has proved it can.
            let Ok(mut ready) = self.timer.readable().await else { return };
            let mut count = [0; size_of::<u64>()];
            match rustix::io::read(&self.timer, &mut count) {
                Err(Errno::AGAIN | Errno::INTR) => ready.clear_ready(),
                _ => {
                    ready.clear_ready();
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beats_come_at_their_time_and_missed_ones_count_as_one() {
        let period = Duration::from_millis(50);
        let started = std::time::Instant::now();
        let beat = Beat::every(period).unwrap();
        beat.next().await;
        std::thread::sleep(period * 4);
        beat.next().await;
        let before = started.elapsed();
        beat.next().await;
        beat.next().await;
        assert!(before >= period * 4 && started.elapsed() >= period * 5, "{before:?}, {:?}", started.elapsed());
    }
}
