//! What the grid calls the instances that agents find.

use std::path::Path;

use protocol::name::{MachineName, ServiceName};

/// A name, and what could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The name.
    pub name: ServiceName,
    /// Whether it is the one that the machine's own file gives.
    pub declared: bool,
}

/// Chooses a name for an instance: the declared one, else `BASENAME@MACHINE`; on a collision the parent folder joins
/// it, and where no folder is left a number.
pub fn choose(
    base: &str,
    machine: &MachineName,
    declared: Option<&ServiceName>,
    is_taken: impl Fn(&ServiceName) -> bool,
) -> Choice {
    if let Some(name) = declared.filter(|name| is_free_to_declare(name) && !is_taken(name)) {
        return Choice { name: name.clone(), declared: true };
    }
    let folders: Vec<&str> =
        Path::new(base).iter().filter_map(|part| part.to_str()).filter(|part| *part != "/").collect();
    for count in 1..=folders.len() {
        let joined = folders[folders.len() - count..].join("-");
        if let Some(name) = ServiceName::found(&joined, machine).filter(|name| !is_taken(name)) {
            return Choice { name, declared: false };
        }
    }
    let stem = folders.last().copied().unwrap_or("instance");
    let numbered = (2..).filter_map(|number| {
        let found = ServiceName::found(&format!("{stem}-{number}"), machine);
        found.or_else(|| ServiceName::found(&format!("instance-{number}"), machine))
    });
    let name = numbered.into_iter().find(|name| !is_taken(name)).expect("numbers do not run out");
    Choice { name, declared: false }
}

/// Names of agents are not for instances.
fn is_free_to_declare(name: &ServiceName) -> bool {
    !name.as_str().starts_with("agent@")
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
        ] {
            let declared: Option<ServiceName> = declared.map(|name| name.parse().unwrap());
            let choice = choose(base, &machine, declared.as_ref(), |name| taken.contains(&name.as_str()));
            assert_eq!(choice.name.as_str(), name, "{base}");
            assert_eq!(choice.declared, declared.is_some_and(|declared| declared == choice.name), "{base}");
        }
    }
}
