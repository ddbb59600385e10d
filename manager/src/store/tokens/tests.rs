//! Tokens in a store of their own.

use super::*;
use crate::store::temporary;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn event(seq: u64) -> EventRow {
    EventRow { seq, at: at(1), body: "{}".to_owned(), deed: None }
}

fn api(n: u8, owner: Option<&str>) -> Token {
    Token {
        id: format!("id{n}"),
        r#type: TokenType::Api,
        role: Some(Role::Operator),
        machine: None,
        max_uses: None,
        uses: None,
        owner: owner.map(str::to_owned),
        targets: Some(vec!["#shop".to_owned(), "a@web-1".to_owned()]),
        description: "for the pipeline".to_owned(),
        created_at: at(1),
        created_by: "root".to_owned(),
        expires_at: at(100),
        revoked_at: None,
        last_used_at: None,
        last_used_from: None,
    }
}

async fn with_alice(role: Role) -> (tempfile::TempDir, Store) {
    let (dir, store) = temporary().await;
    store.add_user("alice", "hash", role, at(1)).await.unwrap();
    store.add_user("root", "hash", Role::Admin, at(1)).await.unwrap();
    (dir, store)
}

async fn role_of(store: &Store, hash: u8) -> Option<Role> {
    store.api_token(&[hash; 32], at(50)).await.unwrap().map(|token| token.role)
}

#[tokio::test]
async fn a_token_is_as_good_as_its_owner() {
    let (_dir, store) = with_alice(Role::Viewer).await;
    store.add_token(&api(1, Some("alice")), &[1; 32], &event(1)).await.unwrap();
    store.add_token(&api(2, None), &[2; 32], &event(2)).await.unwrap();
    assert_eq!((role_of(&store, 1).await, role_of(&store, 2).await), (Some(Role::Viewer), Some(Role::Operator)));
    store.change_role("alice", Role::Admin, &event(3)).await.unwrap();
    assert_eq!(role_of(&store, 1).await, Some(Role::Operator));
    store.remove_user("alice", &event(4)).await.unwrap();
    assert_eq!((role_of(&store, 1).await, role_of(&store, 2).await), (None, Some(Role::Operator)));
    let stranger = store.add_token(&api(3, Some("alice")), &[3; 32], &event(5)).await;
    assert!(matches!(stranger, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn what_is_stored_is_told() {
    let (_dir, store) = with_alice(Role::Operator).await;
    let token = api(1, Some("alice"));
    store.add_token(&token, &[1; 32], &event(1)).await.unwrap();
    assert_eq!(store.token("id1").await.unwrap(), Some(token.clone()));
    let good = store.api_token(&[1; 32], at(50)).await.unwrap().unwrap();
    assert_eq!(good.targets.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), ["#shop", "a@web-1"]);
    assert_eq!(store.api_token(&[1; 32], at(100)).await.unwrap(), None, "its time is over");
}

#[tokio::test]
async fn the_last_use_is_noted_once_a_minute() {
    let (_dir, store) = with_alice(Role::Operator).await;
    store.add_token(&api(1, None), &[1; 32], &event(1)).await.unwrap();
    for (now, from, noted) in [(10, "a", 10), (69, "b", 10), (70, "c", 70)] {
        store.note_use("id1", from, at(now)).await.unwrap();
        assert_eq!(store.token("id1").await.unwrap().unwrap().last_used_at, Some(at(noted)), "{now}");
    }
    assert_eq!(store.token("id1").await.unwrap().unwrap().last_used_from.as_deref(), Some("c"));
}

#[tokio::test]
async fn tokens_are_told_in_parts_and_by_what_they_are() {
    let (_dir, store) = with_alice(Role::Operator).await;
    let join = Token { r#type: TokenType::Join, role: None, targets: None, ..api(9, None) };
    store.add_token(&join, &[9; 32], &event(9)).await.unwrap();
    for n in 1..=3 {
        store.add_token(&api(n, (n != 2).then_some("alice")), &[n; 32], &event(n.into())).await.unwrap();
    }
    let ids = async |which: Which| {
        let page = store.tokens(&which, None, 10).await.unwrap();
        page.items.into_iter().map(|token| token.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Which::default()).await, ["id1", "id2", "id3", "id9"]);
    assert_eq!(ids(Which { r#type: Some(TokenType::Join), owner: None }).await, ["id9"]);
    assert_eq!(ids(Which { r#type: None, owner: Some("alice".to_owned()) }).await, ["id1", "id3"]);
    let page = store.tokens(&Which::default(), None, 2).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("1000.id2"));
    let page = store.tokens(&Which::default(), Some((1000, "id2")), 2).await.unwrap();
    assert_eq!((page.items[0].id.as_str(), page.items.len(), page.next), ("id3", 2, None));
}

#[tokio::test]
async fn a_user_has_so_many_tokens_and_no_more() {
    let (_dir, store) = with_alice(Role::Operator).await;
    for n in 0..100 {
        store.add_token(&api(n, Some("alice")), &[n; 32], &event(u64::from(n) + 1)).await.unwrap();
    }
    let more = store.add_token(&api(100, Some("alice")), &[100; 32], &event(500)).await;
    assert!(matches!(more, Err(StoreError::Conflict(_))));
    store.revoke_token("id7", at(2), &event(500)).await.unwrap();
    store.add_token(&api(100, Some("alice")), &[100; 32], &event(501)).await.unwrap();
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten() {
    let (_dir, store) = with_alice(Role::Operator).await;
    let join = Token { r#type: TokenType::Join, role: None, targets: None, ..api(9, None) };
    store.add_token(&join, &[9; 32], &event(9)).await.unwrap();
    for n in 1..=2 {
        let expires_at = at(100).after(KEPT * u32::from(n));
        store.add_token(&Token { expires_at, ..api(n, None) }, &[n; 32], &event(n.into())).await.unwrap();
    }
    store.revoke_token("id2", at(100), &event(20)).await.unwrap();
    let new = Token { created_at: at(101).after(KEPT), expires_at: at(200).after(KEPT), ..api(3, None) };
    store.add_token(&new, &[3; 32], &event(3)).await.unwrap();
    let left = store.tokens(&Which::default(), None, 10).await.unwrap();
    assert_eq!(left.items.iter().map(|token| token.id.as_str()).collect::<Vec<_>>(), ["id1", "id3"]);
}
