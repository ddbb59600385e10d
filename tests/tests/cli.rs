//! The command line as scripts and people meet it: exit codes, output formats, watching and following.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use protocol::{
    link::{FromAgent, Outcome, ToAgent},
    state::State,
};
use serde_json::Value;
use tests::{
    manager::{PATIENCE, TestManager},
    programs::{self, Ran},
    raw_agent::{RawAgent, RawLink, report, status},
    wait,
};

/// A machine with one instance, `a@NAME`.
fn machine(manager: &TestManager, name: &str, state: State) -> RawLink {
    let link = RawAgent::join(manager, name).link_with(manager, vec![report("/srv/a", state)]);
    manager.wait_state(&format!("a@{name}"), state.as_str());
    link
}

/// Runs a command while an agent answers the order that comes of it.
fn answered(manager: &TestManager, link: &mut RawLink, outcome: Outcome, arguments: &[&str]) -> Ran {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| manager.cli(arguments));
        let ToAgent::Order(order) = link.receive() else { panic!("an order should come") };
        link.send(&FromAgent::Outcome { order: order.id, outcome });
        running.join().expect("the command ends")
    })
}

fn text(message: &str) -> String {
    message.to_owned()
}

/// The program without any manager.
fn alone(arguments: &[&str]) -> Ran {
    let log = tempfile::tempdir().unwrap();
    let mut command = Command::new(programs::path("tomcat-grid"));
    programs::run(command.args(arguments).env("TOMCAT_GRID_LOG_DIR", log.path()).env_remove("TOMCAT_GRID_ADDR"))
}

