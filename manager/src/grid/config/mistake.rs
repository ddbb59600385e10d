//! What is wrong with a configuration, and where.

use std::fmt;

/// The most mistakes that are told at once.
pub const MOST_TOLD: usize = 50;

/// Something that is wrong, with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line; the first is 1.
    pub line: usize,
    /// The column, in characters; the first is 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

/// Something to say of a place in a text, which is known by its offset in bytes.
pub type Remark = (usize, String);

/// Finds the lines and columns of remarks, and puts them in the order of the text.
pub fn placed(text: &str, mut remarks: Vec<Remark>) -> Vec<Mistake> {
    remarks.sort();
    remarks.dedup();
    let (mut line, mut start, mut passed) = (1, 0, 0);
    let mut place = |(at, what): Remark| {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        for (offset, _) in text[passed..at].match_indices('\n') {
            (line, start) = (line + 1, passed + offset + 1);
        }
        passed = at;
        Mistake { line, column: text[start..at].chars().count() + 1, what }
    };
    remarks.into_iter().map(&mut place).collect()
}

/// Mistakes as they are told: one on a line, and how many more there are.
pub fn told(mistakes: &[Mistake]) -> String {
    let mut lines: Vec<String> = mistakes.iter().take(MOST_TOLD).map(ToString::to_string).collect();
    if mistakes.len() > MOST_TOLD {
        lines.push(format!("and {} more", mistakes.len() - MOST_TOLD));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_columns() {
        let text = "ab\nécd\n\nx";
        for (at, place) in [(0, (1, 1)), (1, (1, 2)), (3, (2, 1)), (4, (2, 1)), (5, (2, 2)), (8, (3, 1)), (9, (4, 1))] {
            let found = placed(text, vec![(at, String::new())]).remove(0);
            assert_eq!((found.line, found.column), place, "{at}");
        }
        let many = placed(text, vec![(9, "z".to_owned()), (1, "y".to_owned()), (99, "end".to_owned())]);
        let told: Vec<String> = many.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["line 1, column 2: y", "line 4, column 1: z", "line 4, column 2: end"]);
    }

    #[test]
    fn so_many_are_told_and_no_more() {
        let mistake = |line| Mistake { line, column: 1, what: "wrong".to_owned() };
        let many: Vec<Mistake> = (0..60).map(mistake).collect();
        let told = told(&many);
        assert_eq!((told.lines().count(), told.lines().last()), (51, Some("and 10 more")));
    }
}
