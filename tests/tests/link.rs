//! The link, shown to the manager by an agent without rules: what it answers, what ends the link, who is turned away,
//! and that nothing of it disturbs anybody else.

use std::time::{Duration, Instant};

use agent::{identity, link::tls};
use protocol::{
    join::RefusalCode,
    limits::{MAX_INSTANCES, MAX_MESSAGE, MAX_PATH},
    link::{FromAgent, Hello, Outcome, ToAgent},
    report::digest,
    state::State,
};
use rcgen::{CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tests::{
    https::Https,
    manager::TestManager,
    raw_agent::{self, RawAgent, RawLink, joining_client, report, status},
    wait,
};

const A: &str = "/srv/a";

fn hello(agent: &RawAgent) -> FromAgent {
    FromAgent::Hello(Box::new(agent.hello(vec![])))
}

/// Says hello as it is, and returns how the agent is turned away.
fn turned_away(manager: &TestManager, agent: &RawAgent, hello: Hello) -> (RefusalCode, String) {
    let mut link = agent.dial(manager);
    link.send(&FromAgent::Hello(Box::new(hello)));
    let ended = link.ended();
    assert_eq!(ended.code, Some(1008), "{ended:?}");
    ended.refusal.expect("a refusal")
}

/// Tells of an instance and waits until everybody can see it: the link and the manager live.
fn assert_works(manager: &TestManager, link: &mut RawLink, machine: &str) {
    for state in [State::Active, State::Stopping] {
        link.send(&status("/srv/works", state));
        manager.wait_state(&format!("works@{machine}"), state.as_str());
    }
}

/// The refusals on record, oldest first: the machine's name and the code.
fn refusals(manager: &TestManager) -> Vec<(String, String)> {
    let journal = manager.api("GET", "/journal?since=1-0&limit=1000", None).expect("an answer").json();
    let events = journal["items"].as_array().expect("a list").iter().filter(|event| event["kind"] == "machine.refused");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.map(|event| (text(&event["machine"]), text(&event["data"]["code"]))).collect()
}

#[test]
fn the_first_message_must_be_hello() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    for text in
        ["", "nonsense", "{}", r#"{"type":"gone","base":"/srv/a"}"#, r#"{"type":"dance"}"#, r#"{"type":"hello"}"#]
    {
        let mut link = agent.dial(&manager);
        link.send_text(text);
        let ended = link.ended();
        assert_eq!(ended.refusal.expect("a refusal").0, RefusalCode::BadRequest, "{text}");
    }
    let mut link = agent.dial(&manager);
    link.send_binary(b"hello");
    assert_eq!(link.ended().refusal.expect("a refusal").0, RefusalCode::BadRequest);
    let mut link = agent.dial(&manager);
    link.send_text(&"x".repeat(MAX_MESSAGE + 1));
    link.ended();
    assert_eq!(manager.service("agent@web-1").unwrap()["state"], "not_available");
    assert_works(&manager, &mut agent.link(&manager), "web-1");
}

#[test]
fn what_an_agent_must_not_send_ends_its_link_and_nothing_else() {
    let manager = TestManager::start();
    let mut bystander = RawAgent::join(&manager, "db-1");
    let mut beside = bystander.link_with(&manager, vec![report(A, State::Active)]);
    let mut agent = RawAgent::join(&manager, "web-1");
    let many = (0..300).map(|number| report(&format!("/srv/{number}"), State::Active)).collect();
    let too_long = format!("/{}", "x".repeat(MAX_PATH));
    for (what, text) in [
        ("no JSON", "nonsense".to_owned()),
        ("no type", r#"{"base":"/srv/a"}"#.to_owned()),
        ("a field is missing", r#"{"type":"gone"}"#.to_owned()),
        (
            "a state that is none",
            r#"{"type":"status","instance":{"base":"/srv/a","state":"happy","age_ms":1}}"#.to_owned(),
        ),
        ("a second hello", protocol::link::write(&hello(&agent))),
        ("a base that is not absolute", protocol::link::write(&status("srv/a", State::Active))),
        ("a base that is too long", protocol::link::write(&status(&too_long, State::Active))),
        ("a base with NUL", protocol::link::write(&status("/srv/\0", State::Active))),
        ("too many instances", protocol::link::write(&FromAgent::Instances { instances: many })),
    ] {
        let mut link = agent.link(&manager);
        link.send_text(&text);
        let ended = link.ended();
        assert_eq!(ended.code, Some(1002), "{what}: {ended:?}");
        assert!(!ended.reason.is_empty(), "{what}");
        manager.wait_service("agent@web-1", what, |agent| {
            agent["state"] == "not_available"
                && agent["reason"].as_str().is_some_and(|reason| reason.contains("it broke the protocol"))
        });
    }
    // Nor may it have more instances by telling of them one by one.
    let mut link = agent.link(&manager);
    for number in 0..=MAX_INSTANCES {
        link.send(&status(&format!("/srv/{number}"), State::Active));
    }
    assert_eq!(link.ended().code, Some(1002));
    manager.wait_state("agent@web-1", "not_available");
    let known = manager.status()["services"].as_array().unwrap().iter().filter(|one| one["machine"] == "web-1").count();
    assert_eq!(known, MAX_INSTANCES + 1, "and the agent itself");
    assert_works(&manager, &mut agent.link(&manager), "web-1");
    assert_works(&manager, &mut beside, "db-1");
    assert_eq!(manager.service("a@db-1").unwrap()["state"], "active");
}

#[test]
fn frames_of_another_kind_or_too_large_end_the_link() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.link(&manager);
    link.send_binary(b"{}");
    assert_eq!(link.ended().code, Some(1002));
    let mut link = agent.link(&manager);
    link.send_text(&format!("\"{}\"", "x".repeat(MAX_MESSAGE)));
    link.ended();
    let mut link = agent.link(&manager);
    let largest = r#"{"type":"dance","#.to_owned() + "\"to\":\"";
    let filler = "x".repeat(MAX_MESSAGE - largest.len() - 2);
    link.send_text(&format!("{largest}{filler}\"}}"));
    assert_eq!(link.receive(), ToAgent::Unsupported { message: "dance".to_owned() });
    assert_works(&manager, &mut link, "web-1");
}

#[test]
fn a_hello_with_too_many_instances_or_bad_ones_is_refused() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let many = (0..=MAX_INSTANCES).map(|number| report(&format!("/srv/{number}"), State::Active)).collect();
    for instances in [many, vec![report("srv/a", State::Active)]] {
        let hello = agent.hello(instances);
        assert_eq!(turned_away(&manager, &agent, hello).0, RefusalCode::BadRequest);
    }
    assert_works(&manager, &mut agent.link(&manager), "web-1");
}

#[test]
fn an_unknown_message_is_answered_and_the_link_lives() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.link(&manager);
    link.send_text(r#"{"type":"dance","to":"music"}"#);
    assert_eq!(link.receive(), ToAgent::Unsupported { message: "dance".to_owned() });
    link.send(&FromAgent::Unsupported { message: "\u{1b}[2J".to_owned() });
    assert_works(&manager, &mut link, "web-1");
}

#[test]
fn nobody_answers_for_another_agent() {
    let manager = TestManager::start();
    let (mut ours, mut theirs) = (RawAgent::join(&manager, "web-1"), RawAgent::join(&manager, "web-2"));
    let mut link = ours.link_with(&manager, vec![report(A, State::Stopped)]);
    let mut liar = theirs.link(&manager);
    std::thread::scope(|scope| {
        let triggered = scope.spawn(|| manager.trigger("start", "a@web-1"));
        let ToAgent::Order(order) = link.receive() else { panic!("an order should come") };
        assert_eq!(order.base, A);
        let failed = Outcome::Failed { message: "lied".to_owned() };
        liar.send(&FromAgent::Outcome { order: order.id, outcome: failed });
        liar.settle();
        let done = Outcome::Done { message: "signalled".to_owned() };
        link.send(&FromAgent::Outcome { order: order.id, outcome: done });
        let result = triggered.join().expect("the trigger is answered");
        assert_eq!((&result["outcome"], &result["message"]), (&"done".into(), &"signalled".into()));
    });
    // Nor does anybody speak for another machine's services: a base is of who reports it.
    liar.send(&FromAgent::Gone { base: A.to_owned() });
    liar.send(&status(A, State::Unresponsive));
    manager.wait_state("a@web-2", "unresponsive");
    assert_eq!(manager.service("a@web-1").unwrap()["state"], "stopped");
}

#[test]
fn an_agent_without_a_common_protocol_is_told_which_side_to_upgrade() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    for (oldest, newest, words) in [(99, 99, "upgrade the manager"), (0, 0, "upgrade the agent")] {
        let hello = Hello { protocol: newest, protocol_oldest: oldest, ..agent.hello(vec![]) };
        let (code, message) = turned_away(&manager, &agent, hello);
        assert_eq!(code, RefusalCode::ProtocolUnsupported);
        assert!(message.contains(words), "{message}");
    }
    let refused = ("web-1".to_owned(), "protocol_unsupported".to_owned());
    wait::until("the refusals to be on record", Duration::from_secs(10), || {
        (refusals(&manager) == [refused.clone(), refused.clone()]).then_some(())
    });
    // A newer agent that still understands this manager is welcome.
    let hello = Hello { protocol: 99, ..agent.hello(vec![]) };
    let mut link = agent.dial(&manager);
    link.send(&FromAgent::Hello(Box::new(hello)));
    let welcome = link.welcome();
    assert_eq!(welcome.protocol, protocol::PROTOCOL);
    agent.secret = Some(welcome.link_secret);
}

