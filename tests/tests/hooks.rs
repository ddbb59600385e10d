//! Hook programs: added and removed, brought to the machines that need them, and fetched by those only.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use protocol::{
    desired::{Desired, MissingProgram, Program, Programs, ToldSecret},
    link::FromAgent,
    state::State,
};
use serde_json::{Value, json};
use tests::{
    https::Reply,
    manager::{PATIENCE, TestManager},
    people,
    programs::Ran,
    raw_agent::{RawAgent, RawLink, report},
    wait,
};

const SCRIPT: &str = "#!/bin/sh\necho warm\n";
const OTHER: &str = "#!/bin/sh\necho warmer\n";

/// Runs a hook on every instance of web-1.
const ON_WEB_1: &str = "[[hook]]\nevent = \"pre-start\"\ntargets = [\"@web-1\"]\nprogram = \"warm.sh\"\n";

fn file(manager: &TestManager, name: &str, content: &str) -> PathBuf {
    let path = manager.dir().join(name);
    fs::write(&path, content).expect("a file");
    path
}

fn add(manager: &TestManager, name: &str, content: &str) -> Ran {
    let path = file(manager, name, content);
    manager.cli(&["hooks", "add", path.to_str().expect("a path")])
}

#[track_caller]
fn added(manager: &TestManager, name: &str, content: &str) -> String {
    let ran = add(manager, name, content);
    assert_eq!(ran.code, 0, "{}", ran.err);
    program(manager, name)["hash"].as_str().expect("a hash").to_owned()
}

fn program(manager: &TestManager, name: &str) -> Value {
    manager.api("GET", &format!("/hooks/{name}"), None).expect("an answer").json()
}

