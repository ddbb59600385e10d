//! The audit: what is recorded, who may read it, and that whoever changes it is found out.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    http,
    https::Https,
    manager::{PATIENCE, TestManager},
    raw_agent::{RawAgent, RawLink, report},
    sqlite, wait,
};

/// A manager with one machine, `web-1`, and one instance, `a@web-1`.
fn start() -> (TestManager, RawLink) {
    let manager = TestManager::start();
    let link = RawAgent::join(&manager, "web-1").link_with(&manager, vec![report("/srv/a", State::Active)]);
    manager.wait_state("a@web-1", "active");
    (manager, link)
}

/// Adds a tag or takes it off, which is a deed.
fn tag(manager: &TestManager, what: &str, tag: &str) {
    let answer = manager.api("POST", "/tags", Some(&json!({what: [tag], "services": ["a@web-1"]}))).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn audit(manager: &TestManager, query: &str) -> Vec<Value> {
    let answer = manager.api("GET", &format!("/audit?limit=1000&{query}"), None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["items"].as_array().unwrap().clone()
}

fn verify(manager: &TestManager, query: &str) -> Value {
    manager.api("GET", &format!("/audit/verify{query}"), None).unwrap().json()
}

fn database(manager: &TestManager) -> PathBuf {
    manager.data().join("grid.db")
}

fn number(record: &Value) -> u64 {
    record["seq"].as_u64().expect("a number")
}

#[test]
fn who_did_what_from_where_and_what_was_refused_is_on_record() {
    let (manager, _link) = start();
    let https = Https::of(&manager);
    let [viewer, operator] = ["viewer", "operator"].map(|role| {
        let token = manager.token_with(&["--api", "--role", role]);
        https.clone().bearer(&token)
    });
    let name = |https: &Https| https.get("/api/v1/whoami").json()["name"].clone();
    let body = json!({"add": ["prod", "blue"], "services": ["a@web-1"], "machines": ["web-1"]});
    assert_eq!(viewer.request("POST", "/api/v1/tags", Some(&body)).status, 403);
    for _ in 0..2 {
        assert_eq!(operator.request("POST", "/api/v1/tags", Some(&body)).status, 200);
    }
    let records = audit(&manager, "action=tag");
    let fields = |record: &Value| {
        let field = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        ["actor", "credential", "from", "subject", "outcome"].map(field)
    };
    let (viewer, operator) = (name(&viewer), name(&operator));
    let expected = |actor: &Value, outcome: &str| {
        [actor.as_str().unwrap(), "token", "127.0.0.1", "a@web-1, @web-1", outcome].map(str::to_owned)
    };
    let found: Vec<_> = records.iter().map(fields).collect();
    assert_eq!(found, [expected(&operator, "ignored"), expected(&operator, "done"), expected(&viewer, "refused")]);
    assert_eq!(records[1]["detail"], "add blue, prod");
    assert!(records[2]["detail"].as_str().unwrap().contains("needs the role operator"), "{records:?}");
    assert_eq!(audit(&manager, "action=tag&outcome=refused").len(), 1);
    assert_eq!(audit(&manager, "action=tag&subject=@web-1").len(), 3);
    assert_eq!(audit(&manager, "subject=web-1&action=tag").len(), 0, "a part of a name is none");
    let refused = manager.api("GET", "/journal?kind=action.refused", None).unwrap().json()["items"][0].clone();
    assert_eq!((&refused["actor"], &refused["data"]["action"]), (&viewer, &"tag".into()));
}

#[test]
fn the_parts_of_the_list_make_the_whole() {
    let (manager, _link) = start();
    for n in 0..7 {
        tag(&manager, if n % 2 == 0 { "add" } else { "remove" }, "prod");
    }
    let whole = audit(&manager, "action=tag");
    assert_eq!(whole.len(), 7);
    assert!(whole.is_sorted_by(|one, other| number(one) > number(other)), "newest first");
    let (mut parts, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/audit?action=tag&limit=2{cursor}");
        let page = manager.api("GET", &path, None).unwrap().json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        parts.extend(items.iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(parts, whole);
    for query in ["limit=0", "limit=1001", "cursor=x", "since=yesterday", "limit=x"] {
        let answer = manager.api("GET", &format!("/audit?{query}"), None).unwrap();
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"invalid".into()), "{query}");
    }
    let expect = manager.api("GET", "/audit/verify?expect=7", None).unwrap();
    assert_eq!((expect.status, &expect.json()["code"]), (400, &"invalid".into()));
}

#[test]
fn the_command_line_shows_the_record_as_it_happened() {
    let (manager, _link) = start();
    tag(&manager, "add", "prod");
    tag(&manager, "remove", "prod");
    let table = manager.cli(&["audit", "--action", "tag"]);
    assert_eq!(table.code, 0, "{}", table.err);
    let lines: Vec<&str> = table.out.lines().collect();
    assert!(lines[0].trim_start().starts_with("SEQ") && lines.len() == 3, "{}", table.out);
    assert!(lines[1].contains("add prod") && lines[2].contains("remove prod"), "{}", table.out);
    assert!(lines[1].contains("root") && lines[1].contains("socket"), "{}", table.out);
    let json = manager.cli(&["audit", "list", "-o", "json", "--subject", "a@web-1", "--limit", "1", "--since", "1h"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["detail"]), (1, &"remove prod".into()));
    assert_eq!(manager.cli(&["audit", "--until", "2020-01-01T00:00:00Z"]).out, "No records.\n");
    let whole = manager.cli(&["audit", "verify"]);
    assert!(whole.code == 0 && whole.out.contains("the chain is whole"), "{whole:?}");
    let head = manager.cli(&["audit", "verify", "-o", "name"]).out;
    assert!(whole.out.contains(&format!("head: {head}")), "{whole:?}");
    assert_eq!(manager.cli(&["audit", "verify", "--expect", head.trim()]).code, 0);
    for arguments in
        [&["audit", "verify", "--expect", "7"][..], &["audit", "--since", "soon"], &["audit", "--limit", "0"]]
    {
        assert_eq!(manager.cli(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn the_database_itself_refuses_to_change_a_record() {
    let (manager, _link) = start();
    tag(&manager, "add", "prod");
    for statement in ["update audit set actor = 'mallory'", "delete from audit"] {
        let ran = sqlite::execute(&database(&manager), statement);
        assert!(ran.code != 0 && ran.err.contains("append-only"), "{statement}: {}", ran.err);
    }
    assert_eq!(verify(&manager, "")["ok"], true);
}

#[test]
fn whoever_changes_the_record_behind_the_manager_is_found_out() {
    let (manager, _link) = start();
    for n in 0..8 {
        tag(&manager, if n % 2 == 0 { "add" } else { "remove" }, "prod");
    }
    let whole = verify(&manager, "");
    assert_eq!(whole["ok"], true, "{whole}");
    let head = whole["head"].as_str().unwrap();
    sqlite::must(
        &database(&manager),
        "drop trigger audit_is_never_changed; drop trigger audit_is_never_deleted; \
         create table kept as select * from audit",
    );
    let last = whole["records"].as_u64().unwrap();
    let (k, next) = (last - 4, last - 3);
    let shift = format!("update audit set seq = -seq where seq >= {k}; update audit set seq = 1 - seq where seq < 0;");
    for (what, statements, broken_at) in [
        ("changed", format!("update audit set outcome = 'refused' where seq = {k}"), k),
        ("dated back", format!("update audit set at = at - 60000 where seq = {k}"), k),
        ("removed", format!("delete from audit where seq = {k}"), k),
        (
            "removed, and the rest numbered anew",
            format!("delete from audit where seq = {k}; update audit set seq = seq - 1 where seq > {k}"),
            k,
        ),
        (
            "put in",
            format!(
                "{shift} insert into audit select {k}, at, 'mallory', credential, origin, action, subject, outcome, \
                     detail, hash from audit where seq = {k} - 1"
            ),
            k,
        ),
        (
            "moved",
            format!(
                "update audit set seq = -1 where seq = {k}; update audit set seq = {k} where seq = {next}; \
                     update audit set seq = {next} where seq = -1"
            ),
            k,
        ),
    ] {
        sqlite::must(&database(&manager), &statements);
        let found = verify(&manager, "");
        assert_eq!((&found["ok"], &found["broken_at"]), (&false.into(), &broken_at.into()), "{what}: {found}");
        let ran = manager.cli(&["audit", "verify"]);
        assert_eq!(ran.code, 1, "{what}");
        assert!(ran.err.contains(&format!("record {broken_at}")), "{what}: {}", ran.err);
        sqlite::must(&database(&manager), "delete from audit; insert into audit select * from kept");
        assert_eq!(verify(&manager, "")["head"], head, "it is as it was");
    }
    // What is cut from the end only a head can tell that somebody kept.
    sqlite::must(&database(&manager), &format!("delete from audit where seq > {k}"));
    assert_eq!(verify(&manager, "")["ok"], true);
    let ran = manager.cli(&["audit", "verify", "--expect", head, "-o", "json"]);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &found["broken_at"]), (1, &next.into()), "{found}");
    assert!(ran.err.contains("the end was cut off"), "{}", ran.err);
}

#[test]
fn a_manager_that_is_killed_leaves_a_whole_chain() {
    let (mut manager, _link) = start();
    let (socket, answered) = (manager.socket(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (socket, answered) = (&socket, &answered);
            scope.spawn(move || {
                for what in ["add", "remove"].into_iter().cycle() {
                    let body = json!({what: [format!("t{worker}")], "services": ["a@web-1"]});
                    match http::request(socket, "POST", "/api/v1/tags", Some(&body)) {
                        Some(answer) if answer.status == 200 => answered.fetch_add(1, Ordering::SeqCst),
                        _ => return,
                    };
                }
            });
        }
        let enough = || (answered.load(Ordering::SeqCst) >= 60).then_some(());
        wait::until("many deeds", PATIENCE, enough);
        manager.kill();
    });
    manager.start_again();
    let verdict = verify(&manager, "");
    assert_eq!(verdict["ok"], true, "{verdict}");
    let answered = answered.load(Ordering::SeqCst);
    let deeds = audit(&manager, "action=tag&outcome=done").len();
    assert!((answered..=answered + 3).contains(&deeds), "{deeds} deeds, {answered} answers");
    // A deed and its event are on disk together.
    let events = manager.api("GET", "/journal?kind=tags.changed&limit=1000", None).unwrap().json();
    assert_eq!(events["items"].as_array().unwrap().len(), deeds);
}