#[test]
fn an_agent_of_another_grid_is_turned_away() {
    let manager = TestManager::start();
    let agent = RawAgent::join(&manager, "web-1");
    let hello = Hello { grid: uuid::Uuid::nil(), ..agent.hello(vec![]) };
    assert_eq!(turned_away(&manager, &agent, hello).0, RefusalCode::OtherGrid);
}

#[test]
fn a_copy_of_an_agent_is_refused_by_name_and_the_original_stays() {
    let manager = TestManager::start();
    let mut original = RawAgent::join(&manager, "web-1");
    drop(original.link(&manager));
    let copy = original.clone();
    let (watcher, begun) = (manager.watch(), Instant::now());
    let mut link = original.link_with(&manager, vec![report(A, State::Active)]);
    // Events come in order: with this one those of linking have come.
    link.send(&status(A, State::Stopping));
    watcher.wait_state("a@web-1", "stopping", begun);
    let before = watcher.states_of("agent@web-1");
    for secret in [copy.secret.clone(), None, Some("guessed".to_owned())] {
        let hello = Hello { link_secret: secret, ..copy.hello(vec![]) };
        let (code, message) = turned_away(&manager, &copy, hello);
        assert_eq!(code, RefusalCode::AgentCloned);
        assert!(message.contains("a copy of the agent of `web-1`"), "{message}");
    }
    assert_works(&manager, &mut link, "web-1");
    assert_eq!(watcher.states_of("agent@web-1"), before, "the original was disturbed");
    assert_eq!(refusals(&manager).last(), Some(&("web-1".to_owned(), "agent_cloned".to_owned())));
}

