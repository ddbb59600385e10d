//! How many connections and streams are open, and what became of some: counted by whoever serves them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Counts one, until what it returns is dropped.
    pub fn hold(&self) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(self.clone())
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One that counts in a [`Gauge`].
#[derive(Debug)]
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one more.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What goes in and out.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Connections of agents at the TLS port that are no links.
    pub agents: Gauge,
    /// Connections of people and scripts at the TLS port.
    pub people: Gauge,
    /// Connections at the Unix socket.
    pub local: Gauge,
    /// Connections at the TLS port that have not finished their handshake.
    pub handshakes: Gauge,
    /// Streams of events.
    pub streams: Gauge,
    /// How often a watcher had to begin anew, because the event it named is gone or it fell too far behind.
    pub resets: Counter,
    /// Connections that were cut off, because the other end took nothing for too long.
    pub cut_off: Counter,
    /// Connections that were turned away, because too many came from one address, or of one user of the host.
    pub crowded: Counter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let gauge = Gauge::default();
        let held = (gauge.hold(), gauge.hold());
        assert_eq!(gauge.get(), 2);
        drop(held);
        assert_eq!(gauge.get(), 0);
    }
}
