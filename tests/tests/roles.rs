//! Who may do what: each action, over HTTP, by each role and by a token that is limited to some services.

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    https::Https,
    manager::TestManager,
    people,
    raw_agent::{RawAgent, report},
};

/// An action: the least role that may do it, how it is asked for, and what is answered where it is allowed.
struct Action {
    needs: u8,
    method: &'static str,
    path: &'static str,
    body: Option<Value>,
    done: u16,
    /// Whether it is about services only, so that a limited token may do it too.
    of_services: bool,
}

const VIEWER: u8 = 1;
const OPERATOR: u8 = 2;
const ADMIN: u8 = 3;

fn actions() -> Vec<Action> {
    let action = |needs, method, path, body, done| Action { needs, method, path, body, done, of_services: false };
    let of_services = |action| Action { of_services: true, ..action };
    let api = |role: &str| Some(json!({"type": "api", "ttl_seconds": 60, "role": role}));
    let of_other = Some(json!({"type": "api", "ttl_seconds": 60, "role": "viewer", "owner": "admin"}));
    vec![
        of_services(action(VIEWER, "GET", "/status", None, 200)),
        of_services(action(VIEWER, "GET", "/whoami", None, 200)),
        of_services(action(VIEWER, "GET", "/journal", None, 200)),
        of_services(action(
            OPERATOR,
            "POST",
            "/trigger",
            Some(json!({"action": "start", "targets": ["all"], "dry_run": true})),
            200,
        )),
        action(VIEWER, "GET", "/machines", None, 200),
        action(VIEWER, "GET", "/tags", None, 200),
        action(OPERATOR, "POST", "/tags", Some(json!({"add": ["prod"], "machines": ["web-1"]})), 200),
        action(VIEWER, "GET", "/hooks", None, 200),
        action(VIEWER, "GET", "/hooks/none", None, 404),
        action(ADMIN, "DELETE", "/hooks/none", None, 404),
        action(ADMIN, "GET", "/audit", None, 200),
        action(ADMIN, "GET", "/audit/verify", None, 200),
        action(VIEWER, "GET", "/tokens", None, 200),
        action(VIEWER, "POST", "/tokens", api("viewer"), 201),
        action(OPERATOR, "POST", "/tokens", api("operator"), 201),
        action(ADMIN, "POST", "/tokens", api("admin"), 201),
        action(ADMIN, "POST", "/tokens", of_other, 201),
        action(ADMIN, "POST", "/tokens", Some(json!({"type": "join", "ttl_seconds": 60, "uses": 1})), 201),
        action(ADMIN, "DELETE", "/tokens/0123456789", None, 404),
        action(ADMIN, "GET", "/users", None, 200),
        action(ADMIN, "POST", "/users", Some(json!({"name": "new", "role": "viewer"})), 201),
        action(ADMIN, "PATCH", "/users/new", Some(json!({"role": "operator"})), 200),
        action(ADMIN, "POST", "/users/new/password", Some(json!({})), 200),
        action(ADMIN, "DELETE", "/users/new/sessions", None, 204),
        action(ADMIN, "DELETE", "/users/new", None, 204),
        action(ADMIN, "POST", "/machines/web-1/revoke", None, 204),
        action(ADMIN, "DELETE", "/machines/web-1", None, 204),
    ]
}

/// Tries an action; it must be done exactly if it is allowed.
fn assert_answered(who: &str, client: &Https, action: &Action, allowed: bool) {
    let Action { method, path, body, done, .. } = action;
    let reply = client.request(method, &format!("/api/v1{path}"), body.as_ref());
    if allowed {
        assert_eq!(reply.status, *done, "{who}: {method} {path}: {}", reply.body);
    } else {
        assert_eq!(reply.problem(), (403, "not_allowed".to_owned()), "{who}: {method} {path} {body:?}");
    }
}

fn with_a_machine() -> (TestManager, tests::raw_agent::RawLink) {
    let manager = TestManager::start();
    let link = RawAgent::join(&manager, "web-1").link_with(&manager, vec![report("/srv/a", State::Stopped)]);
    manager.wait_state("a@web-1", "stopped");
    (manager, link)
}

#[test]
fn each_role_may_do_its_part_and_no_more() {
    let (manager, _link) = with_a_machine();
    for (role, level) in [("viewer", VIEWER), ("operator", OPERATOR), ("admin", ADMIN)] {
        let client = people::session(&manager, &format!("the-{role}"), role);
        assert_eq!(client.get("/api/v1/whoami").json()["role"], role);
        for action in actions() {
            assert_answered(role, &client, &action, level >= action.needs);
        }
    }
}

#[test]
fn a_limited_token_does_nothing_but_what_is_about_its_services() {
    let (manager, _link) = with_a_machine();
    let admin = people::session(&manager, "ada", "admin");
    for (role, level) in [("viewer", VIEWER), ("operator", OPERATOR), ("admin", ADMIN)] {
        let (_, client) = people::token(&manager, &admin, json!({"role": role, "targets": ["@web-1"]}));
        assert_eq!(client.get("/api/v1/whoami").json()["targets"], json!(["@web-1"]));
        for action in actions() {
            let allowed = action.of_services && level >= action.needs;
            assert_answered(&format!("a limited {role}"), &client, &action, allowed);
        }
    }
}

#[test]
fn what_is_for_users_in_person_is_not_for_tokens() {
    let manager = TestManager::start();
    let alice = people::session(&manager, "alice", "admin");
    let (_, token) = people::token(&manager, &alice, json!({"role": "admin"}));
    let password = json!({"old": "old password", "new": "new password"});
    for (method, path, body) in [("PUT", "/me/password", Some(password)), ("DELETE", "/me/sessions", None)] {
        let reply = token.request(method, &format!("/api/v1{path}"), body.as_ref());
        assert_eq!(reply.problem(), (403, "not_allowed".to_owned()), "{path}");
    }
}

#[test]
fn what_is_refused_is_on_record_and_many_of_it_are_one() {
    let manager = TestManager::start();
    let viewer = people::session(&manager, "viewer", "viewer");
    for _ in 0..40 {
        assert_eq!(viewer.get("/api/v1/users").status, 403);
    }
    let told = people::events(&manager, "action.refused");
    assert_eq!(told.len(), 30);
    assert_eq!((&told[0]["actor"], &told[0]["data"]["action"]), (&"viewer".into(), &"user-list".into()));
    let seen = people::items(&viewer.get("/api/v1/journal?limit=1000").json());
    assert!(!seen.iter().any(|event| event["kind"] == "action.refused"), "it is for admins");
}
