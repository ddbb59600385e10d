//! What is refused again and again is counted, and not written down each time.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// How many refusals of one caller are written down in a minute.
const WRITTEN: u32 = 30;

/// How many different things that were refused are remembered of those that are counted.
const REMEMBERED: usize = 50;

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
    held: Option<Held<T>>,
}

/// What was counted and not written down.
#[derive(Debug, PartialEq, Eq)]
pub struct Held<T> {
    /// The first.
    pub first: T,
    /// How many there were.
    pub count: u32,
    /// What was refused, in words; not all of it if there was too much.
    pub what: BTreeSet<String>,
}

impl<T> Default for Repeats<T> {
    fn default() -> Self {
        Self { callers: HashMap::new() }
    }
}

impl<T> Repeats<T> {
    /// A caller, who is known by `caller`, is refused something: `about` in words.
    pub fn note(&mut self, caller: &str, about: String, first: impl FnOnce() -> T, now: Instant) -> Verdict {
        // What is held waits for whoever looks for what is due, and is not forgotten here.
        self.callers.retain(|_, window| window.held.is_some() || now.duration_since(window.begun) < MINUTE);
        let window = self.callers.entry(caller.to_owned()).or_insert(Window { begun: now, written: 0, held: None });
        if window.written < WRITTEN {
            window.written += 1;
            return Verdict::Write;
        }
        let verdict = if window.held.is_none() { Verdict::HoldFirst } else { Verdict::Hold };
        let held = window.held.get_or_insert_with(|| Held { first: first(), count: 0, what: BTreeSet::new() });
        held.count += 1;
        if held.what.len() < REMEMBERED {
            held.what.insert(about);
        }
        verdict
    }

    /// What was counted and is to be written now.
    pub fn due(&mut self, now: Instant) -> Vec<Held<T>> {
        let due = self.callers.extract_if(|_, window| now.duration_since(window.begun) >= MINUTE);
        due.filter_map(|(_, window)| window.held).collect()
    }

    /// Everything that was counted, because nobody will look again.
    pub fn all(&mut self) -> Vec<Held<T>> {
        self.callers.drain().filter_map(|(_, window)| window.held).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(first: u32, what: &[&str], count: u32) -> Held<u32> {
        Held { first, count, what: what.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn a_few_are_written_and_the_rest_counted() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let about = || "tag".to_owned();
        for n in 0..WRITTEN {
            assert_eq!(repeats.note("alice", about(), || n, start), Verdict::Write);
        }
        assert_eq!(repeats.note("alice", about(), || 100, start), Verdict::HoldFirst);
        assert_eq!(repeats.note("alice", about(), || 101, start), Verdict::Hold);
        assert_eq!(repeats.note("bob", about(), || 0, start), Verdict::Write, "each caller for itself");
        assert_eq!(repeats.due(start), []);
        assert_eq!(repeats.note("alice", "status".to_owned(), || 102, start + MINUTE), Verdict::Hold);
        assert_eq!(repeats.due(start + MINUTE), [held(100, &["status", "tag"], 3)]);
        assert_eq!(repeats.note("alice", about(), || 0, start + MINUTE), Verdict::Write);
        assert_eq!(repeats.due(start + MINUTE * 3), []);
        assert!(repeats.callers.is_empty());
    }

    #[test]
    fn nothing_is_lost_at_the_end_and_what_is_remembered_is_bounded() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        for n in 0..WRITTEN + 1000 {
            repeats.note("alice", format!("tag {n}"), || n, start);
        }
        let all = repeats.all();
        assert_eq!((all[0].first, all[0].count, all[0].what.len()), (WRITTEN, 1000, REMEMBERED));
    }
}
