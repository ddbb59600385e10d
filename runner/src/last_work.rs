//! Work on what is left of runs that were dropped: it blocks, and so is done by threads of its own.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// How many such threads are at work.
static AT_WORK: Mutex<usize> = Mutex::new(0);

/// Woken when one is done.
static DONE: Condvar = Condvar::new();

/// Counts one thread as long as it lives.
struct AtWork;

impl Drop for AtWork {
    fn drop(&mut self) {
        *AT_WORK.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        DONE.notify_all();
    }
}

/// Has something done by a thread of its own.
pub(crate) fn begin(work: impl FnOnce() + Send + 'static) {
    *AT_WORK.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    let at_work = AtWork;
    let begun = std::thread::Builder::new().name("last-work".to_owned()).spawn(move || {
        let _at_work = at_work;
        work();
    });
    if let Err(error) = begun {
        tracing::error!("what is left of a hook is not cleared up: {error}");
    }
}

/// Waits until what is left of runs that were dropped is cleared up, at most for a time. To be called before a process
/// ends that has run hooks. Blocks.
pub fn wait_for_last_work(limit: Duration) {
    let at_work = AT_WORK.lock().unwrap_or_else(PoisonError::into_inner);
    // What is not done in time is done when the manager or agent starts the next time.
    let _late = DONE.wait_timeout_while(at_work, limit, |at_work| *at_work > 0);
}
