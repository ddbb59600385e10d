//! Looking for what happened: filters and parts of the journal, in the API and on the command line.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use protocol::{link::FromAgent, state::State};
use serde_json::{Value, json};
use tests::{
    https::Https,
    manager::{PATIENCE, TestManager},
    raw_agent::{RawAgent, RawLink, report, status},
    sqlite, wait,
};

/// A machine with one instance, `a@NAME`.
fn machine(manager: &TestManager, name: &str) -> RawLink {
    let link = RawAgent::join(manager, name).link_with(manager, vec![report("/srv/a", State::Active)]);
    manager.wait_state(&format!("a@{name}"), "active");
    link
}

/// Every event that fits, part by part, in the order of the answer.
fn journal(get: impl Fn(&str) -> Value, query: &str, limit: usize) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10_000 {
        let page = get(&format!("/journal?limit={limit}&{query}{cursor}"));
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{query}: {page}"));
        assert!(items.len() <= limit);
        events.extend(items.iter().cloned());
        let Some(next) = page["next"].as_str() else { return events };
        cursor = format!("&cursor={next}");
    }
    panic!("the list does not end");
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["id"].as_str().unwrap()).collect()
}

#[test]
fn events_are_found_by_what_they_are() {
    let manager = TestManager::start();
    let (mut one, two) = (machine(&manager, "web-1"), machine(&manager, "web-2"));
    one.send(&status("/srv/a", State::Stopped));
    manager.wait_state("a@web-1", "stopped");
    let tag = json!({"add": ["prod"], "machines": ["web-2"]});
    assert_eq!(manager.api("POST", "/tags", Some(&tag)).unwrap().status, 200);
    let get = |path: &str| manager.api("GET", path, None).unwrap().json();
    // An agent that says nothing more is lost after a while, which would be told while the journal is read.
    for (mut link, instance) in [(one, "a@web-1"), (two, "a@web-2")] {
        link.send(&FromAgent::Goodbye { reason: "it ends".to_owned() });
        // Of what is told of a machine its instances come last.
        wait::until("the last of it to be in the journal", PATIENCE, || {
            let last = get(&format!("/journal?service={instance}&limit=1"))["items"][0]["data"].clone();
            (last["state"] == "not_available").then_some(())
        });
    }
    assert_eq!(manager.trigger("stop", "agent@web-1")["outcome"], "ignored");
    let all = journal(get, "", 1000);
    assert!(all.len() > 12, "{all:#?}");
    type Fits = fn(&Value) -> bool;
    let cases: [(&str, Fits); 8] = [
        ("kind=machine.joined,trigger", |event| event["kind"] == "machine.joined" || event["kind"] == "trigger"),
        ("kind=machine.", |event| event["kind"].as_str().unwrap().starts_with("machine.")),
        ("service=a@web-1", |event| event["service"] == "a@web-1"),
        ("machine=web-2", |event| event["machine"] == "web-2"),
        ("machine=web-1&kind=service.state", |event| event["machine"] == "web-1" && event["kind"] == "service.state"),
        ("actor=root", |event| event["actor"] == "root"),
        ("state=stopped", |event| event["kind"] == "service.state" && event["data"]["state"] == "stopped"),
        ("service=b@web-1", |_| false),
    ];
    for (query, fits) in cases {
        let expected: Vec<Value> = all.iter().filter(|event| fits(event)).cloned().collect();
        assert_eq!(expected.is_empty(), query.contains("b@"), "{query} has something to find");
        for limit in [1, 3, 1000] {
            assert_eq!(journal(get, query, limit), expected, "{query} {limit}");
            let mut up = journal(get, &format!("{query}&since=1-0"), limit);
            up.reverse();
            assert_eq!(up, expected, "{query} {limit}, oldest first");
        }
    }
    let (last, first) = (ids(&all)[1], ids(&all)[4]);
    let between = journal(get, &format!("since={first}&before={last}"), 1);
    assert_eq!(ids(&between), [ids(&all)[3], ids(&all)[2]]);
    for query in
        ["kind=dance", "service=a%20b", "machine=a@b", "state=fine", "limit=0", "limit=1001", "cursor=x", "before=x"]
    {
        let answer = manager.api("GET", &format!("/journal?{query}"), None).unwrap();
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"invalid".into()), "{query}");
    }
}

/// A manager whose journal holds many events that only admins see, between two starts.
fn with_hidden_events(count: usize) -> TestManager {
    let mut manager = TestManager::start();
    manager.stop();
    // A start sets numbers aside that it does not use up.
    sqlite::must(
        &manager.data().join("history.db"),
        &format!(
            "with recursive n (i) as (select 50000 union all select i + 1 from n where i + 1 < 50000 + {count}) \
             insert into event (seq, at, body) select i, 0, json_object('id', '1-' || i, \
             'at', '2026-01-01T00:00:00.000Z', 'kind', 'login.failed', 'service', null, 'machine', null, \
             'actor', 'mallory', 'data', json_object('from', '10.0.0.7')) from n"
        ),
    );
    manager.start_again();
    manager
}

