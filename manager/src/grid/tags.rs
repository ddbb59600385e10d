//! Tags: words that operators give to machines and services, so that many can be named at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use protocol::name::{MachineName, ServiceName};
use serde::{Deserialize, Serialize};

/// The longest tag, in characters.
const LONGEST: usize = 64;

/// The most tags that one machine or one service has of its own.
pub const MOST_TAGS: usize = 32;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
pub struct Tag(String);

/// A text that is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no tag: one has 1 to {LONGEST} characters, which are ASCII letters, digits, `.`, `_` and `-`, and begins \
     with none of `.` and `-`"
)]
pub struct NoTag(String);

impl Tag {
    /// The tag as text, without `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NoTag;

    fn from_str(text: &str) -> Result<Self, NoTag> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        // Command lines would take what begins with `-` for an option.
        let begins_well = text.chars().next().is_some_and(|first| !matches!(first, '-' | '.'));
        if begins_well && text.len() <= LONGEST && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().filter(|c| !c.is_control()).take(LONGEST + 1).collect();
        Err(NoTag(shown))
    }
}

impl TryFrom<String> for Tag {
    type Error = NoTag;

    fn try_from(text: String) -> Result<Self, NoTag> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is to be done with tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagChange {
    /// Tags to have.
    pub add: BTreeSet<Tag>,
    /// Tags not to have.
    pub remove: BTreeSet<Tag>,
}

impl TagChange {
    /// A change that makes sense.
    pub fn new(add: BTreeSet<Tag>, remove: BTreeSet<Tag>) -> Result<Self, String> {
        if add.is_empty() && remove.is_empty() {
            return Err("name at least one tag to add or to remove".to_owned());
        }
        if add.len() > MOST_TAGS || remove.len() > MOST_TAGS {
            return Err(format!("add or remove at most {MOST_TAGS} tags at once"));
        }
        if let Some(both) = add.intersection(&remove).next() {
            return Err(format!("`{both}` cannot be added and removed at once"));
        }
        Ok(Self { add, remove })
    }

    /// The tags that something has after the change.
    fn applied(&self, tags: &BTreeSet<Tag>) -> BTreeSet<Tag> {
        tags.union(&self.add).filter(|tag| !self.remove.contains(tag)).cloned().collect()
    }
}

impl fmt::Display for TagChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |tags: &BTreeSet<Tag>| tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ");
        match (self.add.is_empty(), self.remove.is_empty()) {
            (_, true) => write!(f, "add {}", list(&self.add)),
            (true, false) => write!(f, "remove {}", list(&self.remove)),
            (false, false) => write!(f, "add {}; remove {}", list(&self.add), list(&self.remove)),
        }
    }
}

/// The tags of a machine and of its services, which are known by their bases. They outlive what the agent tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineTags {
    own: BTreeSet<Tag>,
    services: BTreeMap<String, BTreeSet<Tag>>,
}

impl MachineTags {
    /// Puts up a tag that is stored; of the machine, or of the service with a base.
    pub fn restore(&mut self, base: Option<&str>, tag: Tag) {
        match base {
            None => self.own.insert(tag),
            Some(base) => self.services.entry(base.to_owned()).or_default().insert(tag),
        };
    }

    /// The machine's tags, sorted.
    pub fn of_machine(&self) -> Vec<Tag> {
        self.own.iter().cloned().collect()
    }

    /// The tags of a service and of its machine, sorted.
    pub fn of_service(&self, base: &str) -> Vec<Tag> {
        match self.services.get(base) {
            Some(tags) => self.own.union(tags).cloned().collect(),
            None => self.of_machine(),
        }
    }

    /// Whether a service or its machine has a tag.
    pub fn has(&self, base: &str, tag: &Tag) -> bool {
        self.own.contains(tag) || self.services.get(base).is_some_and(|tags| tags.contains(tag))
    }

    /// What a change would leave to the machine, or to the service with a base: nothing if it changes nothing, and an
    /// error if there would be too many.
    pub fn plan(&self, base: Option<&str>, change: &TagChange) -> Result<Option<BTreeSet<Tag>>, usize> {
        let none = BTreeSet::new();
        let before = match base {
            None => &self.own,
            Some(base) => self.services.get(base).unwrap_or(&none),
        };
        let after = change.applied(before);
        if after.len() > MOST_TAGS {
            return Err(after.len());
        }
        Ok((after != *before).then_some(after))
    }

