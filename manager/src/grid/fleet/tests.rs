//! The fleet's life as stories, with what each step tells.

use super::*;
use crate::grid::target::Target;

const T0: Timestamp = Timestamp::EPOCH;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub(super) fn machine(name: &str) -> KnownMachine {
    KnownMachine {
        id: Uuid::from_u128(name.len() as u128),
        name: name.parse().unwrap(),
        joined_at: T0,
        revoked_at: None,
        agent_version: "1".to_owned(),
        facts: MachineFacts::default(),
    }
}

pub(super) fn named(name: &str, state: State, age: i64) -> Named {
    let report = InstanceReport {
        base: format!("/srv/{}", name.split('@').next().unwrap()),
        declared_name: None,
        state,
        reason: None,
        age_ms: u64::try_from(age * 1000).unwrap(),
        pid: None,
        ports: vec![],
        last_exit: None,
        home: None,
        user: None,
        unit: None,
        notes: vec![],
    };
    Named { name: name.parse().unwrap(), note: None, report }
}

/// A fleet of one linked machine, `web-1`, with `a` active and `b` stopped.
pub(super) fn fleet() -> (Fleet, MachineName) {
    let mut fleet = Fleet::default();
    let web: MachineName = "web-1".parse().unwrap();
    fleet.joined(machine("web-1"), T0);
    let instances = vec![named("a@web-1", State::Active, 5), named("b@web-1", State::Stopped, 50)];
    fleet.connected(&web, 1, "1", MachineFacts::default(), instances, at(100));
    (fleet, web)
}

/// What a step told, in short.
pub(super) fn told(changes: &[Change]) -> Vec<String> {
    changes
        .iter()
        .map(|change| match change {
            Change::Service(view) => format!("{} {}", view.name, view.state),
            Change::ServiceGone(name, _) => format!("{name} gone"),
            Change::Machine(view) => format!("{} {}", view.name, if view.connected { "linked" } else { "away" }),
        })
        .collect()
}

fn states(fleet: &Fleet) -> Vec<String> {
    fleet.services(&[Target::All]).unwrap().iter().map(|view| format!("{} {}", view.name, view.state)).collect()
}

#[test]
fn a_hello_tells_everything() {
    let mut fleet = Fleet::default();
    fleet.joined(machine("web-1"), T0);
    let web = "web-1".parse().unwrap();
    let changes =
        fleet.connected(&web, 1, "1", MachineFacts::default(), vec![named("a@web-1", State::Active, 5)], at(100));
    assert_eq!(told(&changes), ["web-1 linked", "agent@web-1 active", "a@web-1 active"]);
    assert_eq!(fleet.services(&[Target::All]).unwrap()[0].since, at(95));
}

#[test]
fn a_status_is_told_once() {
    let (mut fleet, web) = fleet();
    let changes = fleet.status(&web, 1, named("a@web-1", State::Stopping, 0), at(110));
    assert_eq!(told(&changes), ["a@web-1 stopping"]);
    assert_eq!(fleet.status(&web, 1, named("a@web-1", State::Stopping, 3), at(113)), []);
}

#[test]
fn a_lost_agent_leaves_the_last_known_states() {
    let (mut fleet, web) = fleet();
    let changes = fleet.lost(&web, 1, "silence", at(120));
    assert_eq!(
        told(&changes),
        ["web-1 away", "agent@web-1 not_available", "a@web-1 not_available", "b@web-1 not_available"]
    );
    let view = &fleet.services(&[Target::All]).unwrap()[0];
    assert_eq!((view.last_state, view.since, view.pid), (Some(State::Active), at(120), None));
    assert!(view.reason.as_deref().unwrap().contains("silence"));
}

#[test]
fn a_goodbye_stops_the_agent_and_not_its_instances() {
    let (mut fleet, web) = fleet();
    let changes = fleet.goodbye(&web, 1, "told to end", at(120));
    assert_eq!(told(&changes)[1..], ["agent@web-1 stopped", "a@web-1 not_available", "b@web-1 not_available"]);
}

#[test]
fn the_end_of_a_replaced_connection_changes_nothing() {
    let (mut fleet, web) = fleet();
    fleet.connected(&web, 2, "1", MachineFacts::default(), vec![named("a@web-1", State::Active, 6)], at(101));
    assert_eq!(fleet.lost(&web, 1, "late", at(102)), []);
    assert_eq!(fleet.status(&web, 1, named("a@web-1", State::Stopped, 0), at(102)), []);
    assert_eq!(states(&fleet), ["a@web-1 active"]);
}

