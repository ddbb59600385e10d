//! Lists that are told in parts.

use serde::{Deserialize, Serialize};

/// How many items a part has, unless a caller says otherwise.
pub const USUAL: u32 = 100;

/// The most items of a part.
pub const MOST: u32 = 1000;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What asks for the next part; nothing with the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A part of a list that is in memory, ordered by a key: what comes after the cursor, which is the key of the last
    /// item that was told.
    pub fn of(
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
        cursor: Option<&str>,
        limit: u32,
    ) -> Self {
        let limit = limit.clamp(1, MOST) as usize;
        let mut rest = items.into_iter().filter(|item| cursor.is_none_or(|cursor| key(item).as_str() > cursor));
        let items: Vec<T> = rest.by_ref().take(limit).collect();
        let next = rest.next().and_then(|_| items.last().map(&key));
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_the_whole() {
        let names = ["a", "b", "c", "d", "e"];
        let (mut cursor, mut all, mut parts) = (None, Vec::new(), 0);
        loop {
            let page = Page::of(names, |name| (*name).to_owned(), cursor.as_deref(), 2);
            all.extend(page.items);
            parts += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((all.as_slice(), parts), (&names[..], 3));
    }
}
