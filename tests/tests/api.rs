//! The API over TLS and on the socket: who may do what, logging in, the stream of events, and how mistakes are answered.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    http,
    https::{Https, Reply},
    manager::{PASSWORD, PATIENCE, TestManager},
    programs::{self, Ran},
    raw_agent::{RawAgent, status},
    wait,
    watcher::Watcher,
};

const COOKIE: &str = "__Host-tomcat-grid";

/// The user `nobody` of Debian.
const NOBODY: &str = "65534";

fn api_token(manager: &TestManager, role: &str) -> String {
    manager.token_with(&["--api", "--role", role])
}

fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Logs in; returns the cookie as a browser would send it, and all of the answer.
fn log_in(https: &Https, password: &str) -> (String, Reply) {
    let reply = https.request("POST", "/api/v1/session", Some(&json!({"name": "admin", "password": password})));
    let cookie = reply.header("set-cookie").unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    (cookie, reply)
}

#[test]
fn without_a_good_token_nothing_is_told() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    let admin = api_token(&manager, "admin");
    for path in
        ["status", "machines", "tokens", "users", "whoami", "events", "journal", "tags", "audit", "audit/verify"]
    {
        let path = format!("/api/v1/{path}");
        let nobody = https.get(&path);
        assert_eq!(nobody.problem(), problem(401, "unauthorized"), "{path}");
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
        for token in ["nonsense", "", &admin[..admin.len() - 1], &manager.token()] {
            let reply = https.clone().bearer(token).get(&path);
            assert_eq!(reply.problem(), problem(401, "unauthorized"), "{path} {token}");
            assert!(!reply.body.contains("test"), "the grid's name is told: {}", reply.body);
        }
    }
    assert_eq!(https.bearer(&admin).get("/api/v1/status").json()["grid"], "test");
}

#[test]
fn a_token_that_has_expired_or_was_revoked_is_refused() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    let short = https.clone().bearer(&manager.token_with(&["--api", "--role", "viewer", "--ttl", "1s"]));
    wait::until("the token to expire", PATIENCE, || (short.get("/api/v1/status").status == 401).then_some(()));
    let made = manager.cli(&["token", "create", "--api", "--role", "viewer", "-o", "json"]);
    let made: Value = serde_json::from_str(&made.out).unwrap();
    let client = https.bearer(made["secret"].as_str().unwrap());
    assert_eq!(client.get("/api/v1/status").status, 200);
    assert_eq!(manager.cli(&["token", "revoke", made["id"].as_str().unwrap()]).code, 0);
    assert_eq!(client.get("/api/v1/status").problem(), problem(401, "unauthorized"));
}

#[test]
fn a_browser_logs_in_with_a_cookie_and_out_again() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    let (_, wrong) = log_in(&https, "wrong");
    assert_eq!(wrong.problem(), problem(401, "wrong_password"));
    assert_eq!(wrong.header("set-cookie"), None);

    let (cookie, reply) = log_in(&https, PASSWORD);
    assert_eq!(reply.status, 204);
    let attributes: Vec<&str> = reply.header("set-cookie").unwrap().split("; ").skip(1).collect();
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(attributes.contains(&attribute), "{attributes:?}");
    }
    assert!(
        cookie.starts_with(&format!("{COOKIE}=")) && !attributes.iter().any(|a| a.starts_with("Domain")),
        "{cookie}"
    );
    let browser = https.clone().header("Cookie", &format!("theme=dark; {cookie}"));
    let me = browser.get("/api/v1/whoami").json();
    assert_eq!((&me["name"], &me["role"], &me["credential"]), (&"admin".into(), &"admin".into(), &"session".into()));

    let out = browser.clone().header("Sec-Fetch-Site", "same-origin").request("DELETE", "/api/v1/session", None);
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"), "{out:?}");
    assert_eq!(browser.get("/api/v1/whoami").problem(), problem(401, "unauthorized"));
}