#[test]
fn a_secret_that_was_not_kept_may_be_shown_again() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    drop(agent.link(&manager));
    // Killed before the next secret was on disk: the one before is shown, twice in a row.
    for _ in 0..2 {
        let mut link = agent.dial(&manager);
        link.send(&hello(&agent));
        link.welcome();
    }
    assert_works(&manager, &mut agent.link(&manager), "web-1");
}

#[test]
fn a_half_open_connection_is_replaced_and_its_late_end_changes_nothing() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut old = agent.link(&manager);
    old.settle();
    let watcher = manager.watch();
    let mut new = agent.link_with(&manager, vec![report(A, State::Active)]);
    manager.wait_state("a@web-1", "active");
    let ended = old.ended();
    assert_eq!((ended.code, ended.reason.as_str()), (Some(1008), "the same agent has connected again"));
    old.send(&status(A, State::Stopped));
    drop(old);
    assert_works(&manager, &mut new, "web-1");
    assert!(!watcher.states_of("agent@web-1").contains(&"not_available".to_owned()));
    assert_eq!(watcher.states_of("a@web-1"), ["active"]);
}

#[test]
fn a_revoked_agent_is_cut_off_at_once_and_not_taken_again() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.link(&manager);
    let mut dialled = agent.dial(&manager);
    assert_eq!(manager.cli(&["machines", "revoke", "web-1"]).code, 0);
    let (code, message) = link.ended().refusal.expect("a refusal");
    assert_eq!(code, RefusalCode::AgentRevoked);
    assert!(message.contains("was revoked by root"), "{message}");
    assert_eq!(agent.refused_dial(&manager), (403, "agent_revoked".to_owned()));
    // Who had dialled before, and says hello only now, is no exception.
    dialled.send(&hello(&agent));
    assert_eq!(dialled.ended().refusal.expect("a refusal").0, RefusalCode::AgentRevoked);
    assert_eq!(manager.service("agent@web-1").unwrap()["state"], "not_available");
}