#[test]
fn what_is_not_for_a_caller_is_left_out_and_does_not_hold_the_list_up() {
    let manager = with_hidden_events(25_000);
    let viewer = Https::of(&manager).bearer(&manager.token_with(&["--api", "--role", "viewer"]));
    let short = std::cell::Cell::new(0);
    let get = |path: &str| {
        let page = viewer.get(&format!("/api/v1{path}")).json();
        let is_short = page["items"].as_array().unwrap().is_empty() && page["next"].is_string();
        short.set(short.get() + usize::from(is_short));
        page
    };
    let seen = journal(get, "", 5);
    assert!(short.get() >= 1, "so much is looked at in one call, and no more");
    let kinds: Vec<&str> = seen.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "manager.started").count(), 2, "{kinds:?}");
    for hidden in ["login", "logout", "token.", "user.", "action.refused", "machine.refused"] {
        assert!(!kinds.iter().any(|kind| kind.starts_with(hidden)), "{hidden}: {kinds:?}");
    }
    assert_eq!(journal(get, "kind=login.failed", 1000), Vec::<Value>::new());
    let admin = |path: &str| manager.api("GET", path, None).unwrap().json();
    assert_eq!(journal(admin, "kind=login.failed&actor=mallory", 1000).len(), 25_000);
}

#[test]
fn the_command_line_looks_through_the_journal_part_by_part() {
    let manager = with_hidden_events(2500);
    let _web = machine(&manager, "web-1");
    let lines = |arguments: &[&str]| {
        let ran = manager.cli(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let failed = ["events", "--kind", "login.failed", "-o", "name", "--limit"];
    assert_eq!(lines(&[&failed[..], &["2100"]].concat()).len(), 2100);
    let all = lines(&[&failed[..], &["100000"]].concat());
    assert_eq!((all.len(), all[0].as_str(), all[2499].as_str()), (2500, "1-50000", "1-52499"));
    assert_eq!(lines(&[&failed[..], &["2", "--since", "1-50007"]].concat()), ["1-50008", "1-50009"]);
    let joined = lines(&["events", "--machine", "web-1", "--kind", "machine.joined,trigger"]);
    assert!(joined.len() == 1 && joined[0].contains("machine.joined"), "{joined:?}");
    assert!(lines(&["events", "--service", "a@web-1"]).iter().all(|line| line.contains("a@web-1")));
    assert_eq!(lines(&["events", "--actor", "nobody-knows"]), Vec::<String>::new());
    for arguments in
        [&["events", "--kind", "dance"][..], &["events", "--service", "a b"], &["events", "--machine", "a@b"]]
    {
        let ran = manager.cli(arguments);
        assert!(ran.code == 2 && ran.out.is_empty(), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn only_what_is_looked_for_is_followed() {
    let manager = TestManager::start();
    let mut web = machine(&manager, "web-1");
    let since = manager.status()["seq"].as_str().unwrap().to_owned();
    web.send(&status("/srv/a", State::Stopped));
    manager.wait_state("a@web-1", "stopped");
    manager.trigger("stop", "agent@web-1");
    let mut command = manager.command(&["events", "--follow", "--since", &since, "--kind", "trigger", "-o", "json"]);
    let mut follow = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(follow.stdout.take().unwrap()).read_line(&mut line).unwrap();
    follow.kill().unwrap();
    follow.wait().unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["kind"], &event["service"]), (&"trigger".into(), &"agent@web-1".into()));
}

#[test]
fn machines_come_in_parts() {
    let manager = TestManager::start();
    for name in ["web-2", "web-1", "web-3"] {
        RawAgent::join(&manager, name);
    }
    let page = |query: &str| manager.api("GET", &format!("/machines{query}"), None).unwrap().json();
    let names = |page: &Value| page["items"].as_array().unwrap().iter().map(|m| m["name"].clone()).collect::<Vec<_>>();
    let first = page("?limit=2");
    assert_eq!(names(&first), ["web-1", "web-2"]);
    let second = page(&format!("?limit=2&cursor={}", first["next"].as_str().unwrap()));
    assert_eq!((names(&second), &second["next"]), (vec!["web-3".into()], &Value::Null));
    assert_eq!(manager.cli(&["machines", "-o", "name"]).out, "web-1\nweb-2\nweb-3\n");
    assert_eq!(manager.api("GET", "/machines?limit=0", None).unwrap().status, 400);
}