#[test]
fn exits_0_when_done_and_14_on_wish_when_nothing_was_to_do() {
    let manager = TestManager::start();
    let mut link = machine(&manager, "web-1", State::Stopped);
    let done = Outcome::Done { message: text("pid 7") };
    let ran = answered(&manager, &mut link, done, &["trigger-start", "a@web-1"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("done") && ran.out.contains("pid 7"), "{}", ran.out);
    let ignored = || Outcome::Ignored { message: text("it runs") };
    assert_eq!(answered(&manager, &mut link, ignored(), &["trigger-start", "a@web-1"]).code, 0);
    let ran = answered(&manager, &mut link, ignored(), &["trigger-start", "a@web-1", "--detailed-exitcode"]);
    assert_eq!(ran.code, 14);
    assert!(ran.out.contains("ignored"), "{}", ran.out);
    assert_eq!(manager.cli(&["trigger-stop", "a@web-1", "--dry-run", "--detailed-exitcode"]).code, 14);
}

#[test]
fn exits_1_when_it_failed_and_7_when_the_machine_forbids_it() {
    let manager = TestManager::start();
    let mut link = machine(&manager, "web-1", State::Stopped);
    for (outcome, code, words) in [
        (Outcome::Failed { message: text("no Java") }, 1, "no Java"),
        (Outcome::Expired {}, 1, "too late"),
        (Outcome::Unknown { message: text("it ended meanwhile") }, 1, "it ended meanwhile"),
        (Outcome::Refused { message: text("start is not allowed") }, 7, "start is not allowed"),
    ] {
        let ran = answered(&manager, &mut link, outcome, &["trigger-start", "a@web-1"]);
        assert_eq!(ran.code, code, "{words}");
        assert!(ran.out.contains(words), "{}", ran.out);
    }
}

#[test]
fn exits_2_for_a_call_that_is_wrong() {
    let manager = TestManager::start();
    for (arguments, words) in [
        (&["dance"][..], "dance"),
        (&["trigger-start"], "<TARGET>"),
        (&["trigger-start", "a b"], "`a b` holds"),
        (&["status", "agent"], "`agent` is taken"),
        (&["status", "-o", "xml"], "xml"),
        (&["events", "--since", "yesterday"], "`yesterday` is no event id"),
        (&["events", "--limit", "0"], "0"),
        (&["token", "create", "--ttl", "soon"], "`soon` is no time"),
        (&["token", "create", "--ttl", "0s"], "more than nothing"),
        (&["token", "create", "--machine", "a/b"], "`a/b` holds"),
        (&["token", "create", "--api"], "--role"),
        (&["token", "revoke", "../status"], "is no token id"),
        (&["machines", "remove", "../tokens"], "`../tokens` holds"),
        (&["users", "remove", "../tokens"], "a user's name has"),
        (&["users", "add", ".."], "--role"),
        (&["users", "add", "..", "--role", "viewer"], "is no name"),
        (&["users", "add", "alice", "--role", "viewer", "--password-file", "/nowhere"], "/nowhere"),
        (&["status", "--addr", "http://127.0.0.1:1"], "is no address"),
        (&["status", "--addr", "127.0.0.1:8443"], "is no address"),
        (&["status", "--addr", "https://"], "is no address"),
        (&["status", "--addr", "https://m:port"], "is no address"),
        (&["status", "--addr", "https://localhost:1", "--cacert", "/nowhere.pem"], "/nowhere.pem"),
    ] {
        let ran = manager.cli(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
}

#[test]
fn exits_3_when_some_are_done_and_6_when_the_agent_is_missing() {
    let manager = TestManager::start();
    let mut link = machine(&manager, "web-1", State::Stopped);
    drop(machine(&manager, "web-2", State::Stopped));
    manager.wait_state("a@web-2", "not_available");
    let ran = answered(&manager, &mut link, Outcome::Done { message: text("pid 7") }, &["trigger-start", "all"]);
    assert_eq!(ran.code, 3, "{}", ran.out);
    let ran = manager.cli(&["trigger-start", "@web-2"]);
    assert_eq!(ran.code, 6);
    assert!(ran.out.contains("not_available") && ran.out.contains("the agent of web-2 is not linked"), "{}", ran.out);
}

#[test]
fn exits_5_when_its_own_time_is_up() {
    let manager = TestManager::start();
    let _mute = machine(&manager, "web-1", State::Stopped);
    let ran = manager.cli(&["trigger-start", "a@web-1", "--timeout", "300ms"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert!(ran.err.contains("--timeout"), "{}", ran.err);
}

#[test]
fn exits_7_without_a_role_that_may() {
    let manager = TestManager::start();
    let over_tls = |token: &str, arguments: &[&str]| {
        let mut command = manager.command(arguments);
        command.env("TOMCAT_GRID_ADDR", format!("https://{}", manager.address()));
        command.env("TOMCAT_GRID_CACERT", manager.data().join("pki/ca.pem")).env("TOMCAT_GRID_TOKEN", token);
        programs::run(&mut command)
    };
    let viewer = manager.token_with(&["--api", "--role", "viewer"]);
    let ran = over_tls(&viewer, &["status"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = over_tls(&viewer, &["trigger-stop", "all"]);
    assert_eq!(ran.code, 7);
    assert!(ran.err.contains("needs the role operator"), "{}", ran.err);
    let ran = over_tls("nonsense", &["status"]);
    assert_eq!(ran.code, 7);
    assert!(ran.err.contains("API token"), "{}", ran.err);
    assert_eq!(over_tls("", &["status"]).code, 7);
}

#[test]
fn exits_8_on_a_conflict_and_9_where_there_is_no_such_target() {
    let manager = TestManager::start();
    let _link = machine(&manager, "web-1", State::Active);
    let ran = manager.cli(&["machines", "remove", "web-1"]);
    assert_eq!(ran.code, 8);
    assert!(ran.err.contains("--force"), "{}", ran.err);
    for (arguments, words) in [
        (&["trigger-start", "a"][..], "did you mean `a@web-1`?"),
        (&["status", "@web-9"], "there is no machine `web-9`"),
        (&["status", "#blue"], "there is no tag `blue`"),
        (&["machines", "revoke", "web-9"], "there is no machine `web-9`"),
        (&["token", "revoke", "0123456789"], "there is no token `0123456789`"),
    ] {
        let ran = manager.cli(arguments);
        assert_eq!(ran.code, 9, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn exits_11_where_no_manager_can_be_reached_and_says_what_to_do() {
    let manager = TestManager::start();
    let tls = format!("https://{}", manager.address());
    for (addr, words) in [
        ("unix:///nowhere/manager.sock", "is the manager running on this host?"),
        ("https://127.0.0.1:1", "is it running, and is the address right?"),
        ("https://no-such-host.invalid:8443", "no-such-host.invalid"),
        (tls.as_str(), "--cacert"),
    ] {
        let ran = manager.cli(&["status", "--addr", addr]);
        assert_eq!(ran.code, 11, "{addr}: {}", ran.err);
        assert!(ran.err.contains("cannot reach the manager") && ran.err.contains(words), "{addr}: {}", ran.err);
    }
}

#[test]
fn status_is_a_table_for_people_and_json_for_programs() {
    let manager = TestManager::start();
    let empty = manager.cli(&["status"]);
    assert!(empty.out.contains("tomcat-grid token create"), "{}", empty.out);
    let _links = (machine(&manager, "web-1", State::Active), machine(&manager, "web-2", State::Stopped));

    let table = manager.cli(&["status"]).out;
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["MACHINE", "SERVICE", "TYPE", "STATE", "SINCE", "PORTS", "REMARKS"]);
    assert!(lines.iter().any(|line| line.starts_with(&["web-1", "a@web-1", "instance", "●", "active"])), "{table}");
    assert!(lines.iter().any(|line| line.starts_with(&["web-2", "a@web-2", "instance", "○", "stopped"])), "{table}");
    assert!(table.ends_with("2 instances: 1 stopped, 1 active; 2 agents\n"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour in a pipe");

    let json: Value = serde_json::from_str(&manager.cli(&["status", "-o", "json"]).out).unwrap();
    assert_eq!((&json["grid"], &json["manager"]["role"]), (&"test".into(), &"primary".into()));
    let service = &json["services"].as_array().unwrap().iter().find(|service| service["name"] == "a@web-1").unwrap();
    for (key, value) in [("machine", "web-1"), ("type", "instance"), ("state", "active"), ("catalina_base", "/srv/a")] {
        assert_eq!(service[key], value, "{key}");
    }
    for key in ["last_state", "reason", "last_exit", "pid"] {
        assert_eq!(service.get(key), Some(&Value::Null), "{key} is there, and null");
    }
    let names = manager.cli(&["status", "-o", "name", "@web-1", "agents"]).out;
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["a@web-1", "agent@web-1", "agent@web-2"]);
}

#[test]
fn status_check_tells_by_its_exit_code() {
    let manager = TestManager::start();
    let mut link = machine(&manager, "web-1", State::Active);
    assert_eq!(manager.cli(&["status", "--check"]).code, 0);
    link.send(&status("/srv/a", State::Starting));
    manager.wait_state("a@web-1", "starting");
    assert_eq!(manager.cli(&["status", "--check"]).code, 1);
    assert_eq!(manager.cli(&["status", "agent@web-1", "--check"]).code, 0);
    link.send(&status("/srv/a", State::Active));
    drop(link);
    manager.wait_state("a@web-1", "not_available");
    assert_eq!(manager.cli(&["status", "--check"]).code, 6);
}

/// A command that stays, with the lines it has written so far.
struct Staying {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Staying {
    fn run(manager: &TestManager, arguments: &[&str]) -> Self {
        let mut child = manager.command(arguments).stdout(Stdio::piped()).spawn().expect("the command runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared = lines.clone();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| shared.lock().unwrap().push(line));
        });
        Self { child, lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line with all of these words, and returns it.
    fn wait_line(&self, words: &[&str]) -> String {
        wait::until(&format!("a line with {words:?}"), PATIENCE, || {
            self.lines().into_iter().find(|line| words.iter().all(|word| line.contains(word)))
        })
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Tells of changes until a command that watches has shown one: from then on it misses none.
fn wait_watching(link: &mut RawLink, staying: &Staying) {
    let mut states = [State::Starting, State::Active].into_iter().cycle();
    wait::until("the first line", PATIENCE, || {
        link.send(&status("/srv/warm-up", states.next()?));
        link.settle();
        (!staying.lines().is_empty()).then_some(())
    });
}

#[test]
fn status_watch_writes_what_is_and_then_a_line_for_each_change() {
    let manager = TestManager::start();
    let mut link = machine(&manager, "web-1", State::Stopped);
    let watch = Staying::run(&manager, &["status", "--watch"]);
    wait_watching(&mut link, &watch);
    for state in [State::Starting, State::Active, State::Stopping] {
        link.send(&status("/srv/a", state));
        watch.wait_line(&[state.as_str(), "a@web-1"]);
    }
    link.send(&FromAgent::Gone { base: "/srv/a".to_owned() });
    watch.wait_line(&["gone", "a@web-1"]);
    let ours: Vec<String> = watch.lines().into_iter().filter(|line| line.contains(" a@web-1")).collect();
    assert_eq!(ours.len(), 5, "{ours:#?}");
    assert!(ours[0].contains("○ stopped"), "{ours:#?}");
    assert!(ours[1].contains("◐ starting") && ours[1].starts_with("20"), "{ours:#?}");
}

#[test]
fn status_watch_of_a_target_shows_nothing_else_and_outlives_it() {
    let manager = TestManager::start();
    let mut link = machine(&manager, "web-1", State::Stopped);
    let watch = Staying::run(&manager, &["status", "--watch", "-o", "name", "a@web-1"]);
    let mut states = [State::Starting, State::Active].into_iter().cycle();
    let mut wait_more = |gone: bool| {
        let before = watch.lines().len();
        wait::until("another line", PATIENCE, || {
            let state = states.next()?;
            link.send(&status("/srv/b", state));
            link.send(&if gone { FromAgent::Gone { base: "/srv/a".to_owned() } } else { status("/srv/a", state) });
            link.settle();
            (watch.lines().len() > before).then_some(())
        });
    };
    wait_more(false);
    wait_more(true);
    wait_more(false);
    assert!(watch.lines().iter().all(|name| name == "a@web-1"), "{:?}", watch.lines());
}

#[test]
fn events_are_shown_from_an_id_on_and_followed() {
    let manager = TestManager::start();
    let mut link = machine(&manager, "web-1", State::Stopped);
    let follow = Staying::run(&manager, &["events", "--follow", "-o", "json"]);
    wait_watching(&mut link, &follow);
    link.send(&status("/srv/a", State::Active));
    let line = follow.wait_line(&["\"a@web-1\"", "\"active\""]);
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["kind"], &event["data"]["state"]), (&"service.state".into(), &"active".into()));

    let id = event["id"].as_str().unwrap();
    link.send(&status("/srv/a", State::Unresponsive));
    let since = wait::until("the change to be in the journal", PATIENCE, || {
        let ran = manager.cli(&["events", "--since", id]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        (!ran.out.is_empty()).then_some(ran.out)
    });
    assert!(since.contains("service.state") && since.contains("a@web-1") && since.contains("unresponsive"), "{since}");
    assert!(!since.contains(&format!("{id} ")), "after it, not from it: {since}");
    let again = Staying::run(&manager, &["events", "--follow", "--since", id, "-o", "name"]);
    again.wait_line(&[since.split_whitespace().nth(1).unwrap()]);

    let all = manager.cli(&["events", "-o", "json", "--limit", "1000"]).out;
    let ids: Vec<Value> =
        serde_json::from_str::<Vec<Value>>(&all).unwrap().into_iter().map(|event| event["id"].clone()).collect();
    assert!(ids.len() > 5 && ids.is_sorted_by_key(|id| id.as_str().unwrap()[2..].parse::<u64>().unwrap()), "{ids:?}");
    assert_eq!(manager.cli(&["events", "-o", "name", "--limit", "2"]).out.lines().count(), 2);
}

#[test]
fn events_that_are_followed_outlive_a_restart_of_the_manager() {
    let mut manager = TestManager::start();
    // From an event that was before: when the command itself is ready nobody is told.
    let since = manager.status()["seq"].as_str().expect("an id").to_owned();
    let follow = Staying::run(&manager, &["events", "--follow", "-o", "json", "--since", &since]);
    manager.token();
    follow.wait_line(&["token.created"]);
    manager.stop();
    manager.start_again();
    follow.wait_line(&["manager.started"]);
}

#[test]
fn output_that_cannot_be_written_fails_the_command() {
    let manager = TestManager::start();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let status = manager.command(&["whoami"]).stdout(full).stderr(Stdio::null()).status().expect("the command runs");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn token_create_prints_the_token_and_nothing_else() {
    let manager = TestManager::start();
    for (options, prefix) in [(&["--ttl", "1h", "--uses", "3"][..], "tgj1."), (&["--api", "--role", "viewer"], "tga1.")]
    {
        let ran = manager.cli(&[&["token", "create"], options].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let token = ran.out.strip_suffix('\n').expect("a line");
        assert!(token.starts_with(prefix) && !token.contains(char::is_whitespace), "{token}");
        let listed = manager.cli(&["token", "list", "-o", "json"]).out + &manager.cli(&["token", "list"]).out;
        assert!(!listed.contains(token), "a secret is shown once");
    }
    let listed = manager.cli(&["token", "list"]).out;
    assert!(listed.contains("0 of 3") && listed.contains("viewer") && listed.contains("good for"), "{listed}");
}

#[test]
fn help_version_and_completions_need_no_manager() {
    let help = alone(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    let commands = [
        "serve",
        "status",
        "machines",
        "trigger-start",
        "trigger-stop",
        "trigger-kill",
        "events",
        "token",
        "users",
        "whoami",
    ];
    let completions = alone(&["completions", "bash"]);
    assert_eq!(completions.code, 0);
    for command in commands {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command} is not in the help");
        assert!(completions.out.contains(command), "{command} is not completed");
        assert_eq!(alone(&[command, "--help"]).code, 0, "{command}");
    }
    assert!(help.out.contains("Exit codes"), "{}", help.out);
    let mut syntax = Command::new("bash");
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), &completions.out).unwrap();
    assert_eq!(programs::run(syntax.arg("-n").arg(script.path())).code, 0, "bash can read it");
    for program in ["tomcat-grid", "tomcat-grid-agent"] {
        let version = programs::run(Command::new(programs::path(program)).arg("--version"));
        assert_eq!((version.code, version.out), (0, format!("{program} {}\n", env!("CARGO_PKG_VERSION"))));
    }
}