#[test]
fn a_removed_machine_is_unknown() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.link_with(&manager, vec![report(A, State::Active)]);
    let mut dialled = agent.dial(&manager);
    assert_eq!(manager.cli(&["machines", "remove", "web-1", "--force"]).code, 0);
    assert_eq!(link.ended().refusal.expect("a refusal").0, RefusalCode::AgentUnknown);
    assert_eq!(agent.refused_dial(&manager), (403, "agent_unknown".to_owned()));
    dialled.send(&hello(&agent));
    assert_eq!(dialled.ended().refusal.expect("a refusal").0, RefusalCode::AgentUnknown);
    assert_eq!(manager.status()["services"], serde_json::json!([]));
    assert_eq!(manager.status()["machines"], serde_json::json!([]));
}

#[test]
fn a_link_needs_a_certificate_of_this_grid() {
    let manager = TestManager::start();
    let agent = RawAgent::join(&manager, "web-1");
    let Err((status, problem)) = raw_agent::dial(&joining_client(&manager), agent.membership.grid).unwrap() else {
        panic!("a link without a certificate")
    };
    assert_eq!((status, problem["code"].as_str()), (403, Some("agent_unknown")));

    let other = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = Issuer::new(authority, other);
    let forged = CertificateParams::default().signed_by(&agent.key_pair(), &issuer).unwrap().pem();
    let agent = RawAgent { certificate: forged, ..agent };
    let error = raw_agent::dial(&agent.https(&manager), agent.membership.grid).err().expect("TLS should fail");
    assert!(error.to_string().contains("alert"), "{error}");
}

#[test]
fn each_face_of_the_port_offers_its_own_paths_only() {
    let manager = TestManager::start();
    let agent = RawAgent::join(&manager, "web-1");
    let admin = manager.token_with(&["--api", "--role", "admin"]);
    let config = tls::member(&agent.membership.authority, &agent.certificate, &agent.key).unwrap();
    let agents = Https::with(&manager, config, tls::server_name(agent.membership.grid)).bearer(&admin);
    for path in ["/", "/healthz", "/readyz", "/api/v1/status", "/api/v1/events"] {
        assert_eq!(agents.get(path).problem(), (404, "no_such_path".to_owned()), "{path}");
    }
    let people = Https::of(&manager).bearer(&admin);
    assert_eq!(people.get("/api/v1/status").status, 200);
    for (method, path) in [("POST", "/agent/v1/join"), ("GET", "/agent/v1/link")] {
        assert_eq!(people.request(method, path, None).problem(), (404, "no_such_path".to_owned()), "{path}");
    }
}