#[test]
fn an_agent_that_returns_with_the_same_answer_keeps_the_moment() {
    let (mut fleet, web) = fleet();
    fleet.lost(&web, 1, "restart", at(120));
    fleet.connected(&web, 2, "1", MachineFacts::default(), vec![named("a@web-1", State::Active, 31)], at(125));
    let view = &fleet.services(&[Target::All]).unwrap()[0];
    assert_eq!((view.state, view.since), (State::Active, at(95)));
}

#[test]
fn another_process_in_the_same_state_is_another_moment() {
    let (mut fleet, web) = fleet();
    let mut other = named("a@web-1", State::Active, 4);
    other.report.pid = Some(7);
    fleet.status(&web, 1, other, at(100));
    assert_eq!(fleet.services(&[Target::All]).unwrap()[0].since, at(96));
}

#[test]
fn what_a_hello_leaves_out_is_gone() {
    let (mut fleet, web) = fleet();
    let changes =
        fleet.connected(&web, 2, "1", MachineFacts::default(), vec![named("a@web-1", State::Active, 6)], at(101));
    assert!(told(&changes).contains(&"b@web-1 gone".to_owned()));
    assert!(fleet.services(&["b@web-1".parse().unwrap()]).is_err());
}

#[test]
fn a_new_name_replaces_the_old_one() {
    let (mut fleet, web) = fleet();
    let renamed = Named { name: "shop".parse().unwrap(), ..named("a@web-1", State::Active, 20) };
    let changes = fleet.status(&web, 1, renamed, at(115));
    assert_eq!(told(&changes), ["a@web-1 gone", "shop active"]);
    assert_eq!(states(&fleet), ["b@web-1 stopped", "shop active"]);
}

#[test]
fn a_removed_machine_takes_its_services_along() {
    let (mut fleet, web) = fleet();
    assert_eq!(told(&fleet.removed(&web)), ["a@web-1 gone", "b@web-1 gone", "agent@web-1 gone"]);
    assert_eq!(states(&fleet), Vec::<String>::new());
}

#[test]
fn after_the_manager_s_start_the_last_known_states_are_shown() {
    let mut fleet = Fleet::default();
    let remembered = Remembered { named: named("a@web-1", State::Active, 0), at: at(20), since: at(7) };
    fleet.restore(machine("web-1"), None, vec![remembered], at(100));
    let view = &fleet.services(&[Target::All]).unwrap()[0];
    assert_eq!((view.state, view.last_state, view.since), (State::NotAvailable, Some(State::Active), at(20)));
}

#[test]
fn after_the_manager_s_start_the_link_is_what_it_was() {
    let why = || "told to end".to_owned();
    for (last, state, heard) in [
        (None, State::NotAvailable, None),
        (Some(LastLink::Linked { heard: at(9) }), State::NotAvailable, Some(at(9))),
        (Some(LastLink::Lost { why: why(), since: at(8) }), State::NotAvailable, Some(at(8))),
        (Some(LastLink::Ended { why: why(), since: at(7) }), State::Stopped, Some(at(7))),
    ] {
        let is_awaited = matches!(last, None | Some(LastLink::Linked { .. }));
        let mut fleet = Fleet::default();
        fleet.restore(machine("web-1"), last.clone(), vec![], at(100));
        let agent = &fleet.services(&[Target::Agents]).unwrap()[0];
        assert_eq!((agent.state, agent.since), (state, heard.unwrap_or(at(100))), "{last:?}");
        assert_eq!(fleet.machines()[0].last_heard, heard, "{last:?}");
        // Only who is still waited for is missed.
        let missed: &[&str] = if is_awaited { &["web-1 away", "agent@web-1 not_available"] } else { &[] };
        assert_eq!(told(&fleet.stop_waiting()), missed, "{last:?}");
        assert_eq!(fleet.stop_waiting(), [], "{last:?}");
    }
}

#[test]
fn an_exit_is_counted_from_the_report_that_told_of_it() {
    let mut known = named("a@web-1", State::Stopped, 0);
    let exit = serde_json::json!({"age_ms": 5000, "wanted": false, "how": "it crashed"});
    known.report.last_exit = Some(serde_json::from_value(exit).unwrap());
    let mut fleet = Fleet::default();
    fleet.restore(machine("web-1"), None, vec![Remembered { named: known, at: at(25), since: at(20) }], at(100));
    let view = &fleet.services(&[Target::All]).unwrap()[0];
    assert_eq!(view.last_exit.as_ref().unwrap().at, at(20));
}

