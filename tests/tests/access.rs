//! Users of the grid: their passwords and sessions, who may change them, and how often a login may be tried.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{
    https::Https,
    manager::{PASSWORD, PATIENCE, TestManager},
    people, wait,
};

fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn users(manager: &TestManager) -> Vec<Value> {
    let ran = manager.cli(&["users", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn user(manager: &TestManager, name: &str) -> Value {
    users(manager).into_iter().find(|user| user["name"] == name).unwrap_or_default()
}

fn is_good(session: &Https) -> bool {
    match session.get("/api/v1/whoami").status {
        200 => true,
        401 => false,
        status => panic!("the status is {status}"),
    }
}

#[test]
fn a_user_is_added_changed_and_removed_on_the_command_line() {
    let manager = TestManager::start();
    let password = people::add(&manager, "alice", "operator");
    assert_eq!((password.len(), user(&manager, "alice")["last_login_at"].clone()), (24, Value::Null));
    let alice = people::log_in(&manager, "alice", &password);
    let listed = user(&manager, "alice");
    assert_eq!(
        (&listed["role"], &listed["created_by"], &listed["sessions"]),
        (&"operator".into(), &"root".into(), &1.into())
    );
    assert!(listed["last_login_at"].is_string() && listed["password_changed_at"].is_null(), "{listed}");
    let table = manager.cli(&["users"]).out;
    assert!(table.contains("alice") && !table.contains(&password), "{table}");
    assert_eq!(manager.cli(&["users", "list", "-o", "name"]).out, "admin\nalice\n");

    assert_eq!(manager.cli(&["users", "role", "alice", "viewer"]).code, 0);
    assert_eq!(alice.get("/api/v1/whoami").json()["role"], "viewer");
    assert_eq!(manager.cli(&["users", "remove", "alice"]).code, 0);
    assert!(!is_good(&alice));
    let again = manager.cli(&["users", "remove", "alice"]);
    assert_eq!(again.code, 9);
    assert!(again.err.contains("there is no user `alice`"), "{}", again.err);
    for kind in ["user.created", "user.changed", "user.removed"] {
        let told = people::events(&manager, kind);
        assert_eq!((&told[0]["actor"], &told[0]["data"]["user"]), (&"root".into(), &"alice".into()), "{kind}");
        assert!(!told[0].to_string().contains(&password), "{told:?}");
    }
}

#[test]
fn a_password_comes_from_a_file_or_from_standard_input() {
    let manager = TestManager::start();
    let file = manager.data().join("password");
    fs::write(&file, "from a file\nsecond line\n").unwrap();
    let added = manager.cli(&["users", "add", "alice", "--role", "viewer", "--password-file", file.to_str().unwrap()]);
    assert_eq!(
        (added.code, added.out.as_str()),
        (0, "the user alice is added, with the role viewer\n"),
        "{}",
        added.err
    );
    people::log_in(&manager, "alice", "from a file");

    let mut command = manager.command(&["users", "password", "alice", "--password-stdin"]);
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(b"from a pipe\n").unwrap();
    assert!(running.wait().unwrap().success());
    people::log_in(&manager, "alice", "from a pipe");
    let none = manager.cli(&["users", "password", "alice", "--password-file", "/dev/null"]);
    assert_eq!(none.code, 2, "{}", none.err);
}

#[test]
fn names_and_passwords_that_cannot_be_are_refused() {
    let manager = TestManager::start();
    let add = |body: &Value| manager.api("POST", "/users", Some(body)).unwrap();
    for (name, password) in [
        ("", "12345678"),
        ("a b", "12345678"),
        ("..", "12345678"),
        ("alice", "1234567"),
        ("alice-alice", "Alice-Alice"),
    ] {
        let answer = add(&json!({"name": name, "role": "viewer", "password": password}));
        assert_eq!((answer.status, answer.json()["code"].clone()), (400, "invalid".into()), "{name} {password}");
    }
    assert_eq!(add(&json!({"name": "admin", "role": "viewer"})).status, 409);
    assert_eq!(add(&json!({"name": "bob", "role": "king"})).status, 400);
    assert_eq!(manager.api("PATCH", "/users/bob", Some(&json!({"role": "viewer"}))).unwrap().status, 404);
    assert_eq!(manager.api("POST", "/users/bob/password", Some(&json!({}))).unwrap().status, 404);
    assert_eq!(manager.api("DELETE", "/users/bob/sessions", None).unwrap().status, 404);
    assert_eq!(users(&manager).len(), 1);
}

#[test]
fn the_last_admin_stays_one() {
    let manager = TestManager::start();
    for arguments in [&["users", "remove", "admin"][..], &["users", "role", "admin", "operator"]] {
        let ran = manager.cli(arguments);
        assert_eq!(ran.code, 8, "{arguments:?}");
        assert!(ran.err.contains("is the last admin"), "{}", ran.err);
    }
    people::add(&manager, "ada", "admin");
    assert_eq!(manager.cli(&["users", "remove", "admin"]).code, 0);
    assert_eq!(manager.cli(&["users", "role", "ada", "viewer"]).code, 8);
}

#[test]
fn an_admin_resets_a_password_and_ends_every_session() {
    let manager = TestManager::start();
    let old = people::add(&manager, "alice", "viewer");
    let sessions = [people::log_in(&manager, "alice", &old), people::log_in(&manager, "alice", &old)];
    let ran = manager.cli(&["users", "password", "alice"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!sessions.iter().any(is_good));
    assert_eq!(people::try_login(&manager, "alice", &old).problem(), problem(401, "wrong_password"));
    assert!(is_good(&people::log_in(&manager, "alice", ran.out.trim())));
    assert!(user(&manager, "alice")["password_changed_at"].is_string());
}

#[test]
fn users_change_their_own_password() {
    let manager = TestManager::start();
    let old = people::add(&manager, "alice", "viewer");
    let (this, other) = (people::log_in(&manager, "alice", &old), people::log_in(&manager, "alice", &old));
    let change = |client: &Https, old: &str, new: &str| {
        client.request("PUT", "/api/v1/me/password", Some(&json!({"old": old, "new": new})))
    };
    assert_eq!(change(&this, "wrong", "new password").problem(), problem(403, "wrong_password"));
    assert_eq!(change(&this, &old, "short").problem(), problem(400, "invalid"));
    assert!(is_good(&other));
    assert_eq!(change(&this, &old, "new password").status, 204);
    assert_eq!((is_good(&this), is_good(&other)), (true, false));
    assert_eq!(people::try_login(&manager, "alice", &old).status, 401);
    people::log_in(&manager, "alice", "new password");

    let (_, token) = people::token(&manager, &this, json!({"role": "viewer"}));
    assert_eq!(change(&token, "new password", "by a token").problem(), problem(403, "not_allowed"));
    let at_socket = manager.api("PUT", "/me/password", Some(&json!({"old": "a", "new": "by root at the socket"})));
    assert_eq!(at_socket.unwrap().status, 403);
}

#[test]
fn logging_out_everywhere_ends_every_session() {
    let manager = TestManager::start();
    let password = people::add(&manager, "alice", "viewer");
    let log_in = || people::log_in(&manager, "alice", &password);
    let bob = people::session(&manager, "bob", "viewer");
    let sessions = [log_in(), log_in()];
    let out = sessions[0].request("DELETE", "/api/v1/me/sessions", None);
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"), "{out:?}");
    assert!(!sessions.iter().any(is_good));
    let session = log_in();
    assert_eq!(manager.cli(&["users", "logout", "alice"]).code, 0);
    assert!(!is_good(&session) && is_good(&bob));
    assert_eq!(bob.request("DELETE", "/api/v1/session", None).status, 204);
    let told = people::events(&manager, "logout");
    let actors: Vec<&Value> = told.iter().map(|event| &event["actor"]).collect();
    assert_eq!(actors, ["bob", "root", "alice"]);
}

#[test]
fn a_stream_ends_when_its_user_may_do_less() {
    let manager = TestManager::start();
    let password = people::add(&manager, "alice", "operator");
    for less in
        [&["users", "role", "alice", "viewer"][..], &["users", "logout", "alice"], &["users", "remove", "alice"]]
    {
        let reply = people::try_login(&manager, "alice", &password);
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let mut stream = Https::of(&manager).connect().unwrap();
        write!(stream, "GET /api/v1/events HTTP/1.0\r\nHost: m\r\nCookie: {cookie}\r\n\r\n").unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.contains("200"), "{line}");
        assert_eq!(manager.cli(less).code, 0);
        let begun = Instant::now();
        // How politely the connection ends is not the question.
        let _ended = stream.read_to_end(&mut Vec::new());
        assert!(begun.elapsed() < Duration::from_secs(15), "{less:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn logins_that_fail_again_and_again_must_wait() {
    let manager = TestManager::start();
    // On a slow machine a short wait may be over before the next attempt; each is twice as long as the one before.
    let mut failed = 0;
    let blocked = wait::until("a login to be refused", PATIENCE, || {
        let reply = people::try_login(&manager, "admin", "wrong");
        failed += usize::from(reply.status == 401);
        (reply.status != 401).then_some(reply)
    });
    let begun = Instant::now();
    assert_eq!(blocked.problem(), problem(429, "too_many_logins"));
    assert!(failed >= 5, "{failed}");
    let seconds: u64 = blocked.header("retry-after").unwrap().parse().unwrap();
    let detail = blocked.json()["detail"].clone();
    assert!(detail.as_str().unwrap().ends_with(&format!("try again in {seconds} s")), "{detail}");
    wait::until("the wait to be over", PATIENCE, || {
        (people::try_login(&manager, "admin", PASSWORD).status == 204).then_some(())
    });
    assert!(begun.elapsed() + Duration::from_secs(1) >= Duration::from_secs(seconds), "{:?}", begun.elapsed());
    assert_eq!(people::events(&manager, "login.failed").len(), failed);
    assert_eq!(people::try_login(&manager, "admin", "wrong").status, 401, "a good login forgives");
}

#[test]
fn at_the_socket_failures_of_others_do_not_count() {
    let manager = TestManager::start();
    let try_login = |name: &str, password: &str| {
        manager.api("POST", "/session", Some(&json!({"name": name, "password": password}))).unwrap().status
    };
    for n in 0..25 {
        assert_eq!(try_login(&format!("user{n}"), "wrong"), 401);
    }
    assert_eq!(try_login("admin", PASSWORD), 204);
}

#[test]
fn the_old_password_cannot_be_guessed_either() {
    let manager = TestManager::start();
    let session = people::session(&manager, "alice", "viewer");
    let guess = || {
        let body = json!({"old": "a guess", "new": "new password"});
        session.request("PUT", "/api/v1/me/password", Some(&body)).problem()
    };
    for _ in 0..5 {
        assert_eq!(guess(), problem(403, "wrong_password"));
    }
    // On a slow machine the first waits may be over before the next attempt.
    wait::until("a guess to be refused", PATIENCE, || (guess() == problem(429, "too_many_logins")).then_some(()));
}

#[test]
fn the_list_of_users_is_told_in_parts() {
    let manager = TestManager::start();
    people::add(&manager, "zoe@example.org", "viewer");
    let get = |query: &str| manager.api("GET", &format!("/users{query}"), None).unwrap();
    let first = get("?limit=1").json();
    assert_eq!((&first["items"][0]["name"], &first["next"]), (&"admin".into(), &"admin".into()));
    let last = get("?limit=1&cursor=admin").json();
    assert_eq!((&last["items"][0]["name"], &last["next"]), (&"zoe@example.org".into(), &Value::Null));
    for query in ["?limit=0", "?limit=1001", "?limit=many"] {
        assert_eq!(get(query).status, 400, "{query}");
    }
}
