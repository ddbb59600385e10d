//! What is different between two texts of a configuration.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// How long the shortest difference is looked for; then one that is right and longer does.
const PATIENCE: Duration = Duration::from_millis(200);

/// A difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// As a unified diff; empty if there is none.
    pub text: String,
    /// How many lines are new.
    pub added: usize,
    /// How many lines are gone.
    pub removed: usize,
}

/// Compares two texts.
pub fn diff(before: &str, after: &str) -> Difference {
    if before == after {
        return Difference::default();
    }
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    Difference {
        text: diff.unified_diff().context_radius(3).header("in force", "new").to_string(),
        added: count(ChangeTag::Insert),
        removed: count(ChangeTag::Delete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_unified_diff() {
        assert_eq!(diff("a\n", "a\n"), Difference::default());
        let found = diff("[grid]\na = 1\n", "[grid]\na = 2\nb = 3\n");
        assert_eq!(found.text, "--- in force\n+++ new\n@@ -1,2 +1,3 @@\n [grid]\n-a = 1\n+a = 2\n+b = 3\n");
        assert_eq!((found.added, found.removed), (2, 1));
        assert!(diff("", "a").text.ends_with("+a\n\\ No newline at end of file\n"));
        assert!(!diff("a\n", "a").text.is_empty(), "also an end of line is a difference");
    }
}
