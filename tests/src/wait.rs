//! Waiting for a condition with a deadline: the only place in the tests that sleeps.
//! Every story waits through these functions, so a hang ends in a panic that names what was missing.

use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks at the condition.
const POLL_STEP: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value, which is returned.
///
/// # Panics
/// When `deadline` is over; the message has `what` and the time waited.
#[track_caller]
pub fn until<T>(what: &str, deadline: Duration, condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    match within(deadline, condition) {
        Some(value) => value,
        None => panic!("waited {:.1?} in vain for: {what}", start.elapsed()),
    }
}

/// Like [`until`], but gives `None` when the deadline is over.
pub fn within<T>(deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        // The age is taken before the look, so the last look never misses what happened in the last step.
        let over = start.elapsed() >= deadline;
        if let Some(value) = condition() {
            return Some(value);
        }
        if over {
            return None;
        }
        thread::sleep(POLL_STEP);
    }
}

/// [`until`] for async conditions. A condition that itself hangs is cut off at the deadline.
///
/// The deadline is real time, so a paused tokio clock does not use it up.
///
/// # Panics
/// When `deadline` is over; the message has `what` and the time waited.
pub async fn until_async<T>(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        let left = deadline.saturating_sub(start.elapsed());
        // At least one poll step, so that the last look has a chance to answer.
        if let Ok(Some(value)) = tokio::time::timeout(left.max(POLL_STEP), condition()).await {
            return value;
        }
        if left.is_zero() {
            panic!("waited {:.1?} in vain for: {what}", start.elapsed());
        }
        tokio::time::sleep(POLL_STEP).await;
    }
}
