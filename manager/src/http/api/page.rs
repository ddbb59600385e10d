//! What lists take: `limit` and `cursor`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error};
use utoipa::IntoParams;

use crate::{
    app::AppError,
    grid::page::{MOST, USUAL},
};

/// Which part of a list is wanted. Other parameters stand beside it with `#[serde(flatten)]`; those must be texts, as
/// nothing else is known of a query's values then.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many items at most, 1 to 1000; 100 without it.
    #[serde(default, deserialize_with = "limit")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the part before; the beginning without it.
    #[serde(default)]
    cursor: Option<String>,
}

impl PageQuery {
    /// How many items at most.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(USUAL)
    }

    /// The cursor as it was given.
    pub fn text(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The cursor as what it stands for.
    pub fn cursor<T: FromStr>(&self) -> Result<Option<T>, AppError> {
        let parse =
            |text: &String| text.parse().map_err(|_| AppError::Invalid("the cursor is none of this list".into()));
        self.cursor.as_ref().map(parse).transpose()
    }
}

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse() {
        Ok(limit) if (1..=MOST).contains(&limit) => Ok(Some(limit)),
        _ => Err(D::Error::custom(format!("`{text}` is no limit: it is a number from 1 to {MOST}"))),
    }
}

#[cfg(test)]
mod tests {
    use axum::{extract::Query, http::Uri};

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Beside {
        #[serde(flatten)]
        page: PageQuery,
        word: Option<String>,
    }

    fn read(query: &str) -> Option<Beside> {
        let uri: Uri = format!("/list?{query}").parse().unwrap();
        Query::try_from_uri(&uri).ok().map(|Query(read)| read)
    }

    #[test]
    fn the_table_of_pages() {
        for (query, limit, cursor) in [
            ("", Some(100), None),
            ("limit=1&word=x", Some(1), None),
            ("limit=1000&cursor=7", Some(1000), Some(7)),
            ("limit=0", None, None),
            ("limit=1001", None, None),
            ("limit=-1", None, None),
            ("limit=many", None, None),
            ("limit=", None, None),
        ] {
            let page = read(query).map(|read| read.page);
            assert_eq!(page.as_ref().map(PageQuery::limit), limit, "{query}");
            assert_eq!(page.and_then(|page| page.cursor().unwrap()), cursor, "{query}");
        }
        assert_eq!(read("word=x&limit=5").unwrap().word.as_deref(), Some("x"));
        assert!(read("cursor=x").unwrap().page.cursor::<u64>().is_err());
    }
}
