//! Secrets that hooks name: where they have to be, and what is said where they are not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use protocol::name::MachineName;

use super::{HookPlace, binding::Bindings};
use crate::grid::{
    config::{GridConfig, Hook, HookTarget},
    target::Target,
    view::ServiceView,
};

/// The secrets of a host by name: why each cannot be used, or nothing if it can.
pub type OnHost = BTreeMap<String, Option<String>>;

/// How many machines are named one by one.
const NAMED: usize = 3;

/// Which secrets there are. Hosts of which nothing is known are missing in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// On the manager's host.
    pub here: Option<Arc<OnHost>>,
    /// On machines.
    pub machines: BTreeMap<MachineName, Arc<OnHost>>,
}

impl Secrets {
    /// Why a hook with these secrets cannot run on a machine, or without one on the manager's host; nothing if it can, or
    /// nobody knows.
    pub fn why_not(&self, names: &[String], machine: Option<&MachineName>) -> Option<String> {
        let on_host = match machine {
            Some(machine) => self.machines.get(machine),
            None => self.here.as_ref(),
        }?;
        names.iter().find_map(|name| match on_host.get(name) {
            Some(None) => None,
            Some(Some(why)) => Some(why.clone()),
            None => Some(match machine {
                Some(_) => format!(
                    "there is no secret `{name}` there: write it to `secrets/{name}` in the agent's state directory, \
                     with mode 600"
                ),
                None => format!(
                    "there is no secret `{name}` on the manager's host: write it to `secrets/{name}` in the manager's data \
                     directory, with mode 600"
                ),
            }),
        })
    }
}

/// Where a hook runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// On the manager's host.
    pub here: bool,
    /// On these machines.
    pub machines: BTreeSet<MachineName>,
}

impl Places {
    /// Where a hook of a configuration runs, as the services are.
    pub fn of(hook: &Hook, config: &GridConfig, services: &[ServiceView]) -> Self {
        let is_whole = |target: &HookTarget| match target {
            HookTarget::Grid => true,
            HookTarget::Target(Target::Service(name)) => config.collections.contains_key(name),
            HookTarget::Target(_) => false,
        };
        let mut places = Self { here: hook.targets.iter().any(is_whole), machines: BTreeSet::new() };
        let bindings = Bindings::new(std::slice::from_ref(hook), |_| true);
        for service in services {
            for node in bindings.of_service(hook.event, service) {
                match node.place {
                    HookPlace::Manager => places.here = true,
                    HookPlace::Machine => drop(places.machines.insert(service.machine.clone())),
                }
            }
        }
        places
    }
}

/// What is to be said of the secrets of a hook that are not where it runs: a text for each secret and reason.
pub fn missing(hook: &Hook, config: &GridConfig, services: &[ServiceView], secrets: &Secrets) -> Vec<String> {
    if hook.secrets.is_empty() {
        return Vec::new();
    }
    let places = Places::of(hook, config, services);
    let mut told = Vec::new();
    for name in &hook.secrets {
        let one = std::slice::from_ref(name);
        if let Some(why) = secrets.why_not(one, None).filter(|_| places.here) {
            told.push(format!("`{}` cannot run on the manager's host: {why}", hook.program));
        }
        let mut machines: BTreeMap<String, Vec<&MachineName>> = BTreeMap::new();
        for machine in &places.machines {
            if let Some(why) = secrets.why_not(one, Some(machine)) {
                machines.entry(why).or_default().push(machine);
            }
        }
        let on = |(why, machines): (String, Vec<&MachineName>)| {
            format!("`{}` cannot run on {}: {why}", hook.program, in_words(&machines))
        };
        told.extend(machines.into_iter().map(on));
    }
    told
}

