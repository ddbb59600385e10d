//! Tags: given to services and machines, named as targets, and kept.

use std::io::BufRead;

use protocol::{
    link::{FromAgent, Outcome, ToAgent},
    state::State,
};
use serde_json::{Value, json};
use tests::{
    http,
    https::Https,
    manager::TestManager,
    people,
    programs::Ran,
    raw_agent::{RawAgent, RawLink, report, status},
    wait,
};

/// A machine with two instances, `a@NAME` and `b@NAME`.
fn machine(manager: &TestManager, name: &str) -> (RawAgent, RawLink) {
    let mut agent = RawAgent::join(manager, name);
    let link = link(manager, &mut agent, name);
    (agent, link)
}

fn link(manager: &TestManager, agent: &mut RawAgent, name: &str) -> RawLink {
    let instances = vec![report("/srv/a", State::Active), report("/srv/b", State::Stopped)];
    let link = agent.link_with(manager, instances);
    manager.wait_state(&format!("a@{name}"), "active");
    link
}

#[track_caller]
fn done(manager: &TestManager, arguments: &[&str]) -> String {
    let Ran { code, out, err } = manager.cli(arguments);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    out
}

fn names(manager: &TestManager, target: &str) -> Vec<String> {
    done(manager, &["status", target, "-o", "name"]).lines().map(str::to_owned).collect()
}

fn tags_of(manager: &TestManager, service: &str) -> Value {
    manager.service(service).expect("the service")["tags"].clone()
}

#[test]
fn a_tag_names_what_has_it_and_what_is_on_a_machine_that_has_it() {
    let manager = TestManager::start();
    let (_one, mut one) = machine(&manager, "web-1");
    let _two = machine(&manager, "web-2");
    assert!(!done(&manager, &["status"]).contains("TAGS"), "nothing has a tag yet");
    assert!(done(&manager, &["tags"]).contains("No tags yet"));

    let out = done(&manager, &["tags", "add", "prod", "blue", "--on", "a@web-1", "b@web-1", "--machine", "web-2"]);
    assert_eq!(out.lines().count(), 3, "{out}");
    done(&manager, &["tags", "add", "db", "--on", "@web-1"]);
    assert_eq!(names(&manager, "#prod"), ["a@web-1", "b@web-1", "a@web-2", "b@web-2"]);
    assert_eq!(names(&manager, "#db"), ["a@web-1", "b@web-1"]);
    assert_eq!(tags_of(&manager, "a@web-1"), json!(["blue", "db", "prod"]));
    assert_eq!(tags_of(&manager, "agent@web-2"), json!(["blue", "prod"]));
    assert_eq!(tags_of(&manager, "agent@web-1"), json!([]));

    let table = done(&manager, &["status"]);
    assert!(table.lines().next().unwrap().contains("TAGS") && table.contains("blue,db,prod"), "{table}");
    let machines = done(&manager, &["machines"]);
    assert!(machines.lines().next().unwrap().ends_with("TAGS") && machines.contains("blue,prod"), "{machines}");
    let tags = manager.api("GET", "/tags?limit=2", None).unwrap().json();
    assert_eq!(tags["items"][0], json!({"tag": "blue", "machines": 1, "services": 4}));
    let rest = manager.api("GET", &format!("/tags?cursor={}", tags["next"].as_str().unwrap()), None).unwrap().json();
    assert_eq!(rest, json!({"items": [{"tag": "prod", "machines": 1, "services": 4}], "next": null}));

    std::thread::scope(|scope| {
        let triggered = scope.spawn(|| manager.cli(&["trigger-start", "#db", "-o", "name"]));
        for _ in 0..2 {
            let ToAgent::Order(order) = one.receive() else { panic!("an order should come") };
            let outcome = Outcome::Done { message: "pid 7".to_owned() };
            one.send(&FromAgent::Outcome { order: order.id, outcome });
        }
        assert_eq!(triggered.join().unwrap().out, "a@web-1\nb@web-1\n");
    });

    assert_eq!(done(&manager, &["tags", "remove", "prod", "--on", "a@web-1", "-o", "name"]), "a@web-1\n");
    assert_eq!(names(&manager, "#prod"), ["b@web-1", "a@web-2", "b@web-2"]);
    let again = manager.cli(&["tags", "remove", "prod", "--on", "a@web-1", "--detailed-exitcode"]);
    assert_eq!(again.code, 14, "{}", again.err);
    let miss = manager.cli(&["status", "#pro"]);
    assert!(miss.code == 9 && miss.err.contains("did you mean `prod`?"), "{}", miss.err);
}

