//! Users and sessions in a store of their own.

use std::time::Duration;

use super::*;
use crate::store::temporary;

fn now() -> Timestamp {
    Timestamp::from_millis(1000)
}

fn event(seq: u64) -> EventRow {
    EventRow { seq, at: now(), body: "{}".to_owned(), deed: None }
}

fn later() -> Timestamp {
    now().after(Duration::from_secs(60))
}

async fn with_alice() -> (tempfile::TempDir, Store) {
    let (dir, store) = temporary().await;
    assert!(!store.has_users().await.unwrap());
    store.create_user("alice", "hash", Role::Admin, "root", &event(1)).await.unwrap();
    (dir, store)
}

async fn user_of(store: &Store, session: u8) -> Option<String> {
    store.session(&[session; 32], now()).await.unwrap().map(|session| session.user)
}

#[tokio::test]
async fn a_session_ends_by_time_and_by_logging_out() {
    let (_dir, store) = with_alice().await;
    store.add_session(&[1; 32], "alice", "hash", later(), &event(2)).await.unwrap();
    assert!(store.add_session(&[2; 32], "alice", "hash", later(), &event(2)).await.is_err(), "the number is taken");
    assert_eq!(user_of(&store, 2).await, None);
    let session = Session { user: "alice".to_owned(), role: Role::Admin, expires_at: later() };
    assert_eq!(store.session(&[1; 32], now()).await.unwrap(), Some(session));
    assert_eq!(store.session(&[1; 32], later()).await.unwrap(), None);
    let alice = store.user("alice", now()).await.unwrap();
    assert_eq!((alice.sessions, alice.last_login_at), (1, Some(now())));
    assert_eq!(store.user("alice", later()).await.unwrap().sessions, 0);
    store.end_session(&[1; 32], &event(3)).await.unwrap();
    assert_eq!(user_of(&store, 1).await, None);
    assert!(matches!(store.end_session(&[1; 32], &event(4)).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_opens_no_session() {
    let (_dir, store) = with_alice().await;
    store.set_password("alice", None, "new", None, &event(2)).await.unwrap();
    let late = store.add_session(&[1; 32], "alice", "hash", later(), &event(3)).await;
    assert!(matches!(late, Err(StoreError::NotFound)));
    let late = store.set_password("alice", Some("hash"), "newer", None, &event(3)).await;
    assert!(matches!(late, Err(StoreError::NotFound)));
    assert_eq!(store.password_hash("alice").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn another_password_ends_the_other_sessions() {
    let (_dir, store) = with_alice().await;
    for n in 1..=3 {
        store.add_session(&[n; 32], "alice", "hash", later(), &event(u64::from(n) + 1)).await.unwrap();
    }
    store.set_password("alice", Some("hash"), "new", Some(&[2; 32]), &event(9)).await.unwrap();
    assert_eq!((user_of(&store, 1).await, user_of(&store, 3).await), (None, None));
    assert_eq!(user_of(&store, 2).await.as_deref(), Some("alice"));
    store.set_password("alice", None, "newer", None, &event(10)).await.unwrap();
    assert_eq!(user_of(&store, 2).await, None);
}

#[tokio::test]
async fn the_last_admin_stays() {
    let (_dir, store) = with_alice().await;
    let refused = |result| matches!(result, Err(StoreError::Conflict(_)));
    assert!(refused(store.change_role("alice", Role::Operator, &event(2)).await));
    assert!(refused(store.remove_user("alice", &event(2)).await));
    assert!(refused(store.create_user("alice", "x", Role::Viewer, "root", &event(2)).await));
    store.create_user("bob", "hash", Role::Viewer, "alice", &event(2)).await.unwrap();
    assert!(refused(store.remove_user("alice", &event(3)).await), "bob is no admin");
    store.change_role("bob", Role::Admin, &event(3)).await.unwrap();
    store.change_role("alice", Role::Operator, &event(4)).await.unwrap();
    assert!(refused(store.remove_user("bob", &event(5)).await));
    store.remove_user("alice", &event(5)).await.unwrap();
    assert!(matches!(store.user("alice", now()).await, Err(StoreError::NotFound)));
    assert!(matches!(store.remove_user("alice", &event(6)).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn users_are_told_in_parts() {
    let (_dir, store) = with_alice().await;
    for (n, name) in ["carol", "bob"].into_iter().enumerate() {
        store.create_user(name, "hash", Role::Viewer, "alice", &event(n as u64 + 2)).await.unwrap();
    }
    let first = store.users(None, 2, now()).await.unwrap();
    let names = |page: &Page<User>| page.items.iter().map(|user| user.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&first), first.next.as_deref()), (vec!["alice".to_owned(), "bob".to_owned()], Some("bob")));
    let rest = store.users(first.next.as_deref(), 2, now()).await.unwrap();
    assert_eq!((names(&rest), rest.next), (vec!["carol".to_owned()], None));
}
