//! Explanations, with what is known given by the test.

use protocol::state::State;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::grid::{
    access::Role,
    config::{Collection, Hook, HookFailure, Limits, ServiceSettings},
    operation::{
        StepState,
        plan::plan,
        request::{OperationRequest, Order},
    },
};

/// What is known: a holder of every service, or none; what machines allow; the programs that are ready.
#[derive(Default)]
struct Facts {
    held: bool,
    allow: Vec<String>,
    ready: Option<bool>,
    warnings: Vec<String>,
}

impl Known for Facts {
    fn claim(&self, _: &ServiceName) -> Option<ClaimView> {
        let holder = || ClaimView { operation: Uuid::nil(), command: "restart front".into(), actor: "anna".into() };
        self.held.then(holder)
    }

    fn ready(&self, _: &HookNode, machine: Option<&MachineName>) -> Readiness {
        Readiness { ready: self.ready, why: machine.map(ToString::to_string) }
    }

    fn warnings(&self, _: Command, _: &ServiceNode) -> Vec<String> {
        self.warnings.clone()
    }

    fn allow(&self, _: &MachineName) -> Vec<String> {
        self.allow.clone()
    }
}

fn service(name: &str, state: State) -> ServiceView {
    let r#type = if name.starts_with("agent@") { "agent" } else { "instance" };
    let view = json!({
        "name": name, "machine": "web-1", "type": r#type, "state": state, "last_state": null, "reason": null,
        "last_exit": null, "since": "2026-01-01T00:00:00.000Z", "pid": null, "catalina_base": null,
    });
    serde_json::from_value(view).unwrap()
}

fn explained(line: &str, config: &GridConfig, state: State, facts: &Facts) -> Explanation {
    let (command, targets) = line.split_once(' ').unwrap();
    let targets: Vec<String> = targets.split(' ').map(str::to_owned).collect();
    let command = command.parse().unwrap();
    let request = OperationRequest {
        command,
        targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
        order: Order::default(),
        dry_run: false,
    };
    let services = [service("a@web-1", state), service("agent@web-1", state)];
    let tree = plan(&request, config, &services).unwrap();
    let (needs, role) = (Role::Operator, Some(Role::Viewer));
    let permission = PermissionView { caller: "anna".into(), role, needs, allowed: false, why: Some("no".into()) };
    explain(Question { command, targets, tree: &tree, config, services: &services, permission }, facts)
}

fn front(limits: Limits) -> Collection {
    Collection {
        limits,
        members: ["a@web-1", "lost@web-9"].map(|name| name.parse().unwrap()).to_vec(),
        ..Collection::default()
    }
}

fn config() -> GridConfig {
    let seconds = |count| Some(Duration::from_secs(count));
    let mut config = GridConfig {
        defaults: Limits {
            auto_kill: Some(true),
            restart_delay: Some(Duration::from_millis(1500)),
            ..Limits::default()
        },
        ..GridConfig::default()
    };
    let settings = ServiceSettings {
        limits: Limits { stop_timeout: seconds(30), ..Limits::default() },
        ..ServiceSettings::default()
    };
    config.services.insert("a@web-1".parse().unwrap(), settings);
    let front = front(Limits { stop_timeout: seconds(90), kill_timeout: seconds(5), ..Limits::default() });
    config.collections.insert("front".parse().unwrap(), front);
    for event in ["pre-restart", "pre-trigger-kill"] {
        config.hooks.push(Hook {
            event: event.parse().unwrap(),
            targets: vec!["a@web-1".parse().unwrap(), "front".parse().unwrap()],
            program: "drain.sh".to_owned(),
            timeout: Duration::from_secs(7),
            on_failure: HookFailure::Abort,
            user: None,
            environment: Default::default(),
            secrets: Vec::new(),
        });
    }
    config
}

#[test]
fn limits_are_told_with_where_they_were_set() {
    let told = explained("restart front", &config(), State::Active, &Facts::default());
    let limits: Vec<String> = (told.services[0].limits.iter())
        .map(|limit| format!("{} = {} {}", limit.name, limit.value, limit.from))
        .collect();
    let expected = [
        "stop_timeout = 30s [service.\"a@web-1\"]",
        "auto_kill = true [defaults]",
        "kill_timeout = 5s [collection.front]",
        "restart_delay = 1500ms [defaults]",
        "start_timeout = 180s built in",
    ];
    assert_eq!(limits, expected);
    assert_eq!((told.services[1].would, told.services[1].limits.len()), (StepState::Gone, 0));
}

