//! What collections hold at any depth: cycles, and members met twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use protocol::name::ServiceName;

use super::Collection;

/// The collections, by name.
type Collections = BTreeMap<ServiceName, Collection>;

/// Where a collection comes back to itself: the collection and the place of the member that does, and the way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle<'c> {
    /// The collection whose member closes it.
    pub collection: &'c ServiceName,
    /// Which of its members.
    pub member: usize,
    /// The way round, from a collection back to it.
    pub way: Vec<&'c ServiceName>,
}

/// A member that a collection holds twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twice<'c> {
    /// The collection.
    pub collection: &'c ServiceName,
    /// The member by which it is met the second time.
    pub member: usize,
    /// What is met twice.
    pub what: &'c ServiceName,
    /// By which member it was met first.
    pub first: usize,
}

/// The cycles, each once.
pub fn cycles(collections: &Collections) -> Vec<Cycle<'_>> {
    let mut found = Vec::new();
    let mut done: BTreeSet<&ServiceName> = BTreeSet::new();
    for start in collections.keys() {
        // The way to where we are, and which member comes next there.
        let mut way: Vec<(&ServiceName, usize)> = vec![(start, 0)];
        while let Some((name, next)) = way.last_mut() {
            let collection = *name;
            let member = *next;
            *next += 1;
            let Some(inner) = collections.get(collection).and_then(|known| known.members.get(member)) else {
                done.insert(collection);
                way.pop();
                continue;
            };
            if let Some(from) = way.iter().position(|(name, _)| *name == inner) {
                let way = way[from..].iter().map(|(name, _)| *name).chain([inner]).collect();
                found.push(Cycle { collection, member, way });
            } else if let Some((inner, _)) = collections.get_key_value(inner).filter(|(name, _)| !done.contains(*name))
            {
                way.push((inner, 0));
            }
        }
    }
    found
}

/// A set of small numbers.
#[derive(Debug, Clone, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, number: usize) {
        let word = number / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    fn first_common(&self, other: &Self) -> Option<usize> {
        let mut words = self.0.iter().zip(&other.0).enumerate();
        words.find_map(|(index, (a, b))| {
            let common = a & b;
            (common != 0).then(|| index * 64 + common.trailing_zeros() as usize)
        })
    }

    fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// What collections hold twice, at any depth; told of the innermost collection that does. The members that close
/// `cycles` hold nothing.
pub fn twice<'c>(collections: &'c Collections, cycles: &[Cycle<'c>]) -> Vec<Twice<'c>> {
    let closing: BTreeSet<(&ServiceName, usize)> =
        cycles.iter().map(|cycle| (cycle.collection, cycle.member)).collect();
    let mut numbers: HashMap<&ServiceName, usize> = HashMap::new();
    let mut names = Vec::new();
    for name in collections.values().flat_map(|collection| &collection.members) {
        numbers.entry(name).or_insert_with(|| {
            names.push(name);
            names.len() - 1
        });
    }
    let mut held: HashMap<&ServiceName, Bits> = HashMap::new();
    let mut found = Vec::new();
    for name in inside_out(collections) {
        let mut all = Bits::default();
        let mut by_member: Vec<Bits> = Vec::new();
        for (member, inner) in collections[name].members.iter().enumerate() {
            if closing.contains(&(name, member)) {
                by_member.push(Bits::default());
                continue;
            }
            let mut here = held.get(inner).cloned().unwrap_or_default();
            here.insert(numbers[inner]);
            if let Some(common) = here.first_common(&all) {
                let first = by_member.iter().position(|bits| bits.contains(common)).unwrap_or_default();
                found.push(Twice { collection: name, member, what: names[common], first });
            }
            all.add(&here);
            by_member.push(here);
        }
        held.insert(name, all);
    }
    found
}

/// The collections, those first that others hold. What is in a cycle comes somewhere.
pub fn inside_out(collections: &Collections) -> Vec<&ServiceName> {
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    for start in collections.keys() {
        let mut way = if seen.insert(start) { vec![(start, 0)] } else { Vec::new() };
        while let Some((name, next)) = way.last_mut() {
            let (collection, member) = (*name, *next);
            *next += 1;
            match collections.get(collection).and_then(|known| known.members.get(member)) {
                Some(inner) => {
                    let inner = collections.get_key_value(inner).filter(|(name, _)| seen.insert(*name));
                    way.extend(inner.map(|(name, _)| (name, 0)));
                }
                None => {
                    order.push(collection);
                    way.pop();
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collections(text: &str) -> Collections {
        let read = |part: &str| -> (ServiceName, Collection) {
            let (name, members) = part.split_once(':').unwrap();
            let members = members.split_whitespace().map(|member| member.parse().unwrap()).collect();
            (name.trim().parse().unwrap(), Collection { members, ..Collection::default() })
        };
        text.split(',').filter(|part| !part.is_empty()).map(read).collect()
    }

    #[test]
    fn the_table_of_cycles() {
        for (text, expected) in [
            ("", &[][..]),
            ("a: b x, b: y", &[]),
            ("a: b c, b: d, c: d, d: x", &[]),
            ("a: a", &["a→a"]),
            ("a: x b, b: a", &["a→b→a"]),
            ("z: a, a: b, b: c, c: y a", &["a→b→c→a"]),
            ("a: b c, b: a, c: a", &["a→b→a", "a→c→a"]),
        ] {
            let collections = collections(text);
            let found = cycles(&collections).into_iter().map(|cycle| {
                let way: Vec<&str> = cycle.way.iter().map(|name| name.as_str()).collect();
                assert_eq!(collections[cycle.collection].members[cycle.member].as_str(), *way.last().unwrap());
                way.join("→")
            });
            assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn the_table_of_members_met_twice() {
        for (text, expected) in [
            ("a: x y, b: x", &[][..]),
            ("a: x y x", &["a: x by x and x"]),
            ("a: b x, b: x", &["a: x by b and x"]),
            ("a: x b, b: c, c: x", &["a: x by x and b"]),
            ("a: b c, b: d, c: d, d: x", &["a: d by b and c"]),
            ("z: a, a: b c, b: x, c: x", &["a: x by b and c"]),
            ("a: a x y x", &["a: x by x and x"]),
            ("a: b, b: a c x, c: x", &["b: x by c and x"]),
        ] {
            let collections = collections(text);
            let found = twice(&collections, &cycles(&collections)).into_iter().map(
                |Twice { collection, member, what, first }| {
                    let members = &collections[collection].members;
                    format!("{collection}: {what} by {} and {}", members[first], members[member])
                },
            );
            assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn a_ladder_of_many_collections_takes_no_time() {
        // Without care this takes 2^998 steps.
        let mut text: String = (0..998).map(|n| format!("c{n}: c{} c{},", n + 1, n + 2)).collect();
        text.push_str("c998: x, c999: y");
        let collections = collections(&text);
        assert_eq!(cycles(&collections), []);
        assert!(!twice(&collections, &[]).is_empty());
    }
}