#[test]
fn a_name_that_has_gone_to_another_machine_stays_there() {
    let (mut fleet, web) = fleet();
    let shop = |state| Named { name: "shop".parse().unwrap(), ..named("a@web-1", state, 5) };
    fleet.status(&web, 1, shop(State::Active), at(110));
    fleet.joined(machine("web-22"), T0);
    let other: MachineName = "web-22".parse().unwrap();
    fleet.connected(&other, 2, "1", MachineFacts::default(), vec![shop(State::Stopped)], at(111));
    // What the first machine tells arrives late.
    fleet.status(&web, 1, named("a@web-1", State::Active, 6), at(112));
    assert_eq!(fleet.destination(&"shop".parse().unwrap()).unwrap().machine, other);
    assert_eq!(fleet.gone(&web, 1, "/srv/b").len(), 3);
    assert_eq!(states(&fleet), ["a@web-1 active", "shop stopped"]);
}

#[test]
fn targets_are_resolved() {
    let (mut fleet, _) = fleet();
    fleet.joined(machine("db-1"), T0);
    for (targets, names) in [
        (&["all"][..], &["a@web-1", "b@web-1"][..]),
        (&["agents"], &["agent@db-1", "agent@web-1"]),
        (&["@web-1"], &["a@web-1", "b@web-1"]),
        (&["@db-1"], &[]),
        (&["b@web-1", "a@web-1", "all"], &["a@web-1", "b@web-1"]),
        (&["agent@db-1"], &["agent@db-1"]),
        (&[], &["agent@db-1", "agent@web-1", "a@web-1", "b@web-1"]),
    ] {
        let targets: Vec<Target> = targets.iter().map(|target| target.parse().unwrap()).collect();
        let found: Vec<String> = fleet.services(&targets).unwrap().iter().map(|view| view.name.to_string()).collect();
        assert_eq!(found, names, "{targets:?}");
    }
    for missing in ["c@web-1", "@web-9", "#blue", "agent@web-9"] {
        assert!(fleet.services(&[missing.parse().unwrap()]).is_err(), "{missing}");
    }
}

#[test]
fn an_order_goes_where_the_instance_is() {
    let (mut fleet, web) = fleet();
    let destination = fleet.destination(&"a@web-1".parse().unwrap()).unwrap();
    assert_eq!((destination.base.as_str(), destination.state), ("/srv/a", State::Active));
    fleet.lost(&web, 1, "gone", at(120));
    assert_eq!(fleet.destination(&"a@web-1".parse().unwrap()).unwrap().state, State::NotAvailable);
    assert_eq!(fleet.destination(&"agent@web-1".parse().unwrap()), None);
}

#[test]
fn a_fingerprint_tells_whether_both_sides_agree() {
    let (mut fleet, web) = fleet();
    let reports = [named("a@web-1", State::Active, 9).report, named("b@web-1", State::Stopped, 9).report];
    let theirs = digest(reports.iter());
    assert!(fleet.agrees(&web, &theirs));
    fleet.status(&web, 1, named("a@web-1", State::Stopped, 0), at(110));
    assert!(!fleet.agrees(&web, &theirs));
}

#[test]
fn what_targets_cover_is_the_same_with_a_view_and_without() {
    let (mut fleet, web) = fleet();
    let mut tags = crate::grid::tags::MachineTags::default();
    tags.restore(Some("/srv/a"), "blue".parse().unwrap());
    fleet.restore_tags(&web, tags);
    for target in ["all", "agents", "@web-1", "@web-2", "#blue", "#red", "a@web-1", "agent@web-1", "x@web-1"] {
        let target: Target = target.parse().unwrap();
        for view in fleet.services(&[]).unwrap() {
            let covers = fleet.covers(&view.name, std::slice::from_ref(&target));
            assert_eq!(covers, Some(target.covers(&view)), "{target} {}", view.name);
        }
    }
    for absent in ["x@web-1", "agent@web-2"] {
        assert_eq!(fleet.covers(&absent.parse().unwrap(), &[Target::All, Target::Agents]), None, "{absent}");
    }
}
