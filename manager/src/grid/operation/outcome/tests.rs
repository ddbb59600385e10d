//! Roll-ups as tables.

use std::collections::BTreeMap;

use super::*;
use crate::grid::{
    config::{Mode, OnFailure},
    hooks::{HookEvent, HookPlace},
    operation::{
        DelayNode, Group, HookNode, ServiceNode, Signal, SignalNode, WaitFor, WaitNode,
        prune::{left, only},
        view::Counts,
    },
    view::ServiceType,
};

fn state(letter: char) -> StepState {
    match letter {
        '.' => StepState::Planned,
        'r' => StepState::Running,
        'd' => StepState::Done,
        'i' => StepState::Ignored,
        's' => StepState::Skipped,
        'f' => StepState::Failed,
        't' => StepState::TimedOut,
        'v' => StepState::Vetoed,
        'R' => StepState::Refused,
        'n' => StepState::NotAvailable,
        'c' => StepState::Conflict,
        'g' => StepState::Gone,
        'S' => StepState::Superseded,
        'C' => StepState::Cancelled,
        'u' => StepState::Unknown,
        other => panic!("no letter `{other}`"),
    }
}

fn hook(event: &str, on_failure: HookFailure) -> NodeKind {
    NodeKind::Hook(Box::new(HookNode {
        event: event.parse::<HookEvent>().unwrap(),
        program: "x".to_owned(),
        place: HookPlace::Machine,
        timeout_ms: 1,
        on_failure,
        user: None,
        environment: BTreeMap::new(),
        secrets: Vec::new(),
        target: "all".to_owned(),
    }))
}

/// A step by its sign: `pre`, `post`, `stop`, `stopped`, `kill?`, `stopped?`, `delay`, `start`, `active`; hooks with `~`
/// only warn.
fn step(sign: &str) -> NodeKind {
    let if_stop_timed_out = sign.ends_with('?');
    let signal = |signal| NodeKind::Signal(SignalNode { signal, if_stop_timed_out });
    let wait = |until| NodeKind::Wait(WaitNode { until, timeout_ms: 1, if_stop_timed_out });
    match sign.trim_end_matches('?') {
        "pre" => hook("pre-restart", HookFailure::Abort),
        "pre~" => hook("pre-restart", HookFailure::Warn),
        "prekill" => hook("pre-trigger-kill", HookFailure::Abort),
        "post" => hook("post-restart", HookFailure::Abort),
        "post~" => hook("post-restart", HookFailure::Warn),
        "stop" => signal(Signal::Stop),
        "kill" => signal(Signal::Kill),
        "start" => signal(Signal::Start),
        "stopped" => wait(WaitFor::Stopped),
        "active" => wait(WaitFor::Active),
        "delay" => NodeKind::Delay(DelayNode { delay_ms: 1 }),
        other => panic!("no step `{other}`"),
    }
}

#[test]
fn the_table_of_services() {
    const RESTART: &str = "pre stop stopped start active post";
    const KILLING: &str = "stop stopped prekill kill? stopped? start active";
    for (signs, letters, expected) in [
        (RESTART, "......", StepState::Planned),
        (RESTART, "r.....", StepState::Running),
        (RESTART, "dd....", StepState::Running),
        (RESTART, "dddddd", StepState::Done),
        (RESTART, "didddd", StepState::Done),
        (RESTART, "dididd", StepState::Ignored),
        (RESTART, "dsssss", StepState::Ignored),
        (RESTART, "ssssss", StepState::Skipped),
        (RESTART, "fsssss", StepState::Vetoed),
        (RESTART, "tsssss", StepState::Vetoed),
        (RESTART, "usssss", StepState::Vetoed),
        (RESTART, "dRsssd", StepState::Refused),
        (RESTART, "dnsssd", StepState::NotAvailable),
        (RESTART, "dusssd", StepState::Unknown),
        (RESTART, "ddtssd", StepState::TimedOut),
        (RESTART, "ddddtf", StepState::TimedOut),
        (RESTART, "dddddf", StepState::Failed),
        (RESTART, "dddddt", StepState::Failed),
        (RESTART, "ddSsss", StepState::Superseded),
        (RESTART, "Csssss", StepState::Cancelled),
        ("pre~ stop stopped post~", "fddf", StepState::Done),
        ("pre~ stop stopped post~", "uiit", StepState::Ignored),
        ("pre stop stopped", "did", StepState::Ignored),
        (KILLING, "ddsssdd", StepState::Done),
        (KILLING, "dtddddd", StepState::Done),
        (KILLING, "dtr....", StepState::Running),
        (KILLING, "dtfssss", StepState::Vetoed),
        (KILLING, "dtdRsss", StepState::Refused),
        (KILLING, "dtddtss", StepState::TimedOut),
        (KILLING, "dtsssss", StepState::TimedOut),
        (KILLING, "dtddddt", StepState::TimedOut),
    ] {
        let kinds: Vec<NodeKind> = signs.split(' ').map(step).collect();
        let steps: Vec<(&NodeKind, StepState)> = kinds.iter().zip(letters.chars().map(state)).collect();
        assert_eq!(service(&steps), expected, "{signs} {letters}");
    }
}

