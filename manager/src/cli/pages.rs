//! Lists that the manager tells in parts.

use serde::de::DeserializeOwned;

use super::{client::Client, exit::Failure};
use crate::grid::page::{MOST, Page};

/// Gets the items of a list, part by part, until it ends or there are as many as wanted. `path` may have a query of its
/// own.
pub async fn get<T: DeserializeOwned>(client: &Client, path: &str, most: u32) -> Result<Vec<T>, Failure> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    let sign = if path.contains('?') { '&' } else { '?' };
    while items.len() < most {
        let limit = (most - items.len()).min(MOST as usize);
        let cursor_of = |cursor: &String| format!("&cursor={}", escaped(cursor));
        let at = cursor.as_ref().map(cursor_of).unwrap_or_default();
        let page: Page<T> = client.get(&format!("{path}{sign}limit={limit}{at}")).await?;
        items.extend(page.items);
        // A cursor that does not move would go round for ever.
        if page.next.is_none() || page.next == cursor {
            break;
        }
        cursor = page.next;
    }
    items.truncate(most);
    Ok(items)
}

/// Gets all items of a list.
pub async fn all<T: DeserializeOwned>(client: &Client, path: &str) -> Result<Vec<T>, Failure> {
    get(client, path, u32::MAX).await
}

/// A path with those parameters that there are.
pub fn query<'a>(path: &str, parameters: impl IntoIterator<Item = (&'a str, &'a Option<String>)>) -> String {
    let parameters = parameters.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let parameters: Vec<String> = parameters.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    if parameters.is_empty() { path.to_owned() } else { format!("{path}?{}", parameters.join("&")) }
}

/// A text as it is written into a query.
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte);
    let write = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(write).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_into_queries() {
        assert_eq!(query("/journal", [("a", &None)]), "/journal");
        assert_eq!(
            query("/a", [("a", &None), ("b", &Some("#".to_owned())), ("c", &Some("1".to_owned()))]),
            "/a?b=%23&c=1"
        );
        assert_eq!(escaped("a@web-1"), "a@web-1");
        assert_eq!(escaped("#a b&c=d%é"), "%23a%20b%26c%3Dd%25%C3%A9");
    }
}
