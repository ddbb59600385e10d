//! API tokens: whose they are, what they are limited to, when they were used, and how they end.

use protocol::{
    link::{FromAgent, Outcome, ToAgent},
    state::State,
};
use serde_json::{Value, json};
use tests::{
    https::Https,
    manager::{PATIENCE, TestManager},
    people,
    raw_agent::{RawAgent, RawLink, report, status},
    wait,
};

fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A machine with the instances `a@NAME` and `b@NAME`.
fn machine(manager: &TestManager, name: &str) -> RawLink {
    let instances = vec![report("/srv/a", State::Stopped), report("/srv/b", State::Stopped)];
    let link = RawAgent::join(manager, name).link_with(manager, instances);
    manager.wait_state(&format!("b@{name}"), "stopped");
    link
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

fn ids(client: &Https, query: &str) -> Vec<String> {
    let page = client.get(&format!("/api/v1/tokens{query}")).json();
    people::items(&page).iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
}

fn listed(manager: &TestManager, id: &str) -> Value {
    let tokens: Vec<Value> = serde_json::from_str(&manager.cli(&["token", "list", "-o", "json"]).out).expect("JSON");
    tokens.into_iter().find(|token| token["id"] == id).expect("the token is listed")
}

#[test]
fn a_limited_token_sees_its_services_and_nothing_else() {
    let manager = TestManager::start();
    let (mut first, mut second) = (machine(&manager, "web-1"), machine(&manager, "web-2"));
    let admin = people::session(&manager, "ada", "admin");
    let (_, token) = people::token(&manager, &admin, json!({"role": "admin", "targets": ["@web-1", "b@web-2"]}));

    let status_of = |query: &str| token.get(&format!("/api/v1/status{query}"));
    let all = status_of("").json();
    assert_eq!(names(&all["services"]), ["a@web-1", "b@web-1", "b@web-2"]);
    assert_eq!(names(&all["machines"]), ["web-1", "web-2"]);
    assert_eq!((&all["machines"][1]["instances"], &all["machines"][1]["facts"]["os"]), (&1.into(), &"".into()));
    for (query, seen) in [
        ("?targets=@web-2", &["b@web-2"][..]),
        ("?targets=all", &["a@web-1", "b@web-1", "b@web-2"]),
        ("?targets=agents", &[]),
        ("?targets=a@web-1", &["a@web-1"]),
    ] {
        assert_eq!(names(&status_of(query).json()["services"]), seen, "{query}");
    }
    // What is there and what is not looks the same from outside.
    for name in ["a@web-2", "a@web-9", "agent@web-1"] {
        assert_eq!(status_of(&format!("?targets={name}")).problem(), problem(403, "not_allowed"), "{name}");
    }

    first.send(&status("/srv/a", State::Active));
    second.send(&status("/srv/a", State::Active));
    second.send(&status("/srv/b", State::Active));
    let about = |event: &Value| event["service"].as_str().map(str::to_owned);
    let journal = wait::until("the last change to be told", PATIENCE, || {
        let told = people::items(&token.get("/api/v1/journal?limit=1000").json());
        told.iter().any(|event| event["service"] == "b@web-2" && event["data"]["state"] == "active").then_some(told)
    });
    for event in &journal {
        let about = about(event);
        assert!(["a@web-1", "b@web-1", "b@web-2"].iter().any(|name| about.as_deref() == Some(name)), "{event}");
    }
}

#[test]
fn a_limited_token_acts_on_its_services_only() {
    let manager = TestManager::start();
    let (mut first, _second) = (machine(&manager, "web-1"), machine(&manager, "web-2"));
    let admin = people::session(&manager, "ada", "admin");
    let (_, token) = people::token(&manager, &admin, json!({"role": "operator", "targets": ["a@web-1"]}));
    let trigger = |targets: &[&str]| {
        let body = json!({"action": "start", "targets": targets});
        token.request("POST", "/api/v1/trigger", Some(&body))
    };
    for targets in [&["a@web-2"][..], &["a@web-1", "b@web-1"], &["nothing@web-1"]] {
        assert_eq!(trigger(targets).problem(), problem(403, "not_allowed"), "{targets:?}");
    }
    let refused = people::events(&manager, "action.refused");
    assert_eq!(
        (&refused[2]["data"]["action"], &refused[2]["data"]["subject"]),
        (&"trigger-start".into(), &"a@web-2".into())
    );
    let results = std::thread::scope(|scope| {
        let running = scope.spawn(|| trigger(&["all"]).json());
        let ToAgent::Order(order) = first.receive() else { panic!("an order should come") };
        first.send(&FromAgent::Outcome { order: order.id, outcome: Outcome::Done { message: "pid 7".to_owned() } });
        running.join().expect("an answer")
    });
    assert_eq!(results["results"].as_array().unwrap().len(), 1, "{results}");
    assert_eq!(results["results"][0]["service"], "a@web-1");
    assert_eq!(people::events(&manager, "trigger")[0]["actor"], "ada");
}

#[test]
fn a_token_is_as_good_as_its_owner_and_goes_with_it() {
    let manager = TestManager::start();
    let alice = people::session(&manager, "alice", "operator");
    let (id, token) = people::token(&manager, &alice, json!({"role": "operator", "description": "the nightly job"}));
    let me = token.get("/api/v1/whoami").json();
    assert_eq!((&me["name"], &me["role"], &me["credential"]), (&"alice".into(), &"operator".into(), &"token".into()));
    assert!(me["expires_at"].is_string() && me["targets"].is_null(), "{me}");
    let shown = listed(&manager, &id);
    assert_eq!((&shown["owner"], &shown["description"]), (&"alice".into(), &"the nightly job".into()));

    assert_eq!(manager.cli(&["users", "role", "alice", "viewer"]).code, 0);
    let trigger = json!({"action": "start", "targets": ["all"]});
    assert_eq!(token.request("POST", "/api/v1/trigger", Some(&trigger)).problem(), problem(403, "not_allowed"));
    assert_eq!(manager.cli(&["users", "role", "alice", "admin"]).code, 0);
    assert_eq!(token.get("/api/v1/whoami").json()["role"], "operator");
    assert_eq!(manager.cli(&["users", "remove", "alice"]).code, 0);
    assert_eq!(token.get("/api/v1/whoami").problem(), problem(401, "unauthorized"));
}

#[test]
fn users_see_and_revoke_their_own_tokens() {
    let manager = TestManager::start();
    let (alice, bob) = (people::session(&manager, "alice", "viewer"), people::session(&manager, "bob", "operator"));
    let (of_alice, token) = people::token(&manager, &alice, json!({"role": "viewer"}));
    let (of_bob, _) = people::token(&manager, &bob, json!({"role": "operator"}));
    manager.token();
    assert_eq!((ids(&alice, ""), ids(&bob, "")), (vec![of_alice.clone()], vec![of_bob.clone()]));
    assert_eq!((ids(&alice, "?type=join").len(), ids(&bob, "?type=api")), (0, vec![of_bob]));
    let revoke = |client: &Https| client.request("DELETE", &format!("/api/v1/tokens/{of_alice}"), None);
    assert_eq!(revoke(&bob).problem(), problem(403, "not_allowed"));
    assert_eq!(token.get("/api/v1/status").status, 200);
    assert_eq!(revoke(&alice).status, 204);
    assert_eq!(token.get("/api/v1/status").status, 401);
}

#[test]
fn the_last_use_of_a_token_is_noted() {
    let manager = TestManager::start();
    let alice = people::session(&manager, "alice", "viewer");
    let (id, token) = people::token(&manager, &alice, json!({"role": "viewer"}));
    assert_eq!(listed(&manager, &id)["last_used_at"], Value::Null);
    assert_eq!(token.get("/api/v1/status").status, 200);
    let used = wait::until("the use to be noted", PATIENCE, || {
        Some(listed(&manager, &id)).filter(|token| token["last_used_at"].is_string())
    });
    assert_eq!(used["last_used_from"], "127.0.0.1");
    assert!(manager.cli(&["token", "list"]).out.contains("ago from 127.0.0.1"));
}

#[test]
fn what_a_token_makes_does_not_outlive_it() {
    let manager = TestManager::start();
    let alice = people::session(&manager, "alice", "admin");
    let (_, token) = people::token(&manager, &alice, json!({"role": "admin", "ttl_seconds": 100}));
    let ends = token.get("/api/v1/whoami").json()["expires_at"].clone();
    let join = json!({"type": "join", "ttl_seconds": 9999, "uses": 1});
    assert_eq!(token.request("POST", "/api/v1/tokens", Some(&join)).json()["expires_at"], ends);
    people::add(&manager, "bob", "viewer");
    for (method, path, body) in [
        ("POST", "/tokens", json!({"type": "api", "ttl_seconds": 60, "role": "viewer"})),
        ("POST", "/users", json!({"name": "eve", "role": "admin"})),
        ("PATCH", "/users/bob", json!({"role": "admin"})),
        ("POST", "/users/admin/password", json!({})),
        ("POST", "/users/alice/password", json!({})),
    ] {
        let reply = token.request(method, &format!("/api/v1{path}"), Some(&body));
        assert_eq!(reply.problem(), problem(403, "not_allowed"), "{method} {path}");
    }
    assert_eq!(token.request("POST", "/api/v1/users/bob/password", Some(&json!({}))).status, 200);
    // Nor does a session that is left open make a new password.
    let own = alice.request("POST", "/api/v1/users/alice/password", Some(&json!({})));
    assert_eq!(own.problem(), problem(403, "not_allowed"));
}

#[test]
fn the_command_line_makes_tokens_with_all_that_they_have() {
    let manager = TestManager::start();
    people::add(&manager, "alice", "operator");
    let options = ["--target", "@web-1", "--target", "a@web-2", "--description", "for CI", "--owner", "alice"];
    let secret = manager.token_with(&[&["--api", "--role", "operator"], &options[..]].concat());
    let me = Https::of(&manager).bearer(&secret).get("/api/v1/whoami").json();
    assert_eq!((&me["name"], &me["targets"]), (&"alice".into(), &json!(["@web-1", "a@web-2"])));
    let table = manager.cli(&["token", "list"]).out;
    assert!(table.contains("operator of @web-1, a@web-2") && table.contains("for CI"), "{table}");
    for (options, code, words) in [
        (&["--target", "a b"][..], 2, "`a b` holds"),
        (&["--owner", "nobody"], 9, "there is no user `nobody`"),
        (&["--description", "two\nlines"], 2, "on one line"),
    ] {
        let ran = manager.cli(&[&["token", "create", "--api", "--role", "viewer"], options].concat());
        assert_eq!(ran.code, code, "{options:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{}", ran.err);
    }
}

#[test]
fn the_list_of_tokens_is_told_in_parts() {
    let manager = TestManager::start();
    let admin = people::session(&manager, "ada", "admin");
    let made: Vec<String> = (0..3).map(|_| people::token(&manager, &admin, json!({"role": "viewer"})).0).collect();
    let (mut told, mut query) = (Vec::new(), "?limit=2".to_owned());
    while !query.is_empty() {
        told.extend(ids(&admin, &query));
        let next = admin.get(&format!("/api/v1/tokens{query}")).json()["next"].clone();
        query = next.as_str().map(|next| format!("?limit=2&cursor={next}")).unwrap_or_default();
    }
    assert_eq!(told.len(), 3);
    assert!(made.iter().all(|id| told.contains(id)));
    for query in ["?cursor=nonsense", "?limit=0", "?type=other"] {
        assert_eq!(admin.get(&format!("/api/v1/tokens{query}")).problem(), problem(400, "invalid"), "{query}");
    }
}