    /// Changes the tags of the machine, or of the service with a base.
    pub fn change(&mut self, base: Option<&str>, change: &TagChange) {
        match base {
            None => self.own = change.applied(&self.own),
            Some(base) => {
                let after = change.applied(&self.services.remove(base).unwrap_or_default());
                if !after.is_empty() {
                    self.services.insert(base.to_owned(), after);
                }
            }
        }
    }
}

/// What a change of tags is about: what it changes something of, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tagged {
    /// Services, with their machines and bases.
    pub services: Vec<(ServiceName, MachineName, String)>,
    /// Machines.
    pub machines: Vec<MachineName>,
}

/// A tag, and how much has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TagView {
    /// The tag.
    pub tag: Tag,
    /// How many machines have it.
    pub machines: usize,
    /// How many services it names: those that have it, and those whose machine has it.
    pub services: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> BTreeSet<Tag> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_table_of_tags() {
        let (long, too_long) = ("x".repeat(LONGEST), "x".repeat(LONGEST + 1));
        for (text, ok) in [
            ("prod", true),
            ("Prod_1.2-a", true),
            ("all", true),
            ("_", true),
            (long.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("-x", false),
            (".x", false),
            ("a b", false),
            ("a@b", false),
            ("#a", false),
            ("é", false),
        ] {
            assert_eq!(text.parse::<Tag>().is_ok(), ok, "{text:?}");
        }
        assert!(serde_json::from_str::<Tag>("\"a b\"").is_err());
    }

    #[test]
    fn the_table_of_changes() {
        for (before, add, remove, after) in [
            (&["a"][..], &["b"][..], &[][..], Some(&["a", "b"][..])),
            (&["a", "b"], &[], &["a"], Some(&["b"])),
            (&["a"], &["b"], &["a"], Some(&["b"])),
            (&["a"], &["a"], &[], None),
            (&["a"], &[], &["b"], None),
            (&["a"], &[], &["a"], Some(&[])),
        ] {
            let change = TagChange::new(tags(add), tags(remove)).unwrap();
            for base in [None, Some("/srv/a")] {
                let mut machine = MachineTags::default();
                tags(before).into_iter().for_each(|tag| machine.restore(base, tag));
                assert_eq!(machine.plan(base, &change), Ok(after.map(tags)), "{before:?} {change}");
                machine.change(base, &change);
                assert_eq!(machine.plan(base, &change), Ok(None), "once is enough");
                let now: BTreeSet<Tag> = machine.of_service("/srv/a").into_iter().collect();
                assert_eq!(now, tags(after.unwrap_or(before)), "{before:?} {change}");
            }
        }
        for (add, remove) in [(&[][..], &[][..]), (&["a", "b"], &["b"])] {
            assert!(TagChange::new(tags(add), tags(remove)).is_err(), "{add:?} {remove:?}");
        }
    }

    #[test]
    fn a_service_has_the_tags_of_its_machine() {
        let mut machine = MachineTags::default();
        machine.restore(None, "prod".parse().unwrap());
        machine.restore(Some("/srv/a"), "blue".parse().unwrap());
        machine.restore(Some("/srv/a"), "prod".parse().unwrap());
        for (base, expected) in [("/srv/a", &["blue", "prod"][..]), ("/srv/b", &["prod"])] {
            assert_eq!(machine.of_service(base).iter().map(Tag::as_str).collect::<Vec<_>>(), expected);
            for tag in ["blue", "prod"] {
                assert_eq!(machine.has(base, &tag.parse().unwrap()), expected.contains(&tag), "{base} {tag}");
            }
        }
    }

    #[test]
    fn so_many_tags_and_no_more() {
        let mut machine = MachineTags::default();
        let many = |from: usize, to: usize| (from..to).map(|n| format!("t{n}").parse().unwrap()).collect();
        machine.change(None, &TagChange::new(many(0, MOST_TAGS), BTreeSet::new()).unwrap());
        let more = TagChange::new(many(MOST_TAGS, MOST_TAGS + 1), BTreeSet::new()).unwrap();
        assert_eq!(machine.plan(None, &more), Err(MOST_TAGS + 1));
        assert!(machine.plan(Some("/srv/a"), &more).is_ok(), "those of the machine do not count for its services");
        let exchange = TagChange::new(many(MOST_TAGS, MOST_TAGS + 1), many(0, 1)).unwrap();
        assert!(machine.plan(None, &exchange).is_ok());
        assert!(TagChange::new(many(0, MOST_TAGS + 1), BTreeSet::new()).is_err());
    }
}
