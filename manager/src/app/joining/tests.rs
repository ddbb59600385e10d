//! Who is greeted, in what order.

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::{
    app::{journal::Told, tokens::Wanted},
    grid::access::{Caller, Role},
};

#[test]
fn only_a_living_secret_is_taken() {
    let (a, b, c) = ([1; 32], [2; 32], [3; 32]);
    for (secret, next, shown, taken) in [
        (None, None, None, true),
        (None, Some(b), None, true),
        (None, Some(b), Some(b), true),
        (Some(a), Some(b), Some(a), true),
        (Some(a), Some(b), Some(b), true),
        (Some(a), None, Some(a), true),
        (Some(b), None, Some(a), false),
        (Some(b), Some(c), Some(a), false),
        (Some(a), None, None, false),
    ] {
        let agent = Registration {
            id: Uuid::nil(),
            machine: "web-1".parse().unwrap(),
            revoked: false,
            secret,
            next_secret: next,
        };
        assert_eq!(shows_a_living_secret(&agent, shown), taken, "{secret:?} {next:?} {shown:?}");
    }
}

/// A manager without sockets, and the key of a machine that has joined.
async fn with_a_member() -> (tempfile::TempDir, Arc<App>, Hash) {
    let (dir, app) = crate::app::temporary::app().await;
    let admin = Caller::at_socket("me".to_owned(), Some(Role::Admin));
    let wanted = Wanted::Join { uses: 1, machine: None };
    let (_, token) = app.create_token(&admin, wanted, std::time::Duration::from_secs(60)).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::new(vec![]).unwrap().serialize_request(&key).unwrap().pem().unwrap();
    let hash = AgentKey::from_request(&csr).unwrap().hash();
    let facts = MachineFacts::default();
    app.join(JoinRequest { token, csr, machine: "web-1".parse().unwrap(), facts }, "here").await.unwrap();
    (dir, app, hash)
}

fn hello(app: &App, secret: Option<&str>) -> Hello {
    Hello {
        protocol: PROTOCOL,
        protocol_oldest: PROTOCOL_OLDEST,
        agent_version: "1".to_owned(),
        grid: app.meta.grid,
        link_secret: secret.map(str::to_owned),
        highest: None,
        facts: MachineFacts::default(),
        instances: Vec::new(),
    }
}

#[tokio::test]
async fn a_greeting_that_comes_late_changes_nothing() {
    let (_dir, app, key) = with_a_member().await;
    let (first, given_up, second) = (app.links.mailbox(), app.links.mailbox(), app.links.mailbox());
    let (welcome, _) = app.greet(&key, &first, hello(&app, None)).await.unwrap();
    let held = welcome.link_secret;
    let (welcome, agent) = app.greet(&key, &second, hello(&app, Some(&held))).await.unwrap();
    let before = app.admit(&key).await.unwrap();
    for _ in 0..2 {
        let late = app.greet(&key, &given_up, hello(&app, Some(&held))).await;
        assert!(matches!(late, Err(Turned::Away(Refusal { code: RefusalCode::Unavailable, .. }))), "{late:?}");
        assert_eq!(app.admit(&key).await.unwrap(), before);
        // Nor when the newer one has ended meanwhile.
        app.links.remove(agent.id, second.number);
    }
    let back = app.links.mailbox();
    app.greet(&key, &back, hello(&app, Some(&welcome.link_secret))).await.unwrap();
}

#[tokio::test]
async fn a_registration_that_is_another_now_is_not_greeted() {
    let (_dir, app, key) = with_a_member().await;
    let read = app.admit(&key).await.unwrap();
    let facts = MachineFacts::default();
    let greet = async |key: &Hash, next| app.store.greet(&read, key, None, next, "1", &facts).await.unwrap();
    assert!(!greet(&[9; 32], [1; 32]).await, "another key");
    assert!(greet(&key, [1; 32]).await);
    assert!(!greet(&key, [2; 32]).await, "greeted meanwhile");
    assert_eq!(app.admit(&key).await.unwrap().next_secret, Some([1; 32]));
}

#[tokio::test]
async fn strangers_are_not_on_record() {
    let (_dir, app, _key) = with_a_member().await;
    let unknown = JoinToken { grid: app.meta.grid, authority: app.authority.fingerprint(), secret: [7; 32] };
    let mut live = app.journal.watch_live();
    for _ in 0..3 {
        let machine = "web-2".parse().unwrap();
        let request =
            JoinRequest { token: unknown.to_string(), csr: String::new(), machine, facts: MachineFacts::default() };
        let refused = app.join(request, "here").await;
        assert!(matches!(refused, Err(Turned::Away(Refusal { code: RefusalCode::TokenUnknown, .. }))), "{refused:?}");
    }
    app.journal.tell(Draft::new(Kind::ManagerStarted).actor("the last"));
    loop {
        let Told::Event(event) = live.recv().await.unwrap() else { panic!("events were lost") };
        assert!(!event.body.contains("machine.refused"), "{}", event.body);
        if event.body.contains("the last") {
            break;
        }
    }
}
