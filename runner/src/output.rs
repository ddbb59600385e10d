//! What a program writes: masked, made readable, told in parts, and kept up to a limit.

use protocol::hook::{MAX_CHUNK, MAX_OUTPUT};

use crate::masking::Masking;

/// Collects what a program writes. Its memory is bounded, however much comes.
pub(crate) struct Output {
    masking: Masking,
    /// The beginning of a character whose end has not come.
    unfinished: Vec<u8>,
    /// Whether the last character was a carriage return.
    returned: bool,
    kept: String,
    /// How much of what is kept was told.
    told: usize,
    dropped: u64,
}

impl Output {
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let masking = Masking::new(secrets);
        Self { masking, unfinished: Vec::new(), returned: false, kept: String::new(), told: 0, dropped: 0 }
    }

    /// Takes up the next part.
    pub(crate) fn push(&mut self, part: &[u8]) {
        if self.dropped > 0 {
            self.dropped += part.len() as u64;
            return;
        }
        let mut harmless = Vec::with_capacity(part.len());
        self.masking.push(part, &mut harmless);
        self.read(&harmless, false);
    }

    /// Takes up what was held back: no more will come.
    pub(crate) fn finish(&mut self) {
        if self.dropped == 0 {
            let mut harmless = Vec::new();
            self.masking.finish(&mut harmless);
            self.read(&harmless, true);
        }
    }

    /// The next part to tell, if there is one of a size worth it, or any if it is `due`.
    pub(crate) fn next_to_tell(&mut self, due: bool) -> Option<&str> {
        let waiting = self.kept.len() - self.told;
        if waiting == 0 || (waiting < MAX_CHUNK && !due) {
            return None;
        }
        let from = self.told;
        self.told = self.kept.floor_char_boundary(from + MAX_CHUNK.min(waiting));
        Some(&self.kept[from..self.told])
    }

    /// Whether something waits to be told.
    pub(crate) fn has_news(&self) -> bool {
        self.told < self.kept.len()
    }

    /// What is kept, and how many bytes were dropped.
    pub(crate) fn into_parts(self) -> (String, u64) {
        (self.kept, self.dropped)
    }

    /// Reads text from bytes that need not be any.
    fn read(&mut self, bytes: &[u8], is_last: bool) {
        let mut bytes = [self.unfinished.as_slice(), bytes].concat();
        self.unfinished.clear();
        let unfinished = if is_last { 0 } else { unfinished_end(&bytes) };
        self.unfinished = bytes.split_off(bytes.len() - unfinished);
        for c in String::from_utf8_lossy(&bytes).chars() {
            self.take(c);
        }
    }

    /// Takes up one character, so that what is kept acts on no terminal.
    fn take(&mut self, c: char) {
        // A line that was to be written over is kept as a line of its own.
        if std::mem::take(&mut self.returned) && c != '\n' {
            self.keep("\n");
        }
        match c {
            '\r' => self.returned = true,
            '\n' | '\t' => self.keep(c.encode_utf8(&mut [0; 4])),
            c if c.is_control() || steers(c) => self.keep(&c.escape_default().to_string()),
            c => self.keep(c.encode_utf8(&mut [0; 4])),
        }
    }

    fn keep(&mut self, text: &str) {
        if self.dropped == 0 && self.kept.len() + text.len() <= MAX_OUTPUT {
            self.kept.push_str(text);
        } else {
            self.dropped += text.len() as u64;
        }
    }
}

/// Whether a character changes the direction of what follows, and so can hide what stands there.
fn steers(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// How many bytes at the end are the beginning of a character.
fn unfinished_end(bytes: &[u8]) -> usize {
    let Some(start) = bytes.iter().rev().take(3).position(|byte| byte & 0b1100_0000 != 0b1000_0000) else { return 0 };
    let (there, first) = (start + 1, bytes[bytes.len() - 1 - start]);
    let needed = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if there < needed { there } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> String {
        let mut output = Output::new([].into_iter());
        parts.iter().for_each(|part| output.push(part));
        output.finish();
        output.into_parts().0
    }

    #[test]
    fn the_table_of_what_is_made_readable() {
        for (bytes, expected) in [
            (&b"plain\n\ttext"[..], "plain\n\ttext"),
            (b"one\r\ntwo\rthree\r", "one\ntwo\nthree"),
            (b"\x1b[31mred\x07\0", "\\u{1b}[31mred\\u{7}\\u{0}"),
            ("Straße 🚀 \u{9b}1m \u{202e}".as_bytes(), "Straße 🚀 \\u{9b}1m \\u{202e}"),
            (b"\xff\xfe bad \xe2\x82", "\u{fffd}\u{fffd} bad \u{fffd}"),
        ] {
            assert_eq!(read(&[bytes]), expected);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&single), expected, "one byte at a time");
        }
    }

    #[test]
    fn the_first_part_is_kept_and_the_rest_is_counted() {
        let mut output = Output::new([].into_iter());
        for _ in 0..100 {
            output.push(&[b'x'; 1024]);
        }
        output.finish();
        let (kept, dropped) = output.into_parts();
        assert_eq!((kept.len(), dropped), (MAX_OUTPUT, 100 * 1024 - MAX_OUTPUT as u64));
    }

    #[test]
    fn it_is_told_once_in_parts_that_fit_into_a_message() {
        let mut output = Output::new([].into_iter());
        output.push("é".repeat(MAX_CHUNK).as_bytes());
        let mut told = String::new();
        while let Some(part) = output.next_to_tell(true) {
            assert!(part.len() <= MAX_CHUNK);
            told.push_str(part);
        }
        assert_eq!(told, "é".repeat(MAX_CHUNK));
        output.push(b"little");
        assert_eq!(output.next_to_tell(false), None);
        assert_eq!(output.next_to_tell(true), Some("little"));
    }
}
