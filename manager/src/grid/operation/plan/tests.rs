//! Plans, written as a person would read them.

use std::num::NonZeroU32;

use std::time::{Duration, Instant};

use protocol::state::State;
use serde_json::json;

use super::*;
use crate::grid::{
    config::{Hook, HookFailure, HookTarget, Limits, Mode, OnFailure, ServiceSettings},
    hooks::HookPlace,
};

fn instance(name: &str) -> ServiceView {
    let machine = name.split_once('@').unwrap().1;
    let tags = if name.starts_with("blue") { json!(["blue"]) } else { json!([]) };
    let view = json!({
        "name": name, "machine": machine, "type": "instance", "state": "active", "last_state": null, "reason": null,
        "last_exit": null, "since": "2026-01-01T00:00:00.000Z", "pid": null, "catalina_base": null, "tags": tags,
    });
    serde_json::from_value(view).unwrap()
}

fn agent(machine: &str, state: State) -> ServiceView {
    let name = format!("agent@{machine}");
    ServiceView { r#type: ServiceType::Agent, state, ..instance(&name) }
}

fn grid() -> Vec<ServiceView> {
    let mut services = vec![agent("web-1", State::Active), agent("web-2", State::Stopped)];
    services.extend(["a@web-1", "b@web-1", "blue@web-2", "c@web-2"].map(instance));
    services
}

fn names<N: std::str::FromStr<Err: std::fmt::Debug>>(words: &str) -> Vec<N> {
    words.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

fn collection(members: &str) -> Collection {
    Collection { members: names(members), ..Collection::default() }
}

fn hook(event: &str, targets: &str) -> Hook {
    Hook {
        event: event.parse().unwrap(),
        targets: names::<HookTarget>(targets),
        program: format!("{event}.sh"),
        timeout: Duration::from_secs(30),
        on_failure: HookFailure::Abort,
        user: None,
        environment: Default::default(),
        secrets: Vec::new(),
    }
}

fn config(collections: &[(&str, Collection)], hooks: Vec<Hook>) -> GridConfig {
    let collections =
        collections.iter().map(|(name, collection)| (name.parse().unwrap(), collection.clone())).collect();
    GridConfig { collections, hooks, ..GridConfig::default() }
}

fn request(line: &str) -> OperationRequest {
    let (command, targets) = line.split_once(' ').unwrap();
    OperationRequest {
        command: command.parse().unwrap(),
        targets: names(targets),
        order: Order::default(),
        dry_run: false,
    }
}

/// The tree, a line for each node, indented by its depth.
fn lines(tree: &Tree) -> Vec<String> {
    let mut depths: Vec<usize> = Vec::new();
    let mut lines = Vec::new();
    for node in &tree.nodes {
        let depth = node.parent.map_or(0, |parent| depths[parent as usize] + 1);
        depths.push(depth);
        let text = match &node.kind {
            NodeKind::Group(group) if group.is_grid => "grid".to_owned(),
            NodeKind::Group(group) => group.collection.as_ref().map_or("call".to_owned(), ToString::to_string),
            NodeKind::Service(service) if service.gone => format!("{} gone", service.service),
            NodeKind::Service(service) if service.impossible.is_some() => format!("{} impossible", service.service),
            NodeKind::Service(service) => service.service.to_string(),
            NodeKind::Hook(hook) if hook.place == HookPlace::Manager => format!("{} manager", hook.event),
            NodeKind::Hook(hook) => hook.event.to_string(),
            NodeKind::Signal(signal) if signal.if_stop_timed_out => format!("{} if late", signal.signal.word()),
            NodeKind::Signal(signal) => signal.signal.word().to_owned(),
            NodeKind::Wait(wait) => format!("{:?} {} s", wait.until, wait.timeout_ms / 1000).to_lowercase(),
            NodeKind::Delay(delay) => format!("delay {} s", delay.delay_ms / 1000),
        };
        lines.push(format!("{}{text}", " ".repeat(depth)));
    }
    lines
}

fn planned(line: &str, config: &GridConfig) -> Vec<String> {
    lines(&plan(&request(line), config, &grid()).unwrap())
}

/// The groups and services alone.
fn outline(line: &str, config: &GridConfig) -> Vec<String> {
    let mut tree = plan(&request(line), config, &grid()).unwrap();
    let places: Vec<usize> = (0..tree.nodes.len())
        .filter(|at| matches!(tree.nodes[*at].kind, NodeKind::Group(_) | NodeKind::Service(_)))
        .collect();
    let parent = |old: u32| places.iter().position(|at| *at == old as usize).unwrap() as u32;
    tree.nodes = places
        .iter()
        .map(|at| Node { parent: tree.nodes[*at].parent.map(parent), kind: tree.nodes[*at].kind.clone() })
        .collect();
    lines(&tree)
}

#[test]
fn a_restart_with_everything_there() {
    let events = "pre-restart pre-trigger-stop post-trigger-stop pre-trigger-kill post-trigger-kill pre-trigger-start \
                  post-trigger-start post-restart pre-start post-stop";
    let mut config = config(&[], events.split_whitespace().map(|event| hook(event, "@web-1 all")).collect());
    config.defaults = Limits {
        auto_kill: Some(true),
        restart_delay: Some(Duration::from_secs(5)),
        stop_timeout: Some(Duration::from_secs(30)),
        ..Limits::default()
    };
    let expected = [
        "call",
        " a@web-1",
        "  pre-restart",
        "  pre-trigger-stop",
        "  stop",
        "  post-trigger-stop",
        "  stopped 30 s",
        "  pre-trigger-kill",
        "  kill if late",
        "  post-trigger-kill",
        "  stopped 10 s",
        "  delay 5 s",
        "  pre-trigger-start",
        "  start",
        "  post-trigger-start",
        "  active 180 s",
        "  post-restart",
    ];
    assert_eq!(planned("restart a@web-1", &config), expected);
}

#[test]
fn the_table_of_commands() {
    for (line, expected) in [
        ("start a@web-1", "start; active 180 s"),
        ("stop a@web-1", "stop; stopped 60 s"),
        ("kill a@web-1", "kill; stopped 10 s"),
        ("restart a@web-1", "stop; stopped 60 s; start; active 180 s"),
        ("killstart a@web-1", "kill; stopped 10 s; start; active 180 s"),
        ("start agent@web-1", "start; active 180 s"),
        ("stop agent@web-1", "stop; stopped 60 s"),
        ("kill agent@web-1", "kill; stopped 10 s"),
        ("restart agent@web-1", "restart; active 180 s"),
    ] {
        let lines = planned(line, &GridConfig::default());
        let steps: Vec<&str> = lines[2..].iter().map(|line| line.trim()).collect();
        assert_eq!(steps.join("; "), expected, "{line}");
    }
    for line in ["start agent@web-2", "killstart agent@web-1", "killstart agent@web-2"] {
        let tree = plan(&request(line), &GridConfig::default(), &grid()).unwrap();
        let NodeKind::Service(service) = &tree.nodes[1].kind else { panic!("no service") };
        let why = service.impossible.as_deref().unwrap();
        assert!(tree.nodes.len() == 2 && why.contains("systemctl"), "{line}: {why}");
    }
}

#[test]
fn the_table_of_targets() {
    let collections = [
        ("front", collection("a@web-1 back")),
        ("back", collection("blue@web-2 lost@web-9")),
        ("none", collection("")),
        ("wrong", collection("agent@web-1")),
    ];
    let config = config(&collections, vec![hook("pre-restart", "front none"), hook("post-restart", "grid")]);
    for (targets, expected) in [
        ("a@web-1", "call| a@web-1"),
        ("a@web-1 a@web-1", "call| a@web-1"),
        ("front", "front| a@web-1| back|  blue@web-2|  lost@web-9 gone"),
        ("a@web-1 front", "call| a@web-1| front|  back|   blue@web-2|   lost@web-9 gone"),
        ("back front back", "call| back|  blue@web-2|  lost@web-9 gone| front|  a@web-1"),
        ("@web-2", "call| blue@web-2| c@web-2"),
        ("#blue", "call| blue@web-2"),
        ("all", "grid| a@web-1| b@web-1| blue@web-2| c@web-2"),
        ("c@web-2 all", "call| c@web-2| grid|  a@web-1|  b@web-1|  blue@web-2"),
        ("all c@web-2 @web-1", "call| grid|  a@web-1|  b@web-1|  blue@web-2|  c@web-2"),
        ("agents", "call| agent@web-1| agent@web-2"),
        ("@web-1 agent@web-1", "call| a@web-1| b@web-1| agent@web-1"),
        ("none", "none"),
        ("none a@web-1", "call| a@web-1"),
        ("wrong", "wrong| agent@web-1 impossible"),
    ] {
        assert_eq!(outline(&format!("restart {targets}"), &config).join("|"), expected, "{targets}");
    }
}

#[test]
fn what_is_not_there_is_refused_with_a_hint() {
    let config = config(&[("front", collection("a@web-1"))], Vec::new());
    for (target, expected) in [
        ("fron", "there is no service or collection `fron`; did you mean `front`?"),
        ("a", "there is no service or collection `a`; did you mean `a@web-1`?"),
        ("@web", "there is no machine `web`; did you mean `web-1`?"),
        ("#blu", "there is no tag `blu`; did you mean `blue`?"),
    ] {
        let error = plan(&request(&format!("stop {target}")), &config, &grid()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let nothing = OperationRequest { targets: Vec::new(), ..request("stop all") };
    assert_eq!(plan(&nothing, &config, &grid()), Err(PlanError::NoTargets));
}

#[test]
fn groups_have_their_hooks_and_a_collection_is_told_to_its_services() {
    let hooks = vec![
        hook("post-stop", "front"),
        hook("pre-stop", "a@web-1 front grid"),
        hook("pre-stop", "agents @web-1"),
        hook("pre-start", "front"),
    ];
    let config = config(&[("front", collection("a@web-1"))], hooks);
    let mut front =
        vec!["front", " pre-stop manager", " a@web-1", "  pre-stop", "  pre-stop", "  stop", "  stopped 60 s"];
    front.push(" post-stop manager");
    assert_eq!(planned("stop front", &config), front);
    assert_eq!(planned("stop all", &config)[..3], ["grid", " pre-stop manager", " a@web-1"]);
    let tree = plan(&request("stop front"), &config, &grid()).unwrap();
    let NodeKind::Service(service) = &tree.nodes[2].kind else { panic!("no service") };
    assert_eq!(service.collection, Some("front".parse().unwrap()));
    let NodeKind::Hook(second) = &tree.nodes[4].kind else { panic!("no hook") };
    assert_eq!(second.target, "@web-1");
}

#[test]
fn groups_have_their_order_and_their_budget() {
    let back = Collection { failure_budget: Some(Budget::Percent(50)), ..collection("blue@web-2 c@web-2 b@web-1") };
    let front = Collection { mode: Mode::Parallel, on_failure: OnFailure::Continue, ..collection("a@web-1 back") };
    let config = config(&[("front", front), ("back", back)], Vec::new());
    let mut request = request("stop front agents");
    request.order = Order { failure_budget: Some(Budget::Percent(34)), ..Order::default() };
    let tree = plan(&request, &config, &grid()).unwrap();
    let groups: Vec<(Mode, OnFailure, Option<u32>)> = (tree.nodes.iter())
        .filter_map(|node| match &node.kind {
            NodeKind::Group(group) => Some((group.mode, group.on_failure, group.failure_budget)),
            _ => None,
        })
        .collect();
    let expected = [
        (Mode::Sequential, OnFailure::Stop, Some(2)),
        (Mode::Parallel, OnFailure::Continue, None),
        (Mode::Sequential, OnFailure::Stop, Some(1)),
    ];
    assert_eq!(groups, expected);
}

#[test]
fn what_a_call_says_goes_before_the_order_of_a_collection_that_it_names_alone() {
    let back = Collection { failure_budget: Some(Budget::Count(1)), ..collection("c@web-2") };
    let front = Collection {
        mode: Mode::Parallel,
        max_parallel: NonZeroU32::new(2),
        failure_budget: Some(Budget::Count(2)),
        ..collection("a@web-1 b@web-1 back")
    };
    let config = config(&[("front", front), ("back", back)], Vec::new());
    let (go_on, all_at_once) = (Some(OnFailure::Continue), Some(Mode::Parallel));
    for (order, expected) in [
        (Order::default(), (Mode::Parallel, Some(2), OnFailure::Stop, Some(2))),
        (Order { on_failure: go_on, ..Order::default() }, (Mode::Parallel, Some(2), OnFailure::Continue, Some(2))),
        (Order { mode: all_at_once, ..Order::default() }, (Mode::Parallel, None, OnFailure::Stop, Some(2))),
        (
            Order { failure_budget: Some(Budget::Count(0)), ..Order::default() },
            (Mode::Parallel, Some(2), OnFailure::Stop, Some(0)),
        ),
    ] {
        let request = OperationRequest { order, ..request("stop front") };
        let tree = plan(&request, &config, &grid()).unwrap();
        let groups: Vec<_> = (tree.nodes.iter())
            .filter_map(|node| match &node.kind {
                NodeKind::Group(group) => {
                    Some((group.mode, group.max_parallel, group.on_failure, group.failure_budget))
                }
                _ => None,
            })
            .collect();
        assert_eq!(groups, [expected, (Mode::Sequential, None, OnFailure::Stop, Some(1))]);
    }
}

#[test]
fn the_nearest_limit_wins() {
    let seconds = |count| Limits { stop_timeout: Some(Duration::from_secs(count)), ..Limits::default() };
    let front = Collection { limits: seconds(4), ..collection("back b@web-1") };
    let back = Collection { limits: seconds(3), ..collection("a@web-1 c@web-2") };
    let other = Collection { limits: seconds(9), ..collection("a@web-1") };
    let mut config = config(&[("front", front), ("back", back), ("other", other)], Vec::new());
    config.defaults = seconds(5);
    let own = ServiceSettings { limits: seconds(2), ..ServiceSettings::default() };
    config.services.insert("c@web-2".parse().unwrap(), own);
    for (targets, expected) in [
        ("front", [3, 2, 4].as_slice()),
        ("other", &[9]),
        ("a@web-1 b@web-1 c@web-2 blue@web-2", &[3, 4, 2, 5]),
        ("back", &[3, 2]),
    ] {
        let tree = plan(&request(&format!("stop {targets}")), &config, &grid()).unwrap();
        let waits = tree.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Wait(wait) => Some(wait.timeout_ms / 1000),
            _ => None,
        });
        assert_eq!(waits.collect::<Vec<_>>(), expected, "{targets}");
    }
}

#[test]
fn a_thousand_services_are_planned_at_once() {
    let services: Vec<ServiceView> = (0..1000).map(|number| instance(&format!("s{number}@web-1"))).collect();
    let members = |tens: usize| (0..100).map(move |at| format!("s{}@web-1 ", tens * 100 + at));
    let mut collections: Vec<(String, Collection)> =
        (0..10).map(|tens| (format!("c{tens}"), collection(&members(tens).collect::<String>()))).collect();
    collections.push(("top".to_owned(), collection("c0 c1 c2 c3 c4 c5 c6 c7 c8 c9")));
    let collections: Vec<(&str, Collection)> =
        collections.iter().map(|(name, collection)| (name.as_str(), collection.clone())).collect();
    let events = ["pre-restart", "pre-trigger-stop", "post-trigger-start", "post-restart"];
    let config = config(&collections, events.map(|event| hook(event, "all")).to_vec());
    let begun = Instant::now();
    let tree = plan(&request("restart top"), &config, &services).unwrap();
    let took = begun.elapsed();
    assert_eq!((tree.services(), tree.nodes.len()), (1000, 9011));
    // Measured by `script/bench`; this only keeps it from being quadratic.
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_cycle_does_not_hang() {
    let config = config(&[("x", collection("y a@web-1")), ("y", collection("x b@web-1"))], Vec::new());
    assert_eq!(outline("stop x", &config), ["x", " y", "  b@web-1", " a@web-1"]);
    assert_eq!(planned("stop a@web-1", &config).len(), 4);
}
