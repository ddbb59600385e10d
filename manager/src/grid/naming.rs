//! What the grid calls the instances that agents find.

use std::path::Path;

use protocol::{
    limits::MAX_INSTANCES,
    name::{MAX_MACHINE, MAX_SERVICE, MachineName, ServiceName},
};

/// How many names of services are kept for one machine, those of instances that are gone among them.
pub const MAX_NAMES: usize = 4 * MAX_INSTANCES;

/// As only the machine itself has names with its own after `@`, one of so many numbers is free.
const MOST_NUMBERS: usize = MAX_NAMES + 3;

/// How much of a found name may stand before the `@`.
const MAX_FOUND: usize = MAX_SERVICE - MAX_MACHINE - 1;

/// A name, and what could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The name.
    pub name: ServiceName,
    /// Whether it is the one that the machine's own file gives.
    pub declared: bool,
}

/// The names that an instance may have, best first: the declared one, else `BASENAME@MACHINE`; then the parent folders
/// join it, and where no folder is left a number.
pub fn candidates(
    base: &str,
    machine: &MachineName,
    declared: Option<&ServiceName>,
) -> impl Iterator<Item = Choice> + Send + use<> {
    let declared = declared.filter(|name| is_free_to_declare(name, machine)).cloned();
    let folders: Vec<&str> =
        Path::new(base).iter().filter_map(|part| part.to_str()).filter(|part| *part != "/").collect();
    let joined: Vec<String> = (1..=folders.len()).map(|count| folders[folders.len() - count..].join("-")).collect();
    let stem = folders.last().copied().unwrap_or("instance").to_owned();
    let numbered = (2..MOST_NUMBERS).map(move |number| {
        let number = format!("-{number}");
        // The stem gives way, or a long one would push the number out of the name.
        let stem: String = stem.chars().take(MAX_FOUND - number.len()).collect();
        stem + &number
    });
    let machine = machine.clone();
    let found = joined.into_iter().chain(numbered).filter_map(move |name| ServiceName::found(&name, &machine));
    let declared = declared.into_iter().map(|name| Choice { name, declared: true });
    declared.chain(found.map(|name| Choice { name, declared: false }))
}

/// Names of agents are not for instances, and what stands after `@` is a machine: nobody speaks for another one.
fn is_free_to_declare(name: &ServiceName, machine: &MachineName) -> bool {
    match name.as_str().split_once('@') {
        Some((stem, whose)) => stem != "agent" && whose == machine.as_str(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_names() {
        let machine: MachineName = "web-1".parse().unwrap();
        for (base, declared, taken, name) in [
            ("/srv/shop", None, &[][..], "shop@web-1"),
            ("/srv/shop", Some("shop"), &[], "shop"),
            ("/srv/shop", Some("shop"), &["shop"], "shop@web-1"),
            ("/srv/shop", Some("agent@web-1"), &[], "shop@web-1"),
            ("/opt/shop", None, &["shop@web-1"], "opt-shop@web-1"),
            ("/shop", None, &["shop@web-1"], "shop-2@web-1"),
            ("/srv/a b", None, &[], "a-b@web-1"),
            ("/srv/agent", None, &[], "agent-agent@web-1"),
            ("/", None, &[], "instance-2@web-1"),
            ("/srv/shop", Some("front@web-1"), &[], "front@web-1"),
            ("/srv/shop", Some("shop@web-2"), &[], "shop@web-1"),
            ("/srv/shop", Some("shop@web-2@web-1"), &[], "shop@web-1"),
        ] {
            let declared: Option<ServiceName> = declared.map(|name| name.parse().unwrap());
            let mut names = candidates(base, &machine, declared.as_ref());
            let choice = names.find(|choice| !taken.contains(&choice.name.as_str())).unwrap();
            assert_eq!(choice.name.as_str(), name, "{base}");
            assert_eq!(choice.declared, declared.is_some_and(|declared| declared == choice.name), "{base}");
        }
    }

    #[test]
    fn long_names_differ_by_their_numbers() {
        let machine: MachineName = "m".repeat(MAX_MACHINE).parse().unwrap();
        let base = format!("/{}", "x".repeat(200));
        let names: Vec<String> = candidates(&base, &machine, None).map(|choice| choice.name.to_string()).collect();
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        assert!(names.len() > MAX_NAMES && names.iter().all(|name| name.len() <= MAX_SERVICE), "{}", names.len());
        assert!(names[2].contains("x-3@"), "{}", names[2]);
    }
}