#[test]
fn a_change_of_tags_is_told_at_once() {
    let manager = TestManager::start();
    let _web = machine(&manager, "web-1");
    let watcher = manager.watch();
    let body = json!({"add": ["prod"], "services": ["a@web-1"], "machines": ["web-1"]});
    let answer = manager.api("POST", "/tags", Some(&body)).unwrap().json();
    assert_eq!(answer, json!({"services": ["a@web-1"], "machines": ["web-1"]}));
    watcher.wait_for("b to have its machine's tag", |event| {
        event["service"] == "b@web-1" && event["data"]["tags"] == json!(["prod"])
    });
    let seen: Vec<Value> = watcher.seen().into_iter().map(|seen| seen.event).collect();
    assert_eq!(seen[0]["kind"], "tags.changed", "{seen:#?}");
    let told = json!({"services": ["a@web-1"], "machines": ["web-1"], "add": ["prod"], "remove": []});
    assert_eq!((&seen[0]["data"], &seen[0]["actor"]), (&told, &"root".into()));
    let kinds: Vec<(&str, Option<&str>)> =
        seen[1..].iter().map(|event| (event["kind"].as_str().unwrap(), event["service"].as_str())).collect();
    let service = |name| ("service.state", Some(name));
    let expected = [("machine.state", None), service("agent@web-1"), service("a@web-1"), service("b@web-1")];
    assert_eq!(kinds, expected);
    assert!(seen[1..].iter().all(|event| event["data"]["tags"] == json!(["prod"])), "{seen:#?}");
}

#[test]
fn tags_are_kept_over_links_restarts_and_other_names_and_go_with_the_machine() {
    let mut manager = TestManager::start();
    let (mut agent, first) = machine(&manager, "web-1");
    done(&manager, &["tags", "add", "prod", "--on", "a@web-1", "--machine", "web-1"]);
    done(&manager, &["tags", "add", "blue", "--on", "a@web-1"]);
    drop(first);
    manager.wait_state("a@web-1", "not_available");
    assert_eq!(names(&manager, "#blue"), ["a@web-1"]);
    manager.kill();
    manager.start_again();
    assert_eq!(names(&manager, "#blue"), ["a@web-1"], "before the agent is back");
    let mut second = link(&manager, &mut agent, "web-1");
    assert_eq!(tags_of(&manager, "a@web-1"), json!(["blue", "prod"]));

    let mut renamed = report("/srv/a", State::Active);
    renamed.declared_name = Some("shop".parse().unwrap());
    second.send(&FromAgent::Status { instance: Box::new(renamed) });
    manager.wait_state("shop", "active");
    assert_eq!(names(&manager, "#blue"), ["shop"]);
    second.send(&FromAgent::Gone { base: "/srv/a".to_owned() });
    second.settle();
    assert_eq!(manager.cli(&["status", "#blue"]).code, 9);
    second.send(&status("/srv/a", State::Starting));
    manager.wait_state("shop", "starting");
    assert_eq!(names(&manager, "#blue"), ["shop"]);

    done(&manager, &["machines", "remove", "web-1", "--force"]);
    let _anew = machine(&manager, "web-1");
    assert_eq!(tags_of(&manager, "a@web-1"), json!([]));
    manager.stop();
    manager.start_again();
    assert_eq!(done(&manager, &["tags", "-o", "name"]), "");
}

