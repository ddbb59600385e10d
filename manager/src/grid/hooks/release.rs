//! The hooks around what is done with a release, planned ahead: those on the release as a whole, and those on each service.

use protocol::name::ServiceName;

use super::{Around, HookEvent, Phase, ReleaseAction, binding::Bindings};
use crate::grid::{operation::HookNode, view::ServiceView};

/// The hooks of one phase, in the order in which they run.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseHooks {
    /// On the release as a whole, once, on the manager's host: those on the grid, then those on the collections that it
    /// goes to.
    pub whole: Vec<HookNode>,
    /// On each service that it goes to, on its machine.
    pub services: Vec<(ServiceName, Vec<HookNode>)>,
}

/// The hooks before or after something is done with a release that goes to collections and services.
pub fn release_hooks(
    bindings: &Bindings<'_>,
    phase: Phase,
    action: ReleaseAction,
    collections: &[ServiceName],
    services: &[ServiceView],
) -> ReleaseHooks {
    let event = HookEvent { phase, around: Around::Release(action) };
    let of_collections = collections.iter().flat_map(|name| bindings.of_collection(event, name));
    ReleaseHooks {
        whole: bindings.of_grid(event).into_iter().chain(of_collections).collect(),
        services: services.iter().map(|view| (view.name.clone(), bindings.of_service(event, view))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::grid::{
        config::{Hook, HookFailure},
        hooks::HookPlace,
    };

    fn hook(event: &str, targets: &[&str], program: &str) -> Hook {
        Hook {
            event: event.parse().unwrap(),
            targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
            program: program.to_owned(),
            timeout: Duration::from_secs(1),
            on_failure: HookFailure::Abort,
            user: None,
            environment: BTreeMap::new(),
            secrets: Vec::new(),
        }
    }

    #[test]
    fn hooks_on_the_whole_run_once_here_and_those_on_services_there() {
        let view = serde_json::json!({
            "name": "a@web-1", "machine": "web-1", "type": "instance", "state": "active", "last_state": null,
            "reason": null, "last_exit": null, "since": "2026-01-01T00:00:00.000Z", "pid": null,
            "catalina_base": "/srv/a", "tags": [],
        });
        let services: Vec<ServiceView> = vec![serde_json::from_value(view).unwrap()];
        let hooks = [
            hook("pre-deploy", &["front"], "collection"),
            hook("pre-deploy", &["grid"], "grid"),
            hook("pre-deploy", &["a@web-1", "all"], "service"),
            hook("post-deploy", &["grid"], "after"),
            hook("pre-undeploy", &["all"], "other"),
        ];
        let bindings = Bindings::new(&hooks, |_| true);
        let named =
            |nodes: &[HookNode]| nodes.iter().map(|node| (node.program.clone(), node.place)).collect::<Vec<_>>();
        let collections = ["front".parse().unwrap()];
        let before = release_hooks(&bindings, Phase::Pre, ReleaseAction::Deploy, &collections, &services);
        let here = |name: &str| (name.to_owned(), HookPlace::Manager);
        assert_eq!(named(&before.whole), [here("grid"), here("collection")]);
        assert_eq!(named(&before.services[0].1), [("service".to_owned(), HookPlace::Machine)]);
        let after = release_hooks(&bindings, Phase::Post, ReleaseAction::Deploy, &collections, &services);
        assert_eq!((named(&after.whole), named(&after.services[0].1)), (vec![here("after")], vec![]));
        for action in ReleaseAction::ALL {
            let planned = release_hooks(&bindings, Phase::Post, action, &[], &services);
            assert_eq!(planned.whole.len(), usize::from(action == ReleaseAction::Deploy), "{}", action.word());
        }
    }
}