#[test]
fn a_port_without_web_serves_only_agents() {
    let manager = TestManager::start_with(&[("TOMCAT_GRID_NO_WEB", "true")]);
    let mut agent = RawAgent::join(&manager, "web-1");
    assert_works(&manager, &mut agent.link(&manager), "web-1");
    assert!(Https::of(&manager).send("GET", "/healthz", "").is_err());
}

#[test]
fn ten_seconds_of_silence_make_a_machine_not_available() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let watcher = manager.watch();
    let mut link = agent.link_with(&manager, vec![report(A, State::Active)]);
    link.settle();
    let last_heard = Instant::now();
    let seen = watcher.wait_state("a@web-1", "not_available", last_heard);
    assert!(seen.at - last_heard > Duration::from_secs(9), "{:?}", seen.at - last_heard);
    assert!(seen.at - last_heard < Duration::from_secs(15), "{:?}", seen.at - last_heard);
    assert_eq!(seen.event["data"]["last_state"], "active");
    let silent = manager.service("agent@web-1").unwrap();
    assert_eq!(silent["reason"], "nothing was heard from it for 10 s");
}

#[test]
fn a_digest_that_disagrees_is_answered_with_a_question() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.link_with(&manager, vec![report(A, State::Active), report("/srv/b", State::Stopped)]);
    let now = vec![report(A, State::Unresponsive)];
    link.send(&FromAgent::Digest { digest: digest(now.iter()) });
    assert_eq!(link.receive(), ToAgent::Report {});
    link.send(&FromAgent::Instances { instances: now.clone() });
    manager.wait_state("a@web-1", "unresponsive");
    assert!(manager.service("b@web-1").is_none());
    link.send(&FromAgent::Digest { digest: digest(now.iter()) });
    // No question this time: the next answer is to the next message.
    link.settle();
}

#[test]
fn a_goodbye_is_stopped_and_no_goodbye_is_not_available() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.link_with(&manager, vec![report(A, State::Active)]);
    link.send(&FromAgent::Goodbye { reason: "the agent was told to end".to_owned() });
    manager.wait_state("agent@web-1", "stopped");
    assert_eq!(manager.service("a@web-1").unwrap()["last_state"], "active");
    link.ended();
    drop(agent.link_with(&manager, vec![report(A, State::Active)]));
    manager.wait_state("agent@web-1", "not_available");
    manager.wait_state("a@web-1", "not_available");
}

#[test]
fn the_manager_proves_that_it_is_primary() {
    let manager = TestManager::start();
    let agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.dial(&manager);
    link.send(&hello(&agent));
    let welcome = link.welcome();
    identity::verify_statement(&welcome.statement, &agent.membership.authority).unwrap();
    assert_eq!((welcome.grid, welcome.statement.epoch), (agent.membership.grid, 1));
}

#[test]
fn how_an_agent_left_and_what_it_has_no_more_outlive_the_manager() {
    let mut manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.link_with(&manager, vec![report(A, State::Active), report("/srv/b", State::Stopped)]);
    link.send(&FromAgent::Gone { base: "/srv/b".to_owned() });
    link.send(&FromAgent::Goodbye { reason: "told to end".to_owned() });
    let before = manager.wait_state("agent@web-1", "stopped");
    manager.stop();
    manager.start_again();
    let after = manager.service("agent@web-1").unwrap();
    assert_eq!((&after["state"], &after["since"]), (&"stopped".into(), &before["since"]), "{after:#}");
    assert_eq!(after["reason"], "told to end");
    let a = manager.service("a@web-1").unwrap();
    assert_eq!((&a["state"], &a["last_state"]), (&"not_available".into(), &"active".into()), "{a:#}");
    assert_eq!(manager.service("b@web-1"), None);
}
