//! The grid's configuration: applied whole or not at all, shown, compared, kept and restored; and its collections.

use std::{fs, io::Write, process::Stdio};

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    https::Https,
    manager::TestManager,
    people,
    programs::Ran,
    raw_agent::{RawAgent, RawLink, report, status},
    watcher::Watcher,
};

const FRONT: &str = "# what customers see\n[collection.front]\nmembers = [\"a@web-1\", \"back\"]\n\n[collection.back]\nmode = \"parallel\"\nmembers = [\"b@web-1\"] # the slow one\n";

/// A manager, and a machine `web-1` with `a` active and `b` stopped.
fn grid() -> (TestManager, RawAgent, RawLink) {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let link = agent.link_with(&manager, vec![report("/srv/a", State::Active), report("/srv/b", State::Stopped)]);
    manager.wait_state("b@web-1", "stopped");
    (manager, agent, link)
}

/// Writes a file and names it to a command.
fn with_file(manager: &TestManager, command: &str, text: &str, options: &[&str]) -> Ran {
    let path = manager.dir().join("grid.toml");
    fs::write(&path, text).unwrap();
    manager.cli(&[&[command, path.to_str().unwrap()], options].concat())
}

#[track_caller]
fn apply(manager: &TestManager, text: &str) -> String {
    let Ran { code, out, err } = with_file(manager, "apply", text, &[]);
    assert_eq!(code, 0, "{err}");
    out
}

#[track_caller]
fn done(manager: &TestManager, arguments: &[&str]) -> String {
    let Ran { code, out, err } = manager.cli(arguments);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    out
}

#[test]
fn what_is_applied_is_shown_first_and_given_back_as_it_was() {
    let (manager, _agent, _link) = grid();
    assert_eq!(done(&manager, &["export"]), "");
    let dry = with_file(&manager, "apply", FRONT, &["--dry-run"]);
    assert!(dry.code == 0 && dry.out.contains("It would be version 1. Nothing was changed."), "{}", dry.out);
    assert_eq!(done(&manager, &["export"]), "");

    let out = apply(&manager, FRONT);
    assert!(out.contains("+[collection.front]\n") && out.ends_with("Version 1 is in force.\n"), "{out}");
    assert_eq!(done(&manager, &["export"]), FRONT);
    let again = with_file(&manager, "apply", FRONT, &["--detailed-exitcode"]);
    assert_eq!((again.code, again.out.as_str()), (14, "Nothing is different.\n"));

    assert_eq!(with_file(&manager, "diff", FRONT, &[]).code, 0);
    let other = format!("[defaults]\nauto_kill = true\n{FRONT}");
    let diff = with_file(&manager, "diff", &other, &[]);
    assert!(diff.code == 10 && diff.out.contains("\n+auto_kill = true\n"), "{} {}", diff.code, diff.out);
    assert_eq!(manager.api("GET", "/config", None).unwrap().json()["version"], 1);
}