#[test]
fn what_another_site_makes_a_browser_send_is_refused() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    let (cookie, _) = log_in(&https, PASSWORD);
    let browser = https.clone().header("Cookie", &cookie);
    let body = json!({"action": "start", "targets": ["all"]});
    let own = format!("https://{}", https.address());
    for (headers, status) in [
        (&[][..], 403),
        (&[("Origin", "https://evil.example")][..], 403),
        (&[("Origin", "null")][..], 403),
        (&[("Sec-Fetch-Site", "cross-site")][..], 403),
        (&[("Sec-Fetch-Site", "same-site")][..], 403),
        (&[("Sec-Fetch-Site", "cross-site"), ("Origin", own.as_str())][..], 403),
        (&[("Origin", own.as_str())][..], 200),
        (&[("Sec-Fetch-Site", "same-origin")][..], 200),
    ] {
        let client = headers.iter().fold(browser.clone(), |client, (name, value)| client.header(name, value));
        let reply = client.request("POST", "/api/v1/trigger", Some(&body));
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.body);
        if status == 403 {
            assert_eq!(reply.problem(), problem(403, "cross_site"));
        }
    }
    let evil = browser.header("Origin", "https://evil.example");
    assert_eq!(evil.request("DELETE", "/api/v1/session", None).problem(), problem(403, "cross_site"));
    // A script's token is no cookie: no browser sends it by itself.
    let script = https.bearer(&api_token(&manager, "operator"));
    assert_eq!(script.request("POST", "/api/v1/trigger", Some(&body)).status, 200);
}

#[test]
fn pages_and_answers_carry_security_headers() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    let page = https.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for reply in [page, https.get("/api/v1/status"), https.get("/nowhere")] {
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("x-frame-options"), Some("DENY"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        // It would hold for the Tomcats on the same host, too.
        assert_eq!(reply.header("strict-transport-security"), None);
        // A copy of the page may be kept, and is asked for again each time; what the manager knows is not.
        let kept = if reply.header("etag").is_some() { "no-cache" } else { "no-store" };
        assert_eq!(reply.header("cache-control"), Some(kept));
    }
}