/// Some machines, of which only the first are named.
fn in_words(machines: &[&MachineName]) -> String {
    let named: Vec<&str> = machines.iter().take(NAMED).map(|machine| machine.as_str()).collect();
    match machines.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        1 => format!("{} and 1 other machine", named.join(", ")),
        more => format!("{} and {more} other machines", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grid::config::{Collection, HookFailure};

    fn service(name: &str) -> ServiceView {
        let (base, machine) = name.split_once('@').unwrap();
        let (r#type, base) = if base == "agent" { ("agent", None) } else { ("instance", Some(format!("/srv/{base}"))) };
        let view = serde_json::json!({
            "name": name, "machine": machine, "type": r#type, "state": "active", "last_state": null, "reason": null,
            "last_exit": null, "since": "2026-01-01T00:00:00.000Z", "pid": null, "catalina_base": base, "tags": [],
        });
        serde_json::from_value(view).unwrap()
    }

    fn on_host(secrets: &[(&str, Option<&str>)]) -> Arc<OnHost> {
        let own = |(name, why): &(&str, Option<&str>)| ((*name).to_owned(), why.map(str::to_owned));
        Arc::new(secrets.iter().map(own).collect())
    }

    #[test]
    fn the_table_of_what_is_missing_where() {
        let services: Vec<ServiceView> =
            ["a@web-1", "a@web-2", "a@web-3", "a@web-4", "a@web-5", "a@web-6", "agent@web-1"].map(service).into();
        let none = || on_host(&[]);
        let secrets = Secrets {
            here: Some(on_host(&[("KEY", Some("others can read it"))])),
            machines: [
                ("web-1", on_host(&[("KEY", None)])),
                ("web-2", none()),
                ("web-3", none()),
                ("web-4", none()),
                ("web-5", on_host(&[("KEY", Some("it is empty"))])),
            ]
            .map(|(machine, secrets)| (machine.parse().unwrap(), secrets))
            .into(),
        };
        let front = Collection { members: vec!["a@web-2".parse().unwrap()], ..Collection::default() };
        let config = GridConfig { collections: [("front".parse().unwrap(), front)].into(), ..GridConfig::default() };
        let absent = "there is no secret `KEY` there";
        for (event, targets, names, expected) in [
            ("pre-start", &["a@web-1"][..], &["KEY"][..], &[][..]),
            // Nothing is known of it.
            ("pre-start", &["a@web-6"], &["KEY"], &[]),
            ("pre-start", &["all"], &[], &[]),
            ("pre-start", &["a@web-2"], &["KEY"], &[("on web-2:", absent)]),
            ("pre-start", &["a@web-5"], &["KEY"], &[("on web-5:", "it is empty")]),
            ("pre-start", &["front"], &["KEY"], &[("on the manager's host:", "others can read it")]),
            ("pre-start", &["grid"], &["OTHER"], &[("on the manager's host:", "`OTHER` on the manager's host")]),
            ("post-stop", &["agents"], &["KEY"], &[("on the manager's host:", "others can read it")]),
            ("pre-start", &["all"], &["KEY"], &[("on web-5:", "it is empty"), ("on web-2, web-3, web-4:", absent)]),
            (
                "pre-start",
                &["all", "grid"],
                &["OTHER"],
                &[("on the manager's host:", "OTHER"), ("on web-1, web-2, web-3 and 2 other machines:", "OTHER")],
            ),
        ] {
            let hook = Hook {
                event: event.parse().unwrap(),
                targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
                program: "warm.sh".to_owned(),
                timeout: Duration::from_secs(1),
                on_failure: HookFailure::Abort,
                user: None,
                environment: BTreeMap::new(),
                secrets: names.iter().map(|name| (*name).to_owned()).collect(),
            };
            let told = missing(&hook, &config, &services, &secrets);
            assert_eq!(told.len(), expected.len(), "{event} {targets:?}: {told:#?}");
            for (told, (place, why)) in told.iter().zip(expected) {
                assert!(told.contains("`warm.sh` cannot run") && told.contains(place) && told.contains(why), "{told}");
            }
        }
    }
}