#[test]
fn the_limits_are_those_of_the_plan() {
    let config = config();
    for line in ["stop front", "stop a@web-1", "stop all"] {
        let told = explained(line, &config, State::Active, &Facts::default());
        let limits = &told.services[0].limits;
        let values: Vec<&str> = limits.iter().map(|limit| limit.value.as_str()).collect();
        assert_eq!(values, ["30s", "true", "5s"], "{line}");
    }
}

#[test]
fn hooks_are_told_with_their_places_and_whether_they_are_ready() {
    let facts = Facts { ready: Some(false), ..Facts::default() };
    let told = explained("restart front", &config(), State::Active, &facts);
    let hooks = &told.services[0].hooks;
    let found: Vec<(String, bool, Option<&str>)> =
        hooks.iter().map(|hook| (hook.event.to_string(), hook.only_if_late, hook.why.as_deref())).collect();
    let expected =
        [("pre-restart".to_owned(), false, Some("web-1")), ("pre-trigger-kill".to_owned(), true, Some("web-1"))];
    assert_eq!(found, expected);
    let group = &told.groups[0];
    assert_eq!((group.services, group.hooks.len(), group.hooks[0].place), (2, 1, HookPlace::Manager));
    assert!(told.services[0].notes.iter().any(|note| note.contains("not ready")), "{:?}", told.services[0].notes);
}

#[test]
fn the_table_of_predictions() {
    use State::{Active, NotAvailable, Stopped, Stopping};
    for (line, state, would, words) in [
        ("start a@web-1", Stopped, StepState::Planned, "is stopped: it would be started"),
        ("start a@web-1", Active, StepState::Ignored, "is active: the start would be ignored"),
        ("stop a@web-1", Stopping, StepState::Ignored, "is stopping: the stop would be ignored"),
        ("restart a@web-1", Active, StepState::Planned, "is active: it would be stopped, then it would be started"),
        (
            "restart a@web-1",
            Stopped,
            StepState::Planned,
            "is stopped: the stop would be ignored, then it would be started",
        ),
        ("kill a@web-1", NotAvailable, StepState::NotAvailable, "the agent of web-1 is not linked"),
        ("restart agent@web-1", Stopped, StepState::NotAvailable, "the agent of web-1 is not linked"),
        ("stop agent@web-1", Stopped, StepState::Ignored, "is stopped: the stop would be ignored"),
        (
            "restart agent@web-1",
            Active,
            StepState::Planned,
            "is active: it would be begun anew, while its Tomcats live on",
        ),
    ] {
        let told = explained(line, &GridConfig::default(), state, &Facts::default());
        let service = &told.services[0];
        assert_eq!((service.would, service.message.as_str()), (would, words), "{line}");
    }
    let down = explained("start agent@web-1", &GridConfig::default(), Stopped, &Facts::default());
    assert!(down.services[0].message.contains("systemctl start"), "{:?}", down.services[0].message);
}

#[test]
fn the_table_of_what_stands_in_the_way() {
    let allow = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (line, held, allowed, would, note) in [
        ("restart a@web-1", true, "", StepState::Conflict, None),
        ("kill a@web-1", true, "", StepState::Planned, Some("superseded")),
        ("restart a@web-1", false, "stop kill hooks", StepState::Refused, None),
        ("stop a@web-1", false, "stop hooks", StepState::Planned, Some("automatic kill")),
        ("restart a@web-1", false, "start stop kill", StepState::Planned, Some("`hooks`")),
        ("restart agent@web-1", false, "start stop", StepState::Refused, None),
        ("restart agent@web-1", false, "agent", StepState::Planned, None),
    ] {
        let allow = if allowed.is_empty() { Vec::new() } else { allow(allowed) };
        let told = explained(line, &config(), State::Active, &Facts { held, allow, ..Facts::default() });
        let service = &told.services[0];
        assert_eq!(service.would, would, "{line}: {}", service.message);
        let is_noted = |note: &str| service.notes.iter().any(|told| told.contains(note));
        assert!(note.map_or(service.notes.is_empty(), is_noted), "{line} {allowed}: {:?}", service.notes);
    }
}
