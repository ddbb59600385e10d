//! What a machine should have: the settings of its instances, and the programs that may run there.

use std::collections::{BTreeMap, BTreeSet};

use protocol::desired::{Desired, InstanceSettings, Program};

use super::{HookEvent, HookPlace, binding::Bindings, program::StoredProgram};
use crate::grid::{
    config::GridConfig,
    operation::limits::{Holders, Origin},
    view::{ServiceType, ServiceView},
};

/// What is to be known of the configuration to say what a machine should have; made once for many machines.
#[derive(Debug)]
pub struct Wishes<'a> {
    config: &'a GridConfig,
    holders: Holders<'a>,
    bindings: Bindings<'a>,
    events: BTreeSet<HookEvent>,
    programs: &'a BTreeMap<String, StoredProgram>,
}

impl<'a> Wishes<'a> {
    /// Looks through a configuration.
    pub fn new(config: &'a GridConfig, programs: &'a BTreeMap<String, StoredProgram>) -> Self {
        Self {
            config,
            holders: Holders::new(config),
            bindings: Bindings::new(&config.hooks, |_| true),
            events: config.hooks.iter().map(|hook| hook.event).collect(),
            programs,
        }
    }

    /// What the machine of these services should have: its instances, and its agent.
    pub fn of(&self, services: &[ServiceView]) -> Desired {
        let mut instances: Vec<InstanceSettings> =
            services.iter().filter_map(|service| self.settings(service)).collect();
        instances.sort_by(|a, b| a.base.cmp(&b.base));
        let needed: BTreeSet<String> = services.iter().flat_map(|service| self.needed_by(service)).collect();
        let program = |name: &String| {
            let stored = self.programs.get(name)?;
            Some(Program { hash: stored.hash.clone(), size: stored.size, name: name.clone() })
        };
        Desired { instances, programs: needed.iter().filter_map(program).collect() }
    }

    /// What is set for an instance; nothing where nothing is.
    fn settings(&self, service: &ServiceView) -> Option<InstanceSettings> {
        let base = service.catalina_base.clone().filter(|_| service.r#type == ServiceType::Instance)?;
        let health = self.config.services.get(&service.name).and_then(|settings| settings.health.clone());
        let start = self.holders.limits(&service.name).of_service(self.config, &service.name).start_timeout;
        let start_timeout_ms = (start.from != Origin::BuiltIn).then(|| super::millis(start.value));
        let is_set = health.is_some() || start_timeout_ms.is_some();
        is_set.then_some(InstanceSettings { base, health, start_timeout_ms })
    }

    fn needed_by(&self, service: &ServiceView) -> Vec<String> {
        let hooks = self.events.iter().flat_map(|event| self.bindings.of_service(*event, service));
        hooks.filter(|hook| hook.place == HookPlace::Machine).map(|hook| hook.program).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::time::Timestamp;

    use super::*;
    use crate::grid::config::{Collection, Hook, HookFailure, Limits, ServiceSettings};

    fn service(name: &str, tags: &[&str]) -> ServiceView {
        let (base, machine) = name.split_once('@').unwrap();
        let (r#type, base) = if base == "agent" { ("agent", None) } else { ("instance", Some(format!("/srv/{base}"))) };
        let view = serde_json::json!({
            "name": name, "machine": machine, "type": r#type, "state": "active", "last_state": null, "reason": null,
            "last_exit": null, "since": "2026-01-01T00:00:00.000Z", "pid": null, "catalina_base": base, "tags": tags,
        });
        serde_json::from_value(view).unwrap()
    }

    fn hook(event: &str, target: &str) -> Hook {
        Hook {
            event: event.parse().unwrap(),
            targets: vec![target.parse().unwrap()],
            program: format!("{event}-{}", target.trim_start_matches(['#', '@'])),
            timeout: Duration::from_secs(1),
            on_failure: HookFailure::Abort,
            user: None,
            environment: BTreeMap::new(),
            secrets: Vec::new(),
        }
    }

    fn stored(name: &str) -> (String, StoredProgram) {
        let program = StoredProgram {
            name: name.to_owned(),
            hash: "0".repeat(64),
            size: 1,
            added_at: Timestamp::EPOCH,
            added_by: String::new(),
        };
        (name.to_owned(), program)
    }

    fn machine() -> Vec<ServiceView> {
        vec![service("a@web-1", &["blue"]), service("b@web-1", &[]), service("agent@web-1", &[])]
    }

    #[test]
    fn the_table_of_programs_that_a_machine_needs() {
        let front = Collection { members: vec!["a@web-1".parse().unwrap()], ..Collection::default() };
        for (event, target, needed) in [
            ("pre-start", "a@web-1", true),
            ("pre-trigger-stop", "@web-1", true),
            ("post-kill", "#blue", true),
            ("post-kill", "#green", false),
            ("pre-deploy", "all", true),
            ("pre-link", "a@web-1", true),
            ("pre-start", "a@web-2", false),
            ("pre-start", "@web-2", false),
            // On the whole of a collection or of the grid: on the manager's host.
            ("pre-start", "front", false),
            ("pre-start", "grid", false),
            ("pre-start", "agents", false),
            ("pre-restart", "agents", true),
            ("pre-stop", "agent@web-1", true),
            ("post-stop", "agent@web-1", false),
        ] {
            let hook = hook(event, target);
            let programs = [stored(&hook.program)].into();
            let collections = [("front".parse().unwrap(), front.clone())].into();
            let config = GridConfig { hooks: vec![hook], collections, ..GridConfig::default() };
            let desired = Wishes::new(&config, &programs).of(&machine());
            assert_eq!(!desired.programs.is_empty(), needed, "{event} on {target}");
        }
    }

    #[test]
    fn a_program_is_named_once_and_only_if_it_is_there() {
        let hooks = vec![hook("pre-start", "all"), hook("pre-start", "all"), hook("pre-stop", "all")];
        let config = GridConfig { hooks, ..GridConfig::default() };
        let programs = [stored("pre-start-all")].into();
        let desired = Wishes::new(&config, &programs).of(&machine());
        assert_eq!(desired.programs.iter().map(|program| program.name.as_str()).collect::<Vec<_>>(), ["pre-start-all"]);
    }

    #[test]
    fn settings_are_those_that_are_set_nearest() {
        let seconds = |seconds| Limits { start_timeout: Some(Duration::from_secs(seconds)), ..Limits::default() };
        let mut config = GridConfig::default();
        let set = |config: &GridConfig| {
            let programs = BTreeMap::new();
            let desired = Wishes::new(config, &programs).of(&machine());
            desired.instances.into_iter().map(|set| (set.base, set.start_timeout_ms)).collect::<Vec<_>>()
        };
        assert_eq!(set(&config), []);
        let members = vec!["a@web-1".parse().unwrap()];
        config
            .collections
            .insert("front".parse().unwrap(), Collection { limits: seconds(2), members, ..Collection::default() });
        assert_eq!(set(&config), [("/srv/a".to_owned(), Some(2000))]);
        config.defaults = seconds(3);
        assert_eq!(set(&config), [("/srv/a".to_owned(), Some(2000)), ("/srv/b".to_owned(), Some(3000))]);
        config.services.insert("b@web-1".parse().unwrap(), ServiceSettings { limits: seconds(1), health: None });
        assert_eq!(set(&config), [("/srv/a".to_owned(), Some(2000)), ("/srv/b".to_owned(), Some(1000))]);
    }
}