#[test]
fn what_cannot_be_tagged_is_refused_and_nothing_is_changed() {
    let manager = TestManager::start();
    let _web = machine(&manager, "web-1");
    let many: Vec<String> = (0..33).map(|n| format!("t{n}")).collect();
    let long = "x".repeat(65);
    for (body, status, code) in [
        (json!({"add": ["prod"], "services": ["agent@web-1"]}), 400, "invalid"),
        (json!({"add": ["prod"], "services": ["a@web-1", "c@web-1"]}), 404, "no_such_target"),
        (json!({"add": ["prod"], "services": ["a@web-1"], "machines": ["web-9"]}), 404, "no_such_target"),
        (json!({"add": ["prod"]}), 400, "invalid"),
        (json!({"services": ["a@web-1"]}), 400, "invalid"),
        (json!({"add": ["prod"], "remove": ["prod"], "services": ["a@web-1"]}), 400, "invalid"),
        (json!({"add": ["a b"], "services": ["a@web-1"]}), 400, "invalid"),
        (json!({"add": [""], "services": ["a@web-1"]}), 400, "invalid"),
        (json!({"add": [long], "services": ["a@web-1"]}), 400, "invalid"),
        (json!({"add": many, "services": ["a@web-1"]}), 400, "invalid"),
        (json!({"add": ["prod"], "services": ["@web-1"]}), 400, "invalid"),
        (json!({"add": ["prod"], "services": ["a@web-1"], "force": true}), 400, "invalid"),
    ] {
        let answer = manager.api("POST", "/tags", Some(&body)).unwrap();
        assert_eq!((answer.status, &answer.json()["code"]), (status, &code.into()), "{body}: {}", answer.body);
    }
    for arguments in [
        &["tags", "add", "prod"][..],
        &["tags", "add", "--on", "a@web-1"],
        &["tags", "add", "a b", "--on", "a@web-1"],
        &["tags", "add", "prod", "--machine", "a/b"],
    ] {
        assert_eq!(manager.cli(arguments).code, 2, "{arguments:?}");
    }
    assert_eq!(manager.cli(&["tags", "add", "prod", "--on", "agents"]).code, 2);
    let viewer = Https::of(&manager).bearer(&manager.token_with(&["--api", "--role", "viewer"]));
    let body = json!({"add": ["prod"], "services": ["a@web-1"]});
    assert_eq!(viewer.request("POST", "/api/v1/tags", Some(&body)).problem(), (403, "not_allowed".to_owned()));
    assert_eq!(viewer.get("/api/v1/tags").json(), json!({"items": [], "next": null}));
}

#[test]
fn what_many_tag_at_once_is_the_same_on_disk() {
    let mut manager = TestManager::start();
    let _web = machine(&manager, "web-1");
    let socket = manager.socket();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let socket = &socket;
            scope.spawn(move || {
                for n in 0..12 {
                    let what = if (worker + n) % 3 == 0 { "remove" } else { "add" };
                    let body = json!({what: [format!("t{}", n % 3)], "services": ["a@web-1"], "machines": ["web-1"]});
                    let answer = http::request(socket, "POST", "/api/v1/tags", Some(&body)).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.body);
                }
            });
        }
    });
    let shown = manager.api("GET", "/tags", None).unwrap().json();
    let services = (tags_of(&manager, "a@web-1"), tags_of(&manager, "b@web-1"));
    manager.kill();
    manager.start_again();
    wait::until("the tags", tests::manager::PATIENCE, || {
        (manager.api("GET", "/tags", None)?.json() == shown).then_some(())
    });
    assert_eq!((tags_of(&manager, "a@web-1"), tags_of(&manager, "b@web-1")), services);
}

#[test]
fn a_token_that_is_limited_to_a_tag_follows_it() {
    let manager = TestManager::start();
    let mut link = machine(&manager, "web-1").1;
    done(&manager, &["tags", "add", "shop", "--on", "a@web-1", "b@web-1"]);
    let admin = people::session(&manager, "ada", "admin");
    let (_, limited) = people::token(&manager, &admin, json!({"role": "operator", "targets": ["#shop"]}));
    let shown = |snapshot: &Value| {
        let names = snapshot["services"].as_array().unwrap().iter().map(|service| service["name"].clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(shown(&limited.get("/api/v1/status").json()), ["a@web-1", "b@web-1"]);
    let mut stream = limited.open("/api/v1/events").expect("the stream opens");
    done(&manager, &["tags", "remove", "shop", "--on", "b@web-1"]);
    // No event may tell of what is another's now: a snapshot does.
    let snapshot: Value = loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream ended");
        if line.trim_end() == "event: reset" {
            let mut data = String::new();
            stream.read_line(&mut data).unwrap();
            break serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        }
    };
    assert_eq!(shown(&snapshot), ["a@web-1"]);
    link.send(&status("/srv/b", State::Active));
    link.send(&status("/srv/a", State::Stopping));
    manager.wait_state("a@web-1", "stopping");
    let mut told = String::new();
    while !told.contains("stopping") {
        assert!(stream.read_line(&mut told).unwrap() > 0, "the stream ended");
    }
    assert!(!told.contains("b@web-1"), "{told}");
    let body = json!({"action": "stop", "targets": ["b@web-1"]});
    assert_eq!(limited.request("POST", "/api/v1/trigger", Some(&body)).problem(), (403, "not_allowed".to_owned()));
    for (method, path) in [("GET", "/api/v1/tags"), ("POST", "/api/v1/tags"), ("GET", "/api/v1/audit")] {
        let body = json!({"add": ["shop"], "services": ["b@web-1"]});
        let body = (method == "POST").then_some(&body);
        assert_eq!(limited.request(method, path, body).problem(), (403, "not_allowed".to_owned()), "{method} {path}");
    }
}
