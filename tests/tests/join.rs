//! Joining: what a token is refused for, what a key gets again, and that a crash at any point loses nothing.

use std::process::Command;

use agent::identity;
use protocol::{
    link::{FromAgent, ToAgent},
    time::Timestamp,
    token::JoinToken,
};
use rcgen::KeyPair;
use serde_json::Value;
use tests::{
    agent::TestAgent,
    manager::{PATIENCE, TestManager},
    programs,
    raw_agent::{RawAgent, ask_to_join},
    wait,
};

/// Makes a join token; returns its id and the token.
fn token(manager: &TestManager, options: &[&str]) -> (String, String) {
    let ran = manager.cli(&[&["token", "create", "-o", "json"], options].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let made: Value = serde_json::from_str(&ran.out).expect("JSON");
    (made["id"].as_str().expect("an id").to_owned(), made["secret"].as_str().expect("a token").to_owned())
}

/// A token as `token list` shows it.
fn listed(manager: &TestManager, id: &str) -> Value {
    let tokens: Vec<Value> = serde_json::from_str(&manager.cli(&["token", "list", "-o", "json"]).out).expect("JSON");
    tokens.into_iter().find(|token| token["id"] == id).expect("the token is listed")
}

fn uses(manager: &TestManager, id: &str) -> u64 {
    listed(manager, id)["uses"].as_u64().expect("a number of uses")
}

/// A token whose time is up.
fn expired_token(manager: &TestManager) -> String {
    let (id, token) = token(manager, &["--ttl", "1s"]);
    wait::until("the token to expire", PATIENCE, || {
        let ends: Timestamp = listed(manager, &id)["expires_at"].as_str()?.parse().ok()?;
        (Timestamp::now() > ends).then_some(())
    });
    token
}

/// A token for one machine, which another has used.
fn used_up_token(manager: &TestManager) -> String {
    let (_, token) = token(manager, &[]);
    RawAgent::join_with(manager, &token, "early-bird");
    token
}

fn revoked_token(manager: &TestManager) -> String {
    let (id, token) = token(manager, &[]);
    assert_eq!(manager.cli(&["token", "revoke", &id]).code, 0);
    token
}

/// A token that this grid has never made, though everything about it is right.
fn invented_token(manager: &TestManager) -> String {
    let genuine: JoinToken = manager.token().parse().expect("a join token");
    JoinToken { secret: [7; 32], ..genuine }.to_string()
}

fn refused(manager: &TestManager, token: &str, machine: &str) -> (u16, String) {
    ask_to_join(manager, token, &KeyPair::generate().unwrap(), machine).problem()
}

#[test]
fn a_token_that_is_not_good_is_refused_in_words_and_a_good_one_then_joins() {
    let manager = TestManager::start();
    let mut agent = TestAgent::builder(&manager, "web-1", manager.dir()).token("unused").build();
    for (token, code, words) in [
        (invented_token(&manager), "token_unknown", "this grid has no such join token"),
        (expired_token(&manager), "token_expired", "this join token expired at"),
        (used_up_token(&manager), "token_used_up", "all 1 uses of this join token are taken"),
        (revoked_token(&manager), "token_revoked", "this join token was revoked"),
        (token(&manager, &["--machine", "db-1"]).1, "token_other_machine", "made for the machine `db-1`, and not for"),
    ] {
        assert_eq!(refused(&manager, &token, "web-1"), (403, code.to_owned()));
        agent.run_with(&[("TOMCAT_GRID_AGENT_TOKEN", &token)]);
        agent.wait_log(words);
        assert!(manager.log().contains(words), "the manager should say so too:\n{}", manager.log());
        agent.stop();
    }
    agent.run_with(&[("TOMCAT_GRID_AGENT_TOKEN", &manager.token())]);
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn a_token_that_cannot_be_read_ends_the_agent_with_the_reason() {
    let manager = TestManager::start();
    let good = manager.token();
    let mut agent = TestAgent::builder(&manager, "web-1", manager.dir()).token("unused").build();
    for (token, words) in [
        ("let me in", "this is not a join token"),
        (&good[..good.len() - 3], "this join token is damaged"),
        (&good.replacen("tgj1.", "tgj1.A", 1), "this join token is damaged"),
    ] {
        agent.run_with(&[("TOMCAT_GRID_AGENT_TOKEN", token)]);
        assert_eq!(agent.wait_ended(), Some(1), "{token}");
        agent.wait_log(words);
        assert_eq!(refused(&manager, token, "web-1"), (403, "token_unknown".to_owned()), "{token}");
    }
    assert!(!agent.log().contains(&good[5..40]), "a token is a secret:\n{}", agent.log());
    agent.run_with(&[("TOMCAT_GRID_AGENT_TOKEN", &good)]);
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn a_token_of_another_grid_is_refused_by_both_sides() {
    let (manager, other) = (TestManager::start(), TestManager::start());
    let foreign = other.token();
    assert_eq!(refused(&manager, &foreign, "web-1"), (403, "other_grid".to_owned()));
    // The agent finds out first: who answers does not hold what the token vouches for.
    let agent = TestAgent::builder(&manager, "web-1", manager.dir()).token(&foreign).run();
    agent.wait_log("is not the manager of this grid");
    assert!(manager.service("agent@web-1").is_none());
}

#[test]
fn a_token_of_two_uses_serves_two_machines() {
    let manager = TestManager::start();
    let (id, token) = token(&manager, &["--uses", "2"]);
    RawAgent::join_with(&manager, &token, "web-1");
    RawAgent::join_with(&manager, &token, "web-2");
    assert_eq!(refused(&manager, &token, "web-3"), (403, "token_used_up".to_owned()));
    assert_eq!(uses(&manager, &id), 2);
}

#[test]
fn the_same_token_and_key_get_the_same_answer_and_cost_no_use() {
    let manager = TestManager::start();
    let (id, token) = token(&manager, &["--uses", "3"]);
    let key = KeyPair::generate().unwrap();
    let answers: Vec<Value> = (0..3).map(|_| ask_to_join(&manager, &token, &key, "web-1").json()).collect();
    for field in ["agent", "machine", "grid"] {
        assert!(answers.iter().all(|answer| answer[field] == answers[0][field]), "{answers:?}");
    }
    assert_eq!(uses(&manager, &id), 1);
    // Also when the token is not good any more: the answer may have been lost a week ago.
    assert_eq!(manager.cli(&["token", "revoke", &id]).code, 0);
    assert_eq!(ask_to_join(&manager, &token, &key, "web-1").json()["agent"], answers[0]["agent"]);
}

#[test]
fn a_name_is_taken_over_only_with_a_token_made_for_it() {
    let manager = TestManager::start();
    let mut old = RawAgent::join(&manager, "web-1");
    let link = old.link(&manager);
    assert_eq!(refused(&manager, &manager.token(), "web-1"), (409, "machine_name_taken".to_owned()));
    let second = TestAgent::builder(&manager, "web-1", manager.dir()).run();
    second.wait_log("token create --machine web-1");
    manager.wait_state("agent@web-1", "active");

    drop(link);
    let mut rebuilt = RawAgent::join_with(&manager, &manager.token_with(&["--machine", "web-1"]), "web-1");
    assert_eq!(rebuilt.membership.agent, old.membership.agent);
    assert_eq!(old.refused_dial(&manager), (403, "agent_unknown".to_owned()));
    let _link = rebuilt.link(&manager);
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn an_agent_killed_between_any_two_steps_of_joining_joins_with_the_same_token() {
    let manager = TestManager::start();
    for point in ["key_made", "key_stored", "join_asking", "join_answered", "join_stored"] {
        let machine = point.replace('_', "-");
        let (id, token) = token(&manager, &[]);
        let mut agent = TestAgent::builder(&manager, &machine, manager.dir()).token(&token).build();
        agent.run_with(&[("FAILPOINTS", &format!("{point}=return"))]);
        assert_eq!(agent.wait_ended(), None, "killed at {point}:\n{}", agent.log());
        agent.run();
        manager.wait_state(&format!("agent@{machine}"), "active");
        assert_eq!(uses(&manager, &id), 1, "{point}");
    }
}

#[test]
fn a_manager_killed_between_any_two_steps_of_joining_loses_no_use() {
    let mut manager = TestManager::start();
    for point in ["join_received", "join_committed", "join_signed"] {
        let machine = point.replace('_', "-");
        let (id, token) = token(&manager, &[]);
        let mut agent = TestAgent::builder(&manager, &machine, manager.dir()).token(&token).build();
        manager.stop();
        manager.run(&[("FAILPOINTS", &format!("{point}=return"))]);
        manager.wait_ready();
        agent.run();
        assert_eq!(manager.wait_ended(), None, "killed at {point}:\n{}", manager.log());
        manager.start_again();
        manager.wait_state(&format!("agent@{machine}"), "active");
        assert_eq!(uses(&manager, &id), 1, "{point}");
    }
}

#[test]
fn an_agent_that_starts_before_its_manager_joins_when_it_comes() {
    let mut manager = TestManager::start();
    let mut agent = TestAgent::builder(&manager, "web-1", manager.dir()).build();
    manager.stop();
    agent.run();
    agent.wait_log("cannot reach the manager");
    manager.start_again();
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn an_agent_belongs_to_one_grid() {
    let (manager, other) = (TestManager::start(), TestManager::start());
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    agent.stop();
    agent.run_with(&[("TOMCAT_GRID_AGENT_TOKEN", &other.token())]);
    assert_eq!(agent.wait_ended(), Some(1));
    agent.wait_log("an agent obeys one grid");
    agent.run();
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn two_agents_do_not_share_a_state_directory() {
    let manager = TestManager::start();
    let agent = TestAgent::start(&manager, "web-1", manager.dir());
    let url = format!("https://{}", manager.address());
    let second = programs::run(
        Command::new(programs::path("tomcat-grid-agent"))
            .args(["run", "--manager", &url, "--name", "web-2", "--state"])
            .arg(agent.state())
            .env("TOMCAT_GRID_AGENT_TOKEN", manager.token()),
    );
    assert_eq!(second.code, 1);
    assert!(second.err.contains("another agent uses the state directory"), "{}", second.err);
    manager.wait_state("agent@web-1", "active");
    assert!(manager.service("agent@web-2").is_none());
}

#[test]
fn an_agent_comes_back_after_months_and_gets_a_new_certificate() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    agent.certificate = agent.expired_certificate(&manager);
    let mut link = agent.link(&manager);
    link.send(&FromAgent::Renew { csr: identity::signing_request(&agent.key_pair()).unwrap() });
    let ToAgent::Certificate { certificate } = link.receive() else { panic!("a certificate should come") };
    let (from, to) = identity::validity(&certificate).unwrap();
    assert!(from < Timestamp::now() && Timestamp::now() < to, "{from} {to}");
    drop(link);
    agent.certificate = certificate;
    let _link = agent.link(&manager);
}

#[test]
fn a_real_agent_renews_a_certificate_that_has_expired() {
    let manager = TestManager::start();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    agent.stop();
    let file = agent.state().join("membership.json");
    let mut membership: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let key = std::fs::read_to_string(agent.state().join("key.pem")).unwrap();
    let template = RawAgent::join(&manager, "template");
    let expired = RawAgent { key, ..template }.expired_certificate(&manager);
    membership["certificate"] = expired.clone().into();
    std::fs::write(&file, membership.to_string()).unwrap();

    agent.run();
    agent.wait_log("the certificate was renewed");
    let membership: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let (_, to) = identity::validity(membership["certificate"].as_str().unwrap()).unwrap();
    assert!(to > Timestamp::now(), "{to}");
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn a_certificate_is_renewed_for_the_registered_key_only() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let mut link = agent.link(&manager);
    link.send(&FromAgent::Renew { csr: identity::signing_request(&KeyPair::generate().unwrap()).unwrap() });
    assert!(link.ended().reason.contains("for the registered key only"));
    let mut link = agent.link(&manager);
    link.send(&FromAgent::Renew { csr: "no request".to_owned() });
    assert_eq!(link.ended().code, Some(1002));
}