/// A tree by signs: `(` and `)` are a group, a letter is a service, `^` and `$` before it a `pre-` or `post-` hook of the
/// group, with `~` one that only warns.
fn tree(signs: &str) -> (Tree, Vec<StepState>) {
    let (mut nodes, mut states, mut open) = (Vec::new(), Vec::new(), Vec::<u32>::new());
    for sign in signs.split_whitespace() {
        if sign == ")" {
            open.pop();
            continue;
        }
        let number = nodes.len() as u32;
        let kind = match sign.chars().next().unwrap() {
            '(' => NodeKind::Group(Group {
                collection: None,
                is_grid: false,
                mode: Mode::Sequential,
                max_parallel: None,
                on_failure: OnFailure::Stop,
                failure_budget: None,
            }),
            '^' if sign.contains('~') => step("pre~"),
            '^' => step("pre"),
            '$' if sign.contains('~') => step("post~"),
            '$' => step("post"),
            _ => NodeKind::Service(ServiceNode {
                service: format!("s{number}@web-1").parse().unwrap(),
                machine: "web-1".parse().unwrap(),
                r#type: ServiceType::Instance,
                collection: None,
                impossible: None,
                gone: false,
            }),
        };
        nodes.push(Node { parent: open.last().copied(), kind });
        states.push(if sign == "(" { StepState::Planned } else { state(sign.chars().last().unwrap()) });
        if sign == "(" {
            open.push(number);
        }
    }
    (Tree { nodes }, states)
}

#[test]
fn the_table_of_operations() {
    for (signs, expected, cancelled) in [
        ("( . . )", StepState::Planned, StepState::Cancelled),
        ("( d . )", StepState::Running, StepState::Cancelled),
        ("( d d )", StepState::Done, StepState::Done),
        ("( d i )", StepState::Done, StepState::Done),
        ("( i i )", StepState::Ignored, StepState::Ignored),
        ("( )", StepState::Ignored, StepState::Ignored),
        ("( d f )", StepState::PartlyFailed, StepState::Cancelled),
        ("( i t )", StepState::PartlyFailed, StepState::Cancelled),
        ("( f s s )", StepState::Failed, StepState::Cancelled),
        ("( n n )", StepState::NotAvailable, StepState::Cancelled),
        ("( n s )", StepState::NotAvailable, StepState::Cancelled),
        ("( n R )", StepState::Failed, StepState::Cancelled),
        ("( c )", StepState::Conflict, StepState::Cancelled),
        ("( g )", StepState::Gone, StepState::Cancelled),
        ("( v v )", StepState::Vetoed, StepState::Cancelled),
        ("( t )", StepState::TimedOut, StepState::Cancelled),
        ("( u )", StepState::Unknown, StepState::Cancelled),
        ("( S )", StepState::Superseded, StepState::Cancelled),
        ("( d s )", StepState::PartlyFailed, StepState::Cancelled),
        ("( s s )", StepState::Skipped, StepState::Cancelled),
        ("( d ( d f ) )", StepState::PartlyFailed, StepState::Cancelled),
        ("( ( f ) ( f s ) )", StepState::Failed, StepState::Cancelled),
        // The hooks of a group.
        ("( ^f s s )", StepState::Vetoed, StepState::Cancelled),
        ("( ^~f d d )", StepState::Done, StepState::Done),
        ("( ^d d d $f )", StepState::Failed, StepState::Cancelled),
        ("( ^d d d $~f )", StepState::Done, StepState::Done),
        ("( d f $f )", StepState::PartlyFailed, StepState::Cancelled),
        ("( ( ^f s ) )", StepState::Vetoed, StepState::Cancelled),
        ("( d ( ^f s ) )", StepState::PartlyFailed, StepState::Cancelled),
        ("( d ( d $f ) )", StepState::PartlyFailed, StepState::Cancelled),
        ("( n ( ^f s ) )", StepState::Failed, StepState::Cancelled),
    ] {
        let (tree, states) = tree(signs);
        let standing = Standing::new(&tree, &states);
        assert_eq!((standing.operation(false), standing.operation(true)), (expected, cancelled), "{signs}");
    }
}

#[test]
fn services_are_counted_at_any_depth() {
    let (tree, states) = tree("( ^d d i ( f s ( . r ) $f ) )");
    let standing = Standing::new(&tree, &states);
    let counts = Counts { total: 6, planned: 1, running: 1, done: 1, ignored: 1, failed: 1, skipped: 1 };
    assert_eq!(standing.counts(), counts);
    let inner = standing.tally(4);
    assert_eq!((inner.counts.total, inner.failures), (4, 2), "{inner:?}");
    assert_eq!(
        words(StepState::PartlyFailed, &Counts { planned: 0, running: 0, total: 4, ..counts }),
        "partly failed: of 4 services 1 done, 1 not needed, 1 not done, 1 not begun"
    );
}

#[test]
fn what_is_tried_again_is_what_was_not_done() {
    for (signs, expected) in [
        ("( d i )", None),
        ("( d f s )", Some("( f s )")),
        ("( ^d d ( d $d ) ( ^f s d ) $d )", Some("( ^d ( ^f s ) $d )")),
        ("( d d $f )", None),
    ] {
        let (whole, states) = tree(signs);
        let pruned = only(&whole, &left(&whole, &states));
        let parents = |tree: &Tree| -> Vec<(Option<u32>, bool)> {
            tree.nodes.iter().map(|node| (node.parent, matches!(node.kind, NodeKind::Service(_)))).collect()
        };
        assert_eq!(pruned.as_ref().map(parents), expected.map(|signs| parents(&tree(signs).0)), "{signs}");
    }
}