#[test]
fn mistakes_are_answered_as_problems() {
    let manager = TestManager::start();
    let https = Https::of(&manager).bearer(&api_token(&manager, "admin"));
    for path in
        ["/api/v1/nothing", "/api/v2/status", "/nothing", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/a.html"]
    {
        assert_eq!(https.get(path).problem(), problem(404, "no_such_path"), "{path}");
    }
    for (path, body) in [
        ("/api/v1/trigger", "{"),
        ("/api/v1/trigger", "[]"),
        ("/api/v1/trigger", "\u{0}"),
        ("/api/v1/trigger", r#"{"action":"dance","targets":["all"]}"#),
        ("/api/v1/trigger", r#"{"action":"start","targets":[]}"#),
        ("/api/v1/trigger", r#"{"action":"start","targets":["a b"]}"#),
        ("/api/v1/trigger", r#"{"action":"start","targets":["all"],"force":true}"#),
        ("/api/v1/tokens", r#"{"type":"join","ttl_seconds":0,"uses":1}"#),
        ("/api/v1/tokens", r#"{"type":"join","ttl_seconds":60,"uses":0}"#),
        ("/api/v1/tokens", r#"{"type":"api","ttl_seconds":60,"role":"king"}"#),
        ("/api/v1/tokens", r#"{"type":"join","ttl_seconds":18446744073709551615,"uses":1}"#),
        ("/api/v1/session", r#"{"name":"admin"}"#),
    ] {
        assert_eq!(https.send("POST", path, body).unwrap().problem(), problem(400, "invalid"), "{path} {body}");
    }
    let unknown = https.get("/api/v1/status?targets=nobody@nowhere");
    assert_eq!(unknown.problem(), problem(404, "no_such_target"));
    for path in ["/api/v1/status?targets=a%20b", "/api/v1/journal?since=yesterday", "/api/v1/journal?limit=many"] {
        assert_eq!(https.get(path).problem(), problem(400, "invalid"), "{path}");
    }
    assert_eq!(https.request("DELETE", "/api/v1/status", None).problem(), problem(405, "no_such_method"));
    assert_eq!(https.request("DELETE", "/api/v1/tokens/%ff", None).problem(), problem(400, "invalid"));
    let text = https.clone().header("Content-Type", "text/plain").send("POST", "/api/v1/trigger", "{}").unwrap();
    assert_eq!(text.problem(), problem(415, "invalid"));
}

#[test]
fn health_is_told_without_a_login() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    let health = https.get("/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let ready = https.get("/readyz");
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true, "problems": []})));
}

/// A manager whose socket and command line every user of the host can reach.
struct Open {
    manager: TestManager,
    socket: PathBuf,
    program: PathBuf,
    log: PathBuf,
}

impl Open {
    fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| dir.path().join(name);
        let (socket, program, log, settings) = (at("grid.sock"), at("tomcat-grid"), at("log-of-nobody"), at("m.toml"));
        // The directory of the built programs may be closed to others.
        fs::copy(programs::path("tomcat-grid"), &program).unwrap();
        fs::create_dir(&log).unwrap();
        fs::set_permissions(&log, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(&settings, config).unwrap();
        let data = at("m");
        let manager = TestManager::start_in(
            dir,
            data,
            &[("TOMCAT_GRID_SOCKET", socket.to_str().unwrap()), ("TOMCAT_GRID_CONFIG", settings.to_str().unwrap())],
        );
        Self { manager, socket, program, log }
    }

    /// Runs the command line as `nobody`.
    fn as_nobody(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(&self.program).args(arguments);
        command.env("TOMCAT_GRID_ADDR", format!("unix://{}", self.socket.display()));
        command.env("TOMCAT_GRID_LOG_DIR", &self.log);
        programs::run(&mut command)
    }
}

#[test]
fn on_the_socket_root_is_admin_and_others_have_no_role() {
    let open = Open::start("");
    let me = open.manager.api("GET", "/whoami", None).unwrap().json();
    assert_eq!((&me["name"], &me["role"], &me["credential"]), (&"root".into(), &"admin".into(), &"socket".into()));
    let whoami = open.as_nobody(&["whoami"]);
    assert_eq!(whoami.code, 0, "{}", whoami.err);
    assert_eq!(whoami.out, "nobody (no role, by socket) in the grid test\n");
    for arguments in [&["status"][..], &["events"], &["trigger-start", "all"], &["token", "create"], &["machines"]] {
        let ran = open.as_nobody(arguments);
        assert_eq!(ran.code, 7, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("nobody has the role none"), "{}", ran.err);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn the_configuration_gives_a_role_on_the_socket() {
    let open = Open::start("[access.users]\nnobody = \"operator\"\n");
    assert_eq!(open.as_nobody(&["status"]).code, 0);
    assert_eq!(open.as_nobody(&["token", "create"]).code, 7);
    let _agent = RawAgent::join(&open.manager, "web-1");
    assert_eq!(open.as_nobody(&["trigger-start", "agent@web-1"]).code, 6, "an agent that is down hears nothing");
    let journal = open.manager.api("GET", "/journal", None).unwrap().json();
    let trigger = journal["items"].as_array().unwrap().iter().find(|event| event["kind"] == "trigger").cloned();
    assert_eq!(trigger.expect("the trigger is on record")["actor"], "nobody");
}

#[test]
fn a_stream_ends_with_the_token_that_opened_it() {
    let manager = TestManager::start();
    let made = manager.cli(&["token", "create", "--api", "--role", "viewer", "-o", "json"]);
    let made: Value = serde_json::from_str(&made.out).unwrap();
    let https = Https::of(&manager);
    let mut stream = https.connect().unwrap();
    let secret = made["secret"].as_str().unwrap();
    write!(stream, "GET /api/v1/events HTTP/1.0\r\nHost: m\r\nAuthorization: Bearer {secret}\r\n\r\n").unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.contains("200"), "{line}");
    assert_eq!(manager.cli(&["token", "revoke", made["id"].as_str().unwrap()]).code, 0);
    let revoked = Instant::now();
    let mut rest = Vec::new();
    // How politely the connection ends is not the question; that it is not silence is, which would take longer.
    let _ended = stream.read_to_end(&mut rest);
    assert!(revoked.elapsed() < Duration::from_secs(15), "{:?}", revoked.elapsed());
    assert_eq!(https.bearer(secret).get("/api/v1/events").status, 401);
}

/// Reports a state change and waits until it can be seen.
fn change(manager: &TestManager, link: &mut tests::raw_agent::RawLink, state: State) {
    link.send(&status("/srv/a", state));
    manager.wait_state("a@web-1", state.as_str());
}

#[test]
fn a_stream_that_broke_is_resumed_without_loss() {
    let manager = TestManager::start();
    let mut link = RawAgent::join(&manager, "web-1").link(&manager);
    let first = manager.watch();
    change(&manager, &mut link, State::Starting);
    let seen = first.wait_for("the first change", |event| event["data"]["state"] == "starting");
    let id = seen.event["id"].as_str().unwrap().to_owned();
    for state in [State::Active, State::Stopping, State::Stopped] {
        change(&manager, &mut link, state);
    }
    let resumed = Watcher::open_after(&manager.socket(), Some(&id));
    change(&manager, &mut link, State::Unresponsive);
    resumed.wait_for("the last change", |event| event["data"]["state"] == "unresponsive");
    assert_eq!(resumed.states_of("a@web-1"), ["active", "stopping", "stopped", "unresponsive"]);
    let ids: Vec<u64> = resumed.seen().iter().filter_map(|seen| number(&seen.event)).collect();
    let from = number(&seen.event).unwrap();
    assert_eq!(ids, (from + 1..=from + ids.len() as u64).collect::<Vec<_>>(), "each event once, without a gap");

    let mut since = http::stream(&manager.socket(), &format!("/api/v1/events?since={id}"), "").unwrap();
    assert_eq!(next_event(&mut since).0, format!("1-{}", from + 1));
}

fn number(event: &Value) -> Option<u64> {
    event["id"].as_str()?.strip_prefix("1-")?.parse().ok()
}

/// The next event of a stream: its id, its name, and its data.
fn next_event(reader: &mut impl BufRead) -> (String, String, Value) {
    let (mut id, mut name) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("the stream lives") > 0, "the stream ended");
        match line.trim_end().split_once(": ") {
            Some(("id", value)) => id = value.to_owned(),
            Some(("event", value)) => name = value.to_owned(),
            Some(("data", value)) => return (id, name, serde_json::from_str(value).expect("JSON")),
            _ => {}
        }
    }
}

#[test]
fn an_id_that_is_unknown_gets_a_snapshot_to_go_on_from() {
    let manager = TestManager::start();
    let mut link = RawAgent::join(&manager, "web-1").link(&manager);
    change(&manager, &mut link, State::Active);
    for id in ["9-1", "1-999999999", "0-0", "nonsense"] {
        let header = format!("Last-Event-ID: {id}\r\n");
        let mut stream = http::stream(&manager.socket(), "/api/v1/events", &header).unwrap();
        let (at, name, snapshot) = next_event(&mut stream);
        assert_eq!(name, "reset", "{id}");
        assert_eq!(snapshot["seq"], at, "{id}");
        let names: Vec<&Value> =
            snapshot["services"].as_array().unwrap().iter().map(|service| &service["name"]).collect();
        assert!(names.contains(&&Value::from("a@web-1")), "{id}: {names:?}");
        change(&manager, &mut link, State::Stopped);
        // What came while the snapshot was taken may be told again; it changes nothing.
        while next_event(&mut stream).2["data"]["state"] != "stopped" {}
        change(&manager, &mut link, State::Active);
    }
}

#[test]
fn the_journal_tells_what_happened_and_can_be_paged() {
    let manager = TestManager::start();
    let mut link = RawAgent::join(&manager, "web-1").link(&manager);
    change(&manager, &mut link, State::Active);
    let journal = |query: &str| manager.api("GET", &format!("/journal{query}"), None).unwrap().json()["items"].clone();
    let ids = |events: &Value| events.as_array().unwrap().iter().filter_map(number).collect::<Vec<u64>>();
    wait::until("the change to be in the journal", PATIENCE, || {
        (journal("")[0]["data"]["state"] == "active").then_some(())
    });
    let newest = ids(&journal("?limit=3"));
    assert!(newest.len() == 3 && newest.is_sorted_by(|a, b| a > b), "{newest:?}");
    let before = ids(&journal(&format!("?limit=2&before=1-{}", newest[2])));
    assert!(before.len() == 2 && before[0] < newest[2], "{before:?}");
    let after = ids(&journal(&format!("?since=1-{}", newest[2])));
    assert_eq!(after, [newest[1], newest[0]]);
    let kinds: Vec<Value> =
        journal("?since=1-0").as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    for kind in ["manager.started", "token.created", "machine.joined", "machine.state", "service.state"] {
        assert!(kinds.contains(&kind.into()), "{kind} is missing: {kinds:?}");
    }
}