#[track_caller]
fn apply(manager: &TestManager, text: &str) {
    let answer = manager.api("POST", "/config", Some(&json!({"text": text}))).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// A machine with two instances, and what it should have at first.
fn machine(manager: &TestManager, name: &str) -> (RawAgent, RawLink, Desired) {
    let mut agent = RawAgent::join(manager, name);
    let instances = vec![report("/srv/a", State::Stopped), report("/srv/b", State::Stopped)];
    let mut link = agent.link_with(manager, instances);
    let desired = link.desired();
    manager.wait_state(&format!("a@{name}"), "stopped");
    (agent, link, desired)
}

fn names(desired: &Desired) -> Vec<&str> {
    desired.programs.iter().map(|program| program.name.as_str()).collect()
}

fn fetch(manager: &TestManager, agent: &RawAgent, hash: &str) -> Reply {
    agent.https(manager).get(&format!("/agent/v1/blobs/{hash}"))
}

fn ready(program: &Program) -> FromAgent {
    FromAgent::Programs(Programs { ready: vec![program.hash.clone()], missing: Vec::new(), secrets: None })
}

#[test]
fn programs_are_added_listed_replaced_and_removed() {
    let manager = TestManager::start();
    assert!(manager.cli(&["hooks"]).out.contains("No hook programs yet"));
    let first = added(&manager, "warm.sh", SCRIPT);
    let table = manager.cli(&["hooks"]).out;
    assert!(table.contains("warm.sh") && table.contains("no hook runs it") && table.contains(&first[..12]), "{table}");
    let same = add(&manager, "warm.sh", SCRIPT);
    assert_eq!((same.code, people::events(&manager, "program.added").len()), (0, 1), "{}", same.err);

    let second = added(&manager, "warm.sh", OTHER);
    assert_ne!(first, second);
    let blobs = manager.data().join("blobs/sha256");
    assert!(blobs.join(&second).exists() && !blobs.join(&first).exists(), "what nobody needs is removed");
    assert_eq!(manager.cli(&["hooks", "list", "-o", "name"]).out, "warm.sh\n");

    apply(&manager, "[[hook]]\nevent = \"pre-start\"\ntargets = [\"grid\"]\nprogram = \"warm.sh\"\n");
    let refused = manager.cli(&["hooks", "remove", "warm.sh"]);
    assert_eq!(refused.code, 8, "{}", refused.err);
    assert!(refused.err.contains("at pre-start on grid"), "{}", refused.err);
    let shown = manager.cli(&["hooks", "show", "warm.sh"]).out;
    assert!(shown.contains("runs on the manager's host only") && shown.contains("pre-start"), "{shown}");
    apply(&manager, "");
    assert_eq!(manager.cli(&["hooks", "remove", "warm.sh"]).code, 0);
    assert_eq!(manager.cli(&["hooks", "remove", "warm.sh"]).code, 9);
    assert_eq!(fs::read_dir(&blobs).expect("the blobs").count(), 0);

    let audit = manager.cli(&["audit", "-o", "json"]).out;
    assert!(audit.contains("hooks-add") && audit.contains("hooks-remove"), "{audit}");
}

#[test]
fn what_is_no_program_is_refused_with_what_to_do() {
    let manager = TestManager::start();
    for (content, why) in [("", "empty"), ("echo hello\n", "#!/bin/sh"), ("#!/bin/sh\r\n", "dos2unix")] {
        let refused = add(&manager, "x.sh", content);
        assert!(refused.code == 2 && refused.err.contains(why), "{}", refused.err);
    }
    let path = file(&manager, "a b", SCRIPT);
    let refused = manager.cli(&["hooks", "add", path.to_str().expect("a path")]);
    assert!(refused.code == 2 && refused.err.contains("no name for a program"), "{}", refused.err);
    let named = manager.cli(&["hooks", "add", path.to_str().expect("a path"), "--name", "ab.sh"]);
    assert_eq!(named.code, 0, "{}", named.err);

    // What a caller sends who does not look first.
    let admin = people::session(&manager, "ada", "admin").header("Content-Type", "application/octet-stream");
    let send =
        |name: &str, body: &str| admin.send("POST", &format!("/api/v1/hooks?name={name}"), body).expect("an answer");
    assert_eq!(send("x", "echo").problem(), (400, "invalid".to_owned()));
    assert_eq!(send("..%2Fx", SCRIPT).problem(), (400, "invalid".to_owned()));
    assert_eq!(
        send("x", &format!("#!/bin/sh\n{}", "x".repeat(16 * 1024 * 1024))).problem(),
        (413, "invalid".to_owned())
    );
    let viewer = people::session(&manager, "vera", "viewer").header("Content-Type", "application/octet-stream");
    let refused = viewer.send("POST", "/api/v1/hooks?name=x", SCRIPT).expect("an answer");
    assert_eq!(refused.problem(), (403, "not_allowed".to_owned()));
    assert_eq!(viewer.request("DELETE", "/api/v1/hooks/ab.sh", None).problem(), (403, "not_allowed".to_owned()));
    assert_eq!(viewer.get("/api/v1/hooks").json()["programs"][0]["name"], "ab.sh");
}

#[test]
fn a_machine_is_told_what_it_should_have_and_whenever_that_changes() {
    let manager = TestManager::start();
    let first = added(&manager, "warm.sh", SCRIPT);
    let (mut agent, mut link, desired) = machine(&manager, "web-1");
    assert_eq!(desired, Desired::default());
    apply(
        &manager,
        &format!("[service.\"a@web-1\"]\nstart_timeout = \"7s\"\nhealth = {{ path = \"/health\" }}\n{ON_WEB_1}"),
    );
    let desired = link.desired();
    assert_eq!((names(&desired), desired.programs[0].hash.as_str()), (vec!["warm.sh"], first.as_str()));
    assert_eq!((desired.instances.len(), desired.instances[0].start_timeout_ms), (1, Some(7000)));
    assert_eq!(desired.instances[0].health.as_ref().map(|health| health.path.as_str()), Some("/health"));

    let watcher = manager.watch();
    link.send(&FromAgent::Programs(Programs {
        ready: Vec::new(),
        missing: vec![MissingProgram { hash: first.clone(), why: "no room".to_owned() }],
        secrets: None,
    }));
    let told = watcher.wait_for("the program", |event| event["kind"] == "program.state");
    assert_eq!((&told.event["machine"], &told.event["data"]["why"]), (&json!("web-1"), &json!("no room")));
    assert!(manager.cli(&["hooks"]).out.contains("ready on 0 of 1 machine"));
    link.send(&ready(&desired.programs[0]));
    watcher.wait_for("the program", |event| event["kind"] == "program.state" && event["data"]["ready"] == true);
    assert!(manager.cli(&["hooks", "show", "warm.sh"]).out.contains("web-1    ● ready"));

    // Replaced: the machine needs the new one, and does not have it.
    let second = added(&manager, "warm.sh", OTHER);
    assert_eq!(link.desired().programs[0].hash, second);
    assert_eq!(
        program(&manager, "warm.sh")["machines"],
        json!([{"machine": "web-1", "ready": false, "why": "it is on its way"}])
    );

    // What changes nothing is not sent; a new link gets all of it.
    apply(
        &manager,
        &format!(
            "[service.\"a@web-1\"]\nstart_timeout = \"7s\"\nhealth = {{ path = \"/health\" }}\n{ON_WEB_1}# more\n"
        ),
    );
    link.settle();
    drop(link);
    let mut link = agent.link_with(&manager, vec![report("/srv/b", State::Stopped)]);
    let desired = link.desired();
    assert_eq!((names(&desired), desired.instances.len()), (vec!["warm.sh"], 0));
}

#[test]
fn tags_and_new_services_decide_what_a_machine_needs() {
    let manager = TestManager::start();
    added(&manager, "warm.sh", SCRIPT);
    let (_agent, mut link, _) = machine(&manager, "web-1");
    manager.cli(&["tags", "add", "blue", "--on", "b@web-1"]);
    apply(&manager, "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"#blue\"]\nprogram = \"warm.sh\"\n");
    assert_eq!(names(&link.desired()), ["warm.sh"]);
    manager.cli(&["tags", "remove", "blue", "--on", "b@web-1"]);
    assert_eq!(link.desired(), Desired::default());
    manager.cli(&["tags", "add", "blue", "--machine", "web-1"]);
    assert_eq!(names(&link.desired()), ["warm.sh"]);
    for base in ["/srv/a", "/srv/b"] {
        link.send(&FromAgent::Gone { base: base.to_owned() });
    }
    assert_eq!(link.desired(), Desired::default(), "no instance is left that a hook could be about");
    link.send(&tests::raw_agent::status("/srv/c", State::Stopped));
    assert_eq!(names(&link.desired()), ["warm.sh"]);
}

#[test]
fn a_program_is_fetched_by_those_who_need_it_only() {
    let manager = TestManager::start();
    let hash = added(&manager, "warm.sh", SCRIPT);
    let unused = added(&manager, "other.sh", OTHER);
    let (one, mut link, _) = machine(&manager, "web-1");
    let (two, _other, _) = machine(&manager, "web-2");
    apply(&manager, ON_WEB_1);
    assert_eq!(names(&link.desired()), ["warm.sh"]);

    let reply = fetch(&manager, &one, &hash);
    assert_eq!((reply.status, reply.body.as_str()), (200, SCRIPT));
    let rest = one.https(&manager).header("Range", "bytes=10-").get(&format!("/agent/v1/blobs/{hash}"));
    assert_eq!((rest.status, rest.body.as_str()), (206, &SCRIPT[10..]));
    let size = SCRIPT.len();
    assert_eq!(rest.header("content-range"), Some(format!("bytes 10-{}/{size}", size - 1).as_str()));
    let beyond = one.https(&manager).header("Range", "bytes=99-").get(&format!("/agent/v1/blobs/{hash}"));
    assert_eq!(beyond.status, 416);

    for (agent, hash) in [(&two, hash.as_str()), (&one, unused.as_str()), (&one, "..%2F..%2Fgrid.db"), (&one, "x")] {
        assert_eq!(fetch(&manager, agent, hash).problem(), (404, "no_such_target".to_owned()), "{hash}");
    }
    let stranger = tests::raw_agent::joining_client(&manager).get(&format!("/agent/v1/blobs/{hash}"));
    assert_eq!(stranger.problem().0, 403);
    assert_eq!(manager.api("POST", "/machines/web-1/revoke", None).expect("an answer").status, 204);
    assert_eq!(fetch(&manager, &one, &hash).problem().0, 403);
}

#[test]
fn a_program_that_was_tampered_with_is_not_handed_out() {
    let manager = TestManager::start();
    let hash = added(&manager, "warm.sh", SCRIPT);
    let (agent, mut link, _) = machine(&manager, "web-1");
    apply(&manager, ON_WEB_1);
    link.desired();
    let path = manager.data().join("blobs/sha256").join(&hash);
    fs::write(&path, "#!/bin/sh\necho evil\n").expect("a file");
    assert_eq!(fetch(&manager, &agent, &hash).status, 500);
    let logged = wait::within(PATIENCE, || manager.log().contains("cannot be used").then_some(()));
    assert!(logged.is_some(), "{}", manager.log());
    // Adding it again mends it.
    added(&manager, "warm.sh", SCRIPT);
    assert_eq!(fetch(&manager, &agent, &hash).body, SCRIPT);
}

#[test]
fn programs_outlive_the_manager() {
    let mut manager = TestManager::start();
    let hash = added(&manager, "warm.sh", SCRIPT);
    let (mut agent, link, _) = machine(&manager, "web-1");
    apply(&manager, ON_WEB_1);
    fs::write(manager.data().join("blobs/sha256/.new-half"), "half").expect("a file");
    drop(link);
    manager.kill();
    manager.start_again();
    assert!(!manager.data().join("blobs/sha256/.new-half").exists());
    let mut link = agent.link_with(&manager, vec![report("/srv/a", State::Stopped)]);
    assert_eq!(link.desired().programs[0].hash, hash);
    assert_eq!(fetch(&manager, &agent, &hash).body, SCRIPT);
}

#[test]
fn a_secret_that_is_not_there_is_told_before_a_hook_needs_it() {
    let manager = TestManager::start();
    added(&manager, "warm.sh", SCRIPT);
    let (_agent, mut link, _) = machine(&manager, "web-1");
    let text = format!(
        "{ON_WEB_1}secrets = [\"KEY\"]\n[[hook]]\nevent = \"pre-start\"\ntargets = [\"grid\"]\n\
                        program = \"warm.sh\"\nsecrets = [\"KEY\"]\n"
    );
    let warnings = |dry_run: bool| {
        let body = json!({"text": text, "dry_run": dry_run});
        let answer = manager.api("POST", "/config", Some(&body)).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["warnings"].as_array().expect("warnings").iter().map(|text| text.to_string()).collect::<Vec<_>>()
    };
    // Nothing is known of the machine yet, but of the manager's host.
    let told = warnings(true);
    assert!(told.len() == 1 && told[0].contains("line 9, column 11") && told[0].contains("manager's host"), "{told:?}");
    let secrets = |why: Option<&str>| vec![ToldSecret { name: "KEY".to_owned(), why: why.map(str::to_owned) }];
    let tell = |link: &mut RawLink, desired: &Desired, secrets| {
        let ready = desired.programs.iter().map(|program| program.hash.clone()).collect();
        link.send(&FromAgent::Programs(Programs { ready, missing: Vec::new(), secrets: Some(secrets) }));
        link.settle();
    };
    tell(&mut link, &Desired::default(), Vec::new());
    let told = warnings(false);
    assert!(told.len() == 2 && told[0].contains("`warm.sh` cannot run on web-1: there is no secret `KEY`"), "{told:?}");

    let desired = link.desired();
    tell(&mut link, &desired, secrets(Some("others can read or write it")));
    let on = || program(&manager, "warm.sh")["machines"][0].clone();
    assert_eq!((&on()["ready"], &on()["why"]), (&json!(false), &json!("others can read or write it")));
    let listed = manager.cli(&["hooks"]).out;
    assert!(listed.contains("ready on 0 of 1 machine"), "{listed}");
    assert!(listed.contains("not ready: `warm.sh` cannot run on web-1: others can read"), "{listed}");
    assert!(listed.contains("cannot run on the manager's host: there is no secret `KEY`"), "{listed}");
    let explained = manager.cli(&["explain", "start", "a@web-1"]);
    assert!(explained.out.contains("others can read or write it"), "{}", explained.out);

    tell(&mut link, &desired, secrets(None));
    let key = manager.data().join("secrets/KEY");
    fs::create_dir_all(key.parent().expect("a directory")).expect("a directory");
    fs::write(&key, "hunter2").expect("a secret");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("permissions");
    assert_eq!(on()["ready"], true);
    assert!(!manager.cli(&["hooks"]).out.contains("not ready"));
    assert_eq!(warnings(true), Vec::<String>::new());
}
