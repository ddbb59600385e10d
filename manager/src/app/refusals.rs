//! How much is made of those who may not join: everybody who reaches the port can try as often as it likes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::traffic::Counter;
use crate::store::machines::Hash;

/// How often strangers are logged at most.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// How often the refusal of one token is an event at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What was refused lately.
#[derive(Default)]
pub struct Refusals {
    /// How many came with a token that the grid has never made.
    pub strangers: Counter,
    // Held for moments only, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    strangers: u64,
    logged: Option<Instant>,
    /// Only of tokens that the grid has made, so strangers cannot make it grow.
    told: HashMap<Hash, Instant>,
}

impl Refusals {
    /// Logs that somebody came with a token that the grid has never made; many of them in one line.
    pub fn note_stranger(&self) {
        self.strangers.count();
        let count = self.inner.lock().unwrap_or_else(PoisonError::into_inner).stranger(Instant::now());
        if let Some(count) = count {
            tracing::warn!("wishes to join, {count} of them, were refused: this grid has no such join token");
        }
    }

    /// Whether the refusal of a token is worth an event: the first, and one in a while after it.
    pub fn is_news(&self, token: Hash) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).is_news(token, Instant::now())
    }
}

impl Inner {
    fn stranger(&mut self, now: Instant) -> Option<u64> {
        self.strangers += 1;
        if self.logged.is_some_and(|logged| now.duration_since(logged) < LOG_EVERY) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.strangers))
    }

    fn is_news(&mut self, token: Hash, now: Instant) -> bool {
        self.told.retain(|_, told| now.duration_since(*told) < TELL_EVERY);
        if self.told.contains_key(&token) {
            return false;
        }
        self.told.insert(token, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_strangers_are_one_line() {
        let (mut refusals, start) = (Inner::default(), Instant::now());
        assert_eq!(refusals.stranger(start), Some(1));
        assert_eq!(refusals.stranger(start), None);
        assert_eq!(refusals.stranger(start + LOG_EVERY), Some(2));
    }

    #[test]
    fn a_token_is_news_once_in_a_while() {
        let (mut refusals, start) = (Inner::default(), Instant::now());
        assert!(refusals.is_news([1; 32], start));
        assert!(!refusals.is_news([1; 32], start));
        assert!(refusals.is_news([2; 32], start));
        assert!(refusals.is_news([1; 32], start + TELL_EVERY));
    }
}
