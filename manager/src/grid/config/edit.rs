//! Changes a collection in the text of a configuration, and leaves everything else as it stands.

use protocol::name::ServiceName;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value, value};

use super::{Budget, Collection, Mode, OnFailure};

/// Sets a collection's order and members; what else is set for it stays. One that is not there is added at the end.
pub fn set_collection(text: &str, name: &ServiceName, collection: &Collection) -> Result<String, String> {
    let mut document = read(text)?;
    let collections = document.entry("collection").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let collections = collections.as_table_like_mut().ok_or("`collection` is no table")?;
    if collections.get(name.as_str()).is_none() {
        collections.insert(name.as_str(), Item::Table(Table::new()));
    }
    let table = collections.get_mut(name.as_str()).and_then(Item::as_table_like_mut);
    let table = table.ok_or_else(|| format!("collection `{name}` is no table"))?;
    let mode = match collection.mode {
        Mode::Sequential => "sequential",
        Mode::Parallel => "parallel",
    };
    let on_failure = match collection.on_failure {
        OnFailure::Stop => "stop",
        OnFailure::Continue => "continue",
    };
    let is_told = mode != "sequential" || table.contains_key("mode");
    set(table, "mode", is_told.then(|| mode.into()));
    set(table, "max_parallel", collection.max_parallel.map(|most| i64::from(most.get()).into()));
    let is_told = on_failure != "stop" || table.contains_key("on_failure");
    set(table, "on_failure", is_told.then(|| on_failure.into()));
    let budget = collection.failure_budget.map(|budget| match budget {
        Budget::Count(count) => i64::from(count).into(),
        Budget::Percent(_) => budget.to_string().into(),
    });
    set(table, "failure_budget", budget);
    set_members(table, &collection.members);
    Ok(document.to_string())
}

/// Takes a collection away; `None` if it is not there.
pub fn remove_collection(text: &str, name: &ServiceName) -> Result<Option<String>, String> {
    let mut document = read(text)?;
    let collections = document.get_mut("collection").and_then(Item::as_table_like_mut);
    let removed = collections.and_then(|collections| collections.remove(name.as_str()));
    Ok(removed.map(|_| document.to_string()))
}

fn read(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())
}

/// Sets a key, or takes it away; what stands around the value stays.
fn set(table: &mut dyn TableLike, key: &str, new: Option<Value>) {
    match (new, table.get_mut(key).and_then(Item::as_value_mut)) {
        (None, _) => drop(table.remove(key)),
        (Some(mut new), Some(old)) => {
            if !is_same(old, &new) {
                *new.decor_mut() = old.decor().clone();
                *old = new;
            }
        }
        (Some(new), None) => drop(table.insert(key, value(new))),
    }
}

/// Whether two values mean the same, however they are written.
fn is_same(a: &Value, b: &Value) -> bool {
    (a.as_str().is_some() && a.as_str() == b.as_str()) || (a.as_integer().is_some() && a.as_integer() == b.as_integer())
}

/// Sets the members. Those that stay keep their comments; a list of several lines stays one.
fn set_members(table: &mut dyn TableLike, members: &[ServiceName]) {
    let Some(old) = table.get_mut("members").and_then(Item::as_array_mut) else {
        let list: Array = members.iter().map(ServiceName::as_str).collect();
        table.insert("members", value(list));
        return;
    };
    let is_same =
        old.len() == members.len() && old.iter().zip(members).all(|(old, new)| old.as_str() == Some(new.as_str()));
    if is_same {
        return;
    }
    let before: Vec<Value> = old.iter().cloned().collect();
    let is_tall = old.trailing().as_str().is_some_and(|text| text.contains('\n'))
        || before
            .iter()
            .any(|value| value.decor().prefix().and_then(|text| text.as_str()).is_some_and(|text| text.contains('\n')));
    old.clear();
    for (place, name) in members.iter().enumerate() {
        let known = before.iter().find(|value| value.as_str() == Some(name.as_str())).cloned();
        let value = known.unwrap_or_else(|| {
            let prefix = if is_tall { "\n    " } else { " " };
            let prefix = if place == 0 && !is_tall { "" } else { prefix };
            Value::from(name.as_str()).decorated(prefix, "")
        });
        old.push_formatted(value);
    }
    if !is_tall {
        // What was first or last stands elsewhere now.
        for (place, value) in old.iter_mut().enumerate() {
            value.decor_mut().set_prefix(if place == 0 { "" } else { " " });
            value.decor_mut().set_suffix("");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn collection(members: &[&str]) -> Collection {
        Collection { members: members.iter().map(|name| name.parse().unwrap()).collect(), ..Collection::default() }
    }

    fn front() -> ServiceName {
        "front".parse().unwrap()
    }

    const BEFORE: &str = "# the shop\n[defaults]\nstop_timeout = \"60s\" # long\n\n# what customers see\n[collection.front]\nmode = 'sequential' # in turn\nkill_timeout = \"5s\"\nmembers = [\"a\", \"b\"] # both\n\n[collection.back]\nmembers = [\n    # the first\n    \"c\",\n    \"d\", # the last\n]\n";

    #[test]
    fn comments_and_other_keys_stay() {
        let parallel = Collection {
            mode: Mode::Parallel,
            max_parallel: NonZeroU32::new(2),
            failure_budget: Some(Budget::Percent(10)),
            on_failure: OnFailure::Continue,
            ..collection(&["b", "a", "back"])
        };
        let after = set_collection(BEFORE, &front(), &parallel).unwrap();
        let expected = BEFORE.replace("'sequential'", "\"parallel\"").replace(
            "members = [\"a\", \"b\"] # both\n",
            "members = [\"b\", \"a\", \"back\"] # both\nmax_parallel = 2\non_failure = \"continue\"\nfailure_budget = \"10%\"\n",
        );
        assert_eq!(after, expected);
        assert_eq!(set_collection(&after, &front(), &parallel).unwrap(), after, "nothing is to change");
        let back = set_collection(&after, &front(), &collection(&["a", "b"])).unwrap();
        assert_eq!(
            back,
            BEFORE.replace("'sequential'", "\"sequential\"").replace("# both\n", "# both\non_failure = \"stop\"\n")
        );
    }

    #[test]
    fn a_list_of_lines_stays_one() {
        let after = set_collection(BEFORE, &"back".parse().unwrap(), &collection(&["d", "c", "e"])).unwrap();
        let list = &after[after.find("[collection.back]").unwrap()..];
        assert!(list.contains("# the first\n    \"c\"") && list.contains("\n    \"e\""), "{list}");
    }

    #[test]
    fn one_is_added_and_taken_away() {
        let added = set_collection("# nothing yet\n", &front(), &collection(&["a"])).unwrap();
        assert!(added.contains("[collection.front]\nmembers = [\"a\"]\n"), "{added}");
        let added = set_collection(BEFORE, &"new".parse().unwrap(), &collection(&[])).unwrap();
        assert!(added.starts_with(BEFORE) && added.contains("[collection.new]\nmembers = []\n"), "{added}");
        let removed = remove_collection(BEFORE, &front()).unwrap().unwrap();
        assert!(
            !removed.contains("front") && removed.contains("# the shop") && removed.contains("# the first"),
            "{removed}"
        );
        assert_eq!(remove_collection(BEFORE, &"new".parse().unwrap()), Ok(None));
    }
}