#[test]
fn a_configuration_comes_over_standard_input_too() {
    let (manager, _agent, _link) = grid();
    let mut child =
        manager.command(&["apply", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the command");
    child.stdin.take().unwrap().write_all(FRONT.as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(done(&manager, &["export"]), FRONT);
}

#[test]
fn mistakes_are_refused_all_at_once_with_their_places() {
    let (manager, _agent, _link) = grid();
    apply(&manager, FRONT);
    let wrong = "[defaults]\nstop_timout = \"60s\"\n[collection.front]\nmembers = [\"a@web-1\", \"nobody\"]\n[collection.x]\nmembers = [\"y\"]\n[collection.y]\nmembers = [\"x\"]\n[collection.z]\nmembers = [\"a@web-1\", \"front\"]\n";
    let refused = with_file(&manager, "apply", wrong, &[]);
    assert_eq!(refused.code, 2);
    let file = manager.dir().join("grid.toml");
    let line = |rest: &str| refused.err.contains(&format!("{}:{rest}", file.display()));
    assert!(line("2:1: `defaults` has no key `stop_timout`"), "{}", refused.err);
    assert!(line("4:23: there is no service or collection `nobody`"), "{}", refused.err);
    assert!(line("8:12: x→y→x: a collection cannot hold itself"), "{}", refused.err);
    assert!(refused.err.contains("is refused as a whole: nothing was changed"), "{}", refused.err);
    let syntax = with_file(&manager, "apply", "[grid\n", &[]);
    assert!(syntax.code == 2 && syntax.err.contains("grid.toml:1:"), "{}", syntax.err);
    let twice = with_file(&manager, "apply", &FRONT.replace("\"back\"", "\"a@web-1\""), &[]);
    assert!(twice.err.contains("grid.toml:3:23: `a@web-1` is in `front` twice"), "{}", twice.err);
    assert_eq!(manager.cli(&["apply", "/nowhere/grid.toml"]).code, 2);
    assert_eq!(done(&manager, &["export"]), FRONT);
}

#[test]
fn every_version_is_kept_and_can_be_restored() {
    let (mut manager, _agent, _link) = grid();
    apply(&manager, FRONT);
    apply(&manager, "[defaults]\nauto_kill = true\n");
    let history = done(&manager, &["config", "history"]);
    assert!(history.lines().nth(1).unwrap().trim_start().starts_with('2') && history.contains("root"), "{history}");
    assert_eq!(done(&manager, &["config", "show", "1"]), FRONT);
    assert_eq!(manager.cli(&["config", "show", "7"]).code, 9);
    assert_eq!(manager.cli(&["config", "restore", "7"]).code, 9);
    let dry = done(&manager, &["config", "restore", "1", "--dry-run"]);
    assert!(dry.contains("-auto_kill = true") && dry.contains("It would be version 3"), "{dry}");
    assert!(done(&manager, &["config", "restore", "1"]).contains("Version 3 is in force."));
    assert_eq!(done(&manager, &["config", "history", "-o", "name"]), "3\n2\n1\n");

    manager.kill();
    manager.start_again();
    assert_eq!(done(&manager, &["export"]), FRONT);
    assert_eq!(done(&manager, &["status", "front", "-o", "name"]), "a@web-1\nb@web-1\n", "before the agent is back");
    let audit = done(&manager, &["audit", "--action", "config-restore"]);
    assert!(audit.contains("version 1") && audit.contains("version 3: 7 lines added, 2 removed"), "{audit}");
}

#[test]
fn whoever_is_late_changes_nothing() {
    let (manager, _agent, _link) = grid();
    apply(&manager, FRONT);
    let late = with_file(&manager, "apply", "", &["--if-version", "0"]);
    assert!(late.code == 8 && late.err.contains("version 1 of the configuration is in force, not 0"), "{}", late.err);
    assert_eq!(with_file(&manager, "apply", "", &["--if-version", "1"]).code, 0);
}

#[test]
fn only_admins_change_it() {
    let (manager, _agent, _link) = grid();
    apply(&manager, FRONT);
    let collection = json!({"members": ["a@web-1"]});
    for role in ["viewer", "operator"] {
        let user = people::session(&manager, role, role);
        for (method, path, body) in [
            ("POST", "/config", Some(json!({"text": ""}))),
            ("POST", "/config", Some(json!({"text": "", "dry_run": true}))),
            ("POST", "/config/restore", Some(json!({"version": 1}))),
            ("PUT", "/collections/front", Some(collection.clone())),
            ("DELETE", "/collections/front", None),
        ] {
            let refused = user.request(method, &format!("/api/v1{path}"), body.as_ref()).problem();
            assert_eq!(refused, (403, "not_allowed".to_owned()), "{role} {method} {path}");
        }
        for path in ["/config", "/config/history", "/config/history/1", "/collections"] {
            assert_eq!(user.get(&format!("/api/v1{path}")).status, 200, "{role} {path}");
        }
        assert_eq!(user.request("POST", "/api/v1/config/diff", Some(&json!({"text": FRONT}))).json()["changed"], false);
    }
    assert_eq!(done(&manager, &["export"]), FRONT);
}

#[test]
fn a_collection_is_a_target_and_has_one_state() {
    let (manager, _agent, mut link) = grid();
    apply(&manager, FRONT);
    assert_eq!(manager.service("b@web-1").unwrap()["collections"], json!(["back", "front"]));
    let table = done(&manager, &["status", "front"]);
    let row = table.lines().find(|line| line.contains("collection")).expect("a row of the collection").to_owned();
    assert!(row.contains("front") && row.contains("mixed (1 active, 1 stopped)"), "{table}");
    assert!(!done(&manager, &["status"]).contains("mixed"), "nobody named it");
    let all = manager.status();
    let words = |of: &Value| (of["name"].clone(), of["state"].clone(), of["services"].clone());
    assert_eq!(words(&all["collections"][0]), ("back".into(), "stopped".into(), 1.into()));
    assert_eq!(words(&all["collections"][1]), ("front".into(), "mixed".into(), 2.into()));
    assert_eq!(all["collections"][1]["states"], json!({"active": 1, "stopped": 1}));

    link.send(&status("/srv/b", State::Active));
    manager.wait_state("b@web-1", "active");
    assert_eq!(done(&manager, &["status", "front", "--check", "-o", "name"]), "a@web-1\nb@web-1\n");
    let list = done(&manager, &["collections"]);
    assert!(list.contains("front") && list.contains("a@web-1, back") && list.contains("● active"), "{list}");
    assert!(done(&manager, &["collections", "show", "back"]).contains("b@web-1"));
    assert_eq!(manager.cli(&["collections", "show", "bak"]).code, 9);
    let planned = done(&manager, &["trigger-stop", "front", "--dry-run", "-o", "name"]);
    assert_eq!(planned, "a@web-1\nb@web-1\n");
    let miss = manager.cli(&["status", "fron"]);
    assert!(miss.code == 9 && miss.err.contains("did you mean `front`?"), "{}", miss.err);
    let tagged = manager.api("POST", "/tags", Some(&json!({"add": ["x"], "services": ["front"]}))).unwrap();
    assert!(tagged.status == 400 && tagged.body.contains("`front` is a collection"), "{}", tagged.body);
}

#[test]
fn a_member_that_vanished_is_kept_and_missed() {
    let (manager, _agent, mut link) = grid();
    apply(&manager, FRONT);
    link.send(&protocol::link::FromAgent::Gone { base: "/srv/b".to_owned() });
    link.settle();
    let table = done(&manager, &["status", "front"]);
    assert!(table.contains("active (1 missing)"), "{table}");
    assert_eq!(manager.cli(&["status", "front", "--check"]).code, 1);
    let again = with_file(&manager, "apply", &format!("{FRONT}# more\n"), &[]);
    assert!(again.code == 0 && again.err.contains("grid.toml:7:12: warning: there is no service"), "{}", again.err);
}

#[test]
fn who_watches_is_told_of_other_collections_at_once() {
    let (manager, _agent, _link) = grid();
    let watcher = manager.watch();
    apply(&manager, FRONT);
    let told = |service: &str, collections: Value| {
        watcher.wait_for("a service in other collections", |event| {
            event["service"] == service && event["data"]["collections"] == collections
        })
    };
    told("a@web-1", json!(["front"]));
    told("b@web-1", json!(["back", "front"]));
    let applied = watcher.seen().into_iter().find(|seen| seen.event["kind"] == "config.applied").expect("the event");
    assert_eq!(applied.event["data"], json!({"version": 1, "cause": "apply", "added": 7, "removed": 0}));
    watcher.forget();
    apply(&manager, "");
    told("b@web-1", json!([]));
}

#[test]
fn a_collection_is_changed_in_place() {
    let (manager, _agent, _link) = grid();
    apply(&manager, FRONT);
    let body = json!({"mode": "parallel", "max_parallel": 2, "members": ["b@web-1"], "if_version": 1});
    let set = manager.api("PUT", "/collections/back", Some(&body)).unwrap().json();
    assert_eq!((&set["version"], &set["changed"]), (&2.into(), &true.into()), "{set}");
    let text = done(&manager, &["export"]);
    assert!(
        text.starts_with("# what customers see\n") && text.contains("# the slow one\nmax_parallel = 2\n"),
        "{text}"
    );
    let held = manager.api("DELETE", "/collections/back", None).unwrap();
    assert!(held.status == 400 && held.body.contains("there is no service or collection `back`"), "{}", held.body);
    for (name, members, status) in
        [("front", json!(["front"]), 400), ("agent@web-1", json!([]), 400), ("new", json!(["a@web-1"]), 200)]
    {
        let answer = manager.api("PUT", &format!("/collections/{name}"), Some(&json!({"members": members}))).unwrap();
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
    }
    let removed = |query: &str| manager.api("DELETE", &format!("/collections/front{query}"), None).unwrap();
    let version = || manager.api("GET", "/config", None).unwrap().json()["version"].as_u64().unwrap();
    let before = version();
    let planned = removed("?dry_run=true").json();
    assert_eq!((&planned["changed"], &planned["version"]), (&json!(true), &json!(before + 1)));
    assert!(planned["diff"].as_str().unwrap().contains("-[collection.front]"), "{planned}");
    assert_eq!(removed(&format!("?if_version={}", before + 1)).status, 409);
    assert_eq!(removed("?dryrun=true").status, 400, "what is misspelt removes nothing");
    assert_eq!(version(), before, "nothing was changed");
    assert_eq!(removed(&format!("?if_version={before}")).status, 200);
    assert_eq!(manager.api("DELETE", "/collections/front", None).unwrap().status, 404);
    assert_eq!(done(&manager, &["collections", "-o", "name"]), "back\nnew\n");
    assert_eq!(manager.api("GET", "/config/history", None).unwrap().json()["items"][0]["cause"], "collection");
}

#[test]
fn a_token_for_a_collection_sees_and_reaches_what_it_holds_now() {
    let (manager, _agent, mut link) = grid();
    apply(&manager, FRONT);
    let token = manager.token_with(&["--api", "--role", "operator", "--target", "back"]);
    let limited = Https::of(&manager).bearer(&token);
    let names = |path: &str| -> Vec<String> {
        let services = limited.get(path).json()["services"].as_array().expect("services").clone();
        services.iter().map(|service| service["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/api/v1/status"), ["b@web-1"]);
    assert_eq!(names("/api/v1/status?targets=front"), ["b@web-1"]);
    assert_eq!(limited.get("/api/v1/status?targets=a@web-1").problem(), (403, "not_allowed".to_owned()));
    assert_eq!(limited.get("/api/v1/config").problem(), (403, "not_allowed".to_owned()));
    let watcher = Watcher::over_tls(&limited);
    link.send(&status("/srv/a", State::Stopping));
    link.send(&status("/srv/b", State::Starting));
    watcher.wait_for("its own", |event| event["service"] == "b@web-1" && event["data"]["state"] == "starting");
    assert!(watcher.seen().iter().all(|seen| seen.event["service"] != "a@web-1"));

    apply(&manager, &FRONT.replace("[\"b@web-1\"]", "[]"));
    assert_eq!(limited.get("/api/v1/status").json()["services"], json!([]));
    let stop = json!({"action": "stop", "targets": ["b@web-1"]});
    assert_eq!(limited.request("POST", "/api/v1/trigger", Some(&stop)).problem(), (403, "not_allowed".to_owned()));
}

#[test]
fn a_name_is_a_service_s_or_a_collection_s() {
    let (manager, _agent, mut link) = grid();
    apply(&manager, FRONT);
    let mut named = report("/srv/c", State::Active);
    named.declared_name = Some("front".parse().unwrap());
    link.send(&protocol::link::FromAgent::Status { instance: Box::new(named) });
    let notes = manager.wait_state("c@web-1", "active")["notes"].to_string();
    assert!(notes.contains("the name `front` that the machine's file gives is a collection's"), "{notes}");
    let clash = with_file(&manager, "apply", "[collection.\"c@web-1\"]\nmembers = []\n", &[]);
    assert_eq!(clash.code, 2, "{}", clash.err);
}
