//! Takes secrets out of a stream of bytes, wherever its parts are cut.

/// What stands in place of a secret.
const MASK: &[u8] = b"***";

/// The shortest text that is taken out: shorter ones would spoil what is harmless, and tell what they are by that.
pub(crate) const SHORTEST: usize = 4;

/// The most lines of secrets of one run: each byte of the output is compared with each of them.
pub(crate) const MAX_PATTERNS: usize = 256;

/// Takes out secrets.
pub(crate) struct Masking {
    /// What is taken out, the longest first.
    secrets: Vec<Vec<u8>>,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
}

impl Masking {
    /// Takes out these values, and each line of those that have several.
    pub(crate) fn new<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        for value in values {
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST);
            secrets.extend(lines.chain([value]).filter(|text| !text.is_empty()).map(|text| text.as_bytes().to_vec()));
        }
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets, held: Vec::new() }
    }

    /// Takes the next part in, and gives out what is harmless. At most one secret's length is held back.
    pub(crate) fn push(&mut self, part: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(part);
        let end = self.cut(out, false);
        self.held.drain(..end);
    }

    /// Gives out what was held back: no more will come. The beginning of a secret that was cut off is not told either.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.cut(out, true);
        self.held.clear();
    }

    /// Gives out the held bytes up to a place from where a secret may go on; returns that place.
    fn cut(&self, out: &mut Vec<u8>, is_last: bool) -> usize {
        let mut at = 0;
        while let Some(&byte) = self.held.get(at) {
            let rest = &self.held[at..];
            // The longest first: a shorter one that it begins with must not leave its end visible.
            let meant = self.secrets.iter().find(|secret| rest.starts_with(secret) || secret.starts_with(rest));
            match meant {
                Some(secret) if rest.starts_with(secret) => {
                    out.extend_from_slice(MASK);
                    at += secret.len();
                }
                Some(_) if !is_last => return at,
                Some(_) if rest.len() >= SHORTEST => {
                    out.extend_from_slice(MASK);
                    return self.held.len();
                }
                _ => {
                    out.push(byte);
                    at += 1;
                }
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], parts: &[&str]) -> String {
        let mut masking = Masking::new(secrets.iter().copied());
        let mut out = Vec::new();
        parts.iter().for_each(|part| masking.push(part.as_bytes(), &mut out));
        masking.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_table_of_masked_texts() {
        for (secrets, text, expected) in [
            (&["hunter2"][..], "it is hunter2, hunter2!", "it is ***, ***!"),
            (&["hunter2", "hunter2-long"], "hunter2-long hunter2", "*** ***"),
            (&["aabaac"], "aabaabaac", "aab***"),
            (&["hunter2"], "hunt", "***"),
            (&["hunter2"], "hun", "hun"),
            (&["first line\nlast line"], "> first line\n> last line", "> ***\n> ***"),
            (&["pässwort"], "ein pässwort", "ein ***"),
            (&[], "nothing", "nothing"),
        ] {
            assert_eq!(masked(secrets, &[text]), expected);
            for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
                assert_eq!(masked(secrets, &[&text[..cut], &text[cut..]]), expected, "cut at {cut}");
            }
            let single: Vec<String> = text.chars().map(String::from).collect();
            let single: Vec<&str> = single.iter().map(String::as_str).collect();
            assert_eq!(masked(secrets, &single), expected, "one at a time");
        }
    }

    #[test]
    fn what_cannot_become_a_secret_is_not_held_back() {
        let mut masking = Masking::new(["hunter2"].into_iter());
        let mut out = Vec::new();
        masking.push(b"progress: 10 %\nhun", &mut out);
        assert_eq!(out, b"progress: 10 %\n");
    }
}
