//! What is refused again and again is counted, and not written down each time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How many refusals of one caller are written down in a minute.
const WRITTEN: u32 = 30;

/// How long that minute is.
pub const MINUTE: Duration = Duration::from_secs(60);

/// What becomes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is written down.
    Write,
    /// It is counted, as the first one: somebody must look for what is due after a minute.
    HoldFirst,
    /// It is counted.
    Hold,
}

/// What was refused lately, by caller. `T` is what is to be written of those that are counted.
#[derive(Debug)]
pub struct Repeats<T> {
    callers: HashMap<String, Window<T>>,
}

#[derive(Debug)]
struct Window<T> {
    begun: Instant,
    written: u32,
    held: Option<(T, u32)>,
}

impl<T> Default for Repeats<T> {
    fn default() -> Self {
        Self { callers: HashMap::new() }
    }
}

impl<T> Repeats<T> {
    /// A caller is refused something.
    pub fn note(&mut self, caller: &str, what: impl FnOnce() -> T, now: Instant) -> Verdict {
        // What is held waits for whoever looks for what is due, and is not forgotten here.
        self.callers.retain(|_, window| window.held.is_some() || now.duration_since(window.begun) < MINUTE);
        let window = self.callers.entry(caller.to_owned()).or_insert(Window { begun: now, written: 0, held: None });
        if window.written < WRITTEN {
            window.written += 1;
            return Verdict::Write;
        }
        match &mut window.held {
            Some((_, count)) => {
                *count += 1;
                Verdict::Hold
            }
            None => {
                window.held = Some((what(), 1));
                Verdict::HoldFirst
            }
        }
    }

    /// What was counted and is to be written now: the first of each caller, and how many there were.
    pub fn due(&mut self, now: Instant) -> Vec<(T, u32)> {
        let due = self.callers.extract_if(|_, window| now.duration_since(window.begun) >= MINUTE);
        due.filter_map(|(_, window)| window.held).collect()
    }

    /// Everything that was counted, because nobody will look again.
    pub fn all(&mut self) -> Vec<(T, u32)> {
        self.callers.drain().filter_map(|(_, window)| window.held).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_written_and_the_rest_counted() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        for n in 0..WRITTEN {
            assert_eq!(repeats.note("alice", || n, start), Verdict::Write);
        }
        assert_eq!(repeats.note("alice", || 100, start), Verdict::HoldFirst);
        assert_eq!(repeats.note("alice", || 101, start), Verdict::Hold);
        assert_eq!(repeats.note("bob", || 0, start), Verdict::Write, "each caller for itself");
        assert_eq!(repeats.due(start), []);
        assert_eq!(repeats.note("alice", || 102, start + MINUTE), Verdict::Hold);
        assert_eq!(repeats.due(start + MINUTE), [(100, 3)]);
        assert_eq!(repeats.note("alice", || 0, start + MINUTE), Verdict::Write);
        assert_eq!(repeats.due(start + MINUTE * 3), []);
        assert!(repeats.callers.is_empty());
    }

    #[test]
    fn nothing_is_lost_at_the_end() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        for n in 0..WRITTEN + 5 {
            repeats.note("alice", || n, start);
        }
        assert_eq!(repeats.all(), [(WRITTEN, 5)]);
    }
}
