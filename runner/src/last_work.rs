//! Work on what is left of runs that were dropped: it blocks, and so is done by threads of its own.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Such work, as far as it is begun and not done. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastWork(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How many threads are at work.
    at_work: Mutex<usize>,
    /// Woken when one is done.
    done: Condvar,
}

/// Counts one thread as long as it lives.
struct AtWork(Arc<Shared>);

impl Shared {
    fn at_work(&self) -> MutexGuard<'_, usize> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        *self.0.at_work() -= 1;
        self.0.done.notify_all();
    }
}

impl LastWork {
    /// Has something done by a thread of its own.
    pub(crate) fn begin(&self, work: impl FnOnce() + Send + 'static) {
        *self.0.at_work() += 1;
        let at_work = AtWork(self.0.clone());
        let begun = std::thread::Builder::new().name("last-work".to_owned()).spawn(move || {
            let _at_work = at_work;
            work();
        });
        if let Err(error) = begun {
            tracing::error!("what is left of a hook is not cleared up: {error}");
        }
    }

    /// Waits until all of it is done, at most for a time. Blocks.
    pub(crate) fn wait(&self, limit: Duration) {
        // What is not done in time is done when the manager or agent starts the next time.
        let _late = self.0.done.wait_timeout_while(self.0.at_work(), limit, |at_work| *at_work > 0);
    }
}
