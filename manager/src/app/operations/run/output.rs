//! What a hook writes, as it comes into the log of its operation: in whole lines, whatever parts it came in.

use std::sync::Arc;

use crate::app::{
    hooks::telling::unheard,
    operations::{live::Live, recorder::Recorder},
};

/// The longest line, in bytes; a longer one is cut into parts.
const LONGEST: usize = 4096;

/// Joins parts to whole lines. Its memory is bounded, however long a line is.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line whose end has not come.
    begun: String,
}

impl Lines {
    /// Takes up the next part; returns the texts that are to be told now, each of whole lines or a part of a long one.
    fn push(&mut self, part: &str) -> Vec<String> {
        let (mut texts, mut whole) = (Vec::new(), String::new());
        for piece in part.split_inclusive('\n') {
            self.begun.push_str(piece);
            while self.begun.trim_end_matches('\n').len() > LONGEST {
                let rest = self.begun.split_off(self.begun.floor_char_boundary(LONGEST));
                let cut = std::mem::replace(&mut self.begun, rest);
                texts.extend([std::mem::take(&mut whole), cut].into_iter().filter(|text| !text.is_empty()));
            }
            if self.begun.ends_with('\n') {
                whole.push_str(&std::mem::take(&mut self.begun));
            }
        }
        texts.extend(Some(whole).filter(|text| !text.is_empty()));
        texts
    }

    /// The line whose end will not come.
    fn rest(&mut self) -> Option<String> {
        Some(std::mem::take(&mut self.begun)).filter(|rest| !rest.is_empty())
    }
}

/// Puts the output of a run into the log, while it comes. When it is dropped, so does the line that was begun.
pub(super) struct Output {
    recorder: Recorder,
    live: Arc<Live>,
    step: u32,
    lines: Lines,
    /// What is in the log.
    logged: String,
    /// Whether the log had no room for something: what follows waits for the end.
    is_behind: bool,
}

impl Output {
    pub(super) fn new(recorder: &Recorder, live: &Arc<Live>, step: u32) -> Self {
        let (recorder, live) = (recorder.clone(), live.clone());
        Self { recorder, live, step, lines: Lines::default(), logged: String::new(), is_behind: false }
    }

    /// Takes up a part of what is written.
    pub(super) fn push(&mut self, part: &str) {
        for text in self.lines.push(part) {
            self.is_behind |= !self.recorder.line_now(&self.live, self.step, &text);
            if self.is_behind {
                return;
            }
            self.logged.push_str(&text);
        }
    }

    /// The run has ended: what of its whole output is not in the log yet is put there, and how many bytes were not kept.
    pub(super) async fn finish(mut self, output: &str, dropped: u64) {
        let missed = unheard(output, &self.logged);
        if !missed.is_empty() {
            self.lines = Lines::default();
            for text in self.lines.push(missed) {
                self.recorder.line(&self.live, self.step, text).await;
            }
        }
        if let Some(rest) = self.lines.rest() {
            self.recorder.line(&self.live, self.step, rest).await;
        }
        if let Some(words) = not_kept(dropped) {
            self.recorder.line(&self.live, self.step, format!("… {words}")).await;
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(rest) = self.lines.rest().filter(|_| !self.is_behind) {
            self.recorder.line_now(&self.live, self.step, &rest);
        }
    }
}

/// What is said of output that was not kept, if there is some.
pub(super) fn not_kept(bytes: u64) -> Option<String> {
    match bytes {
        0 => None,
        1 => Some("1 byte of its output was not kept".to_owned()),
        more => Some(format!("{} bytes of its output were not kept", in_groups(more))),
    }
}

/// A number as it is read most easily: `12,345`.
fn in_groups(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        (digits.as_bytes().rchunks(3).rev()).filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_parts_and_lines() {
        for (parts, expected) in [
            (&["one\ntwo\n"][..], &["one\ntwo\n"][..]),
            (&["on", "e\ntw", "o\n"], &["one\n", "two\n"]),
            (&["one", "\n", "\n"], &["one\n", "\n"]),
            (&["Stra", "ße", " 🚀"], &["Straße 🚀"]),
            (&["one\nrest"], &["one\n", "rest"]),
            (&["\n\n"], &["\n\n"]),
            (&[""], &[]),
        ] {
            let mut lines = Lines::default();
            let mut told: Vec<String> = parts.iter().flat_map(|part| lines.push(part)).collect();
            told.extend(lines.rest());
            assert_eq!(told, expected, "{parts:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_nothing_is_lost() {
        let text = format!("before\n{}\nafter\n{}", "é".repeat(LONGEST), "x".repeat(LONGEST));
        for size in [1, 7, 1000, text.len()] {
            let mut lines = Lines::default();
            let (mut told, mut at) = (Vec::new(), 0);
            while at < text.len() {
                let end = text.ceil_char_boundary((at + size).min(text.len()));
                told.extend(lines.push(&text[at..end]));
                assert!(lines.begun.len() <= LONGEST);
                at = end;
            }
            told.extend(lines.rest());
            assert_eq!(told.concat(), text, "{size}");
            assert!(told.iter().flat_map(|text| text.lines()).all(|line| line.len() <= LONGEST), "{size}");
            assert_eq!(told.iter().filter(|text| text.starts_with('x')).count(), 1, "as long as a line may be: {size}");
        }
    }

    #[test]
    fn the_table_of_what_was_not_kept() {
        for (bytes, words) in [
            (0, None),
            (1, Some("1 byte of its output was not kept")),
            (999, Some("999 bytes of its output were not kept")),
            (12_345, Some("12,345 bytes of its output were not kept")),
            (1_000_000, Some("1,000,000 bytes of its output were not kept")),
        ] {
            assert_eq!(not_kept(bytes).as_deref(), words);
        }
    }
}
