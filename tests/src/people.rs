//! Users of the grid: adding them, logging them in, and their tokens.

use serde_json::{Value, json};

use crate::{
    https::{Https, Reply},
    manager::TestManager,
};

/// Adds a user on the command line; returns the password that was generated.
pub fn add(manager: &TestManager, name: &str, role: &str) -> String {
    let ran = manager.cli(&["users", "add", name, "--role", role]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out.trim().to_owned()
}

/// Tries to log in.
pub fn try_login(manager: &TestManager, name: &str, password: &str) -> Reply {
    let body = json!({"name": name, "password": password});
    Https::of(manager).request("POST", "/api/v1/session", Some(&body))
}

/// Logs in, as a page of the manager does; every request carries the session.
pub fn log_in(manager: &TestManager, name: &str, password: &str) -> Https {
    let reply = try_login(manager, name, password);
    assert_eq!(reply.status, 204, "{reply:?}");
    let cookie = reply.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned();
    Https::of(manager).header("Cookie", &cookie).header("Sec-Fetch-Site", "same-origin")
}

/// Adds a user and logs in.
pub fn session(manager: &TestManager, name: &str, role: &str) -> Https {
    let password = add(manager, name, role);
    log_in(manager, name, &password)
}

/// Makes an API token as somebody; returns its id, and who calls with it.
pub fn token(manager: &TestManager, maker: &Https, wanted: Value) -> (String, Https) {
    let mut body = json!({"type": "api", "ttl_seconds": 600});
    body.as_object_mut().expect("an object").extend(wanted.as_object().expect("an object").clone());
    let made = maker.request("POST", "/api/v1/tokens", Some(&body));
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    (text("id"), Https::of(manager).bearer(&text("secret")))
}

/// The items of a list.
pub fn items(list: &Value) -> Vec<Value> {
    list.get("items").unwrap_or(list).as_array().expect("a list").clone()
}

/// The events of the journal of one kind, newest first.
pub fn events(manager: &TestManager, kind: &str) -> Vec<Value> {
    let journal = manager.api("GET", "/journal?limit=1000", None).expect("an answer").json();
    items(&journal).into_iter().filter(|event| event["kind"] == kind).collect()
}
