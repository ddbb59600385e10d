//! What reaches the audit, asked of the database itself.

use std::time::Duration;

use protocol::{secret::Secret, state::Action};

use super::*;
use crate::{
    app::{temporary::app, tokens::Wanted},
    grid::{access::Role, target::Target},
};

fn caller(role: Role) -> Caller {
    Caller::at_socket("root".to_owned(), Some(role))
}

fn secret(text: &str) -> Secret {
    text.to_owned().into()
}

/// Every record, as `ACTOR/CREDENTIAL ACTION SUBJECT OUTCOME`.
async fn audit(app: &App) -> Vec<String> {
    let rows: Vec<(String, String, String, String, String)> =
        sqlx::query_as("select actor, credential, action, subject, outcome from audit order by seq")
            .fetch_all(&app.store.grid.read)
            .await
            .unwrap();
    rows.into_iter()
        .map(|(actor, by, action, subject, came)| format!("{actor}/{by} {action} {subject} {came}"))
        .collect()
}

async fn details(app: &App) -> Vec<String> {
    let rows: Vec<(String,)> =
        sqlx::query_as("select detail from audit order by seq").fetch_all(&app.store.grid.read).await.unwrap();
    rows.into_iter().map(|(detail,)| detail).collect()
}

#[tokio::test]
async fn every_change_of_a_user_is_on_record() {
    let (_dir, app) = app().await;
    let root = caller(Role::Admin);
    app.create_user(&root, "alice", Role::Admin, Some(secret("old password"))).await.unwrap();
    let session = app.log_in("alice", secret("old password"), "10.0.0.7").await.unwrap().unwrap();
    let alice = app.caller_of_session(&session, "10.0.0.7").await.unwrap().unwrap();
    let change = app.change_own_password(&alice, &session, secret("old password"), secret("new password")).await;
    change.unwrap();
    app.change_role(&root, "alice", Role::Viewer).await.unwrap_err();
    app.log_out(&session, "10.0.0.7").await.unwrap();
    app.reset_password(&root, "alice", None).await.unwrap();
    app.log_out_user(&root, "alice").await.unwrap();
    app.create_user(&root, "bob", Role::Admin, None).await.unwrap();
    app.remove_user(&root, "alice").await.unwrap();
    let expected = [
        "root/socket user-create alice done",
        "alice/session login alice done",
        "alice/session password-change alice done",
        "root/socket user-change alice failed",
        "alice/session logout alice done",
        "root/socket password-reset alice done",
        "root/socket logout-everywhere alice done",
        "root/socket user-create bob done",
        "root/socket user-remove alice done",
    ];
    assert_eq!(audit(&app).await, expected);
    assert!(!details(&app).await.iter().any(|detail| detail.contains("password")));
}

#[tokio::test]
async fn logins_that_fail_are_on_record_and_those_that_wait_once() {
    let (_dir, app) = app().await;
    app.create_user(&caller(Role::Admin), "alice", Role::Viewer, None).await.unwrap();
    // On a slow machine a wait may be over before the next attempt, and another block begins.
    let (mut expected, mut refused) = (vec!["root/socket user-create alice done"], 0);
    while refused < 3 {
        match app.log_in("alice", secret("a guess"), "10.0.0.7").await {
            Ok(session) => {
                assert_eq!(session, None);
                refused = 0;
                expected.push("alice/ login alice failed");
            }
            Err(AppError::TooManyLogins { .. }) => {
                refused += 1;
                expected.extend((refused == 1).then_some("alice/ login alice throttled"));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(expected.len() > 5, "{expected:?}");
    assert_eq!(audit(&app).await, expected);
}

#[tokio::test]
async fn what_is_typed_as_a_name_and_is_none_is_not_kept() {
    let (_dir, app) = app().await;
    assert_eq!(app.log_in("my secret password", secret("alice"), "10.0.0.7").await.unwrap(), None);
    assert_eq!(audit(&app).await, ["(unknown user)/ login (unknown user) failed"]);
    let told: Vec<(String,)> = sqlx::query_as("select body from event").fetch_all(&app.store.grid.read).await.unwrap();
    assert!(!told.iter().any(|(body,)| body.contains("my secret password")), "{told:?}");
}

#[tokio::test]
async fn the_first_user_is_on_record_and_the_file_goes_with_the_password() {
    let (dir, app) = app().await;
    let data = crate::data_dir::DataDir::open(&dir.path().join("m")).unwrap();
    app.make_admin(Some(secret("123")), &data).await.unwrap_err();
    app.make_admin(None, &data).await.unwrap();
    let file = data.path().join("initial-admin-password");
    assert!(file.exists());
    app.reset_password(&caller(Role::Admin), "admin", None).await.unwrap();
    assert!(!file.exists());
    assert_eq!(audit(&app).await[0], "the manager/ user-create admin done");
}

#[tokio::test]
async fn a_token_that_has_ended_is_on_record_and_revoked_once() {
    let (_dir, app) = app().await;
    let root = caller(Role::Admin);
    let wanted = Wanted::Api { role: Role::Viewer, targets: None, description: String::new(), owner: None };
    let (token, text) = app.create_token(&root, wanted, Duration::from_secs(60)).await.unwrap();
    for _ in 0..2 {
        app.revoke_token(&root, &token.id).await.unwrap();
    }
    app.note_ended_token(&text, "10.0.0.7").await;
    app.note_ended_token("tga1.never", "10.0.0.7").await;
    let id = &token.id;
    let expected = [
        format!("root/socket token-create {id} done"),
        format!("root/socket token-revoke {id} done"),
        format!("root/socket token-revoke {id} ignored"),
        format!("token:{id}/token token-use {id} refused"),
    ];
    assert_eq!(audit(&app).await, expected);
}

#[tokio::test]
async fn tokens_are_on_record_with_who_shows_them() {
    let (_dir, app) = app().await;
    let root = caller(Role::Admin);
    app.create_user(&root, "alice", Role::Operator, None).await.unwrap();
    let wanted = |targets| Wanted::Api {
        role: Role::Operator,
        targets,
        description: String::new(),
        owner: Some("alice".to_owned()),
    };
    let hour = Duration::from_secs(3600);
    let (token, text) = app.create_token(&root, wanted(None), hour).await.unwrap();
    let alice = app.caller_of_token(&text, "10.0.0.7").await.unwrap().unwrap();
    app.trigger(&alice, Action::Stop, &[Target::All], false).await.unwrap();
    let (limited, text) = app.create_token(&root, wanted(Some(vec![Target::Agents])), hour).await.unwrap();
    let caller = app.caller_of_token(&text, "10.0.0.7").await.unwrap().unwrap();
    app.trigger(&caller, Action::Kill, &["a@web-1".parse().unwrap()], false).await.unwrap_err();
    app.revoke_token(&root, &limited.id).await.unwrap();
    let expected = [
        "root/socket user-create alice done".to_owned(),
        format!("root/socket token-create {} done", token.id),
        "alice/token trigger-stop all requested".to_owned(),
        format!("root/socket token-create {} done", limited.id),
        "alice/token trigger-kill a@web-1 refused".to_owned(),
        format!("root/socket token-revoke {} done", limited.id),
    ];
    assert_eq!(audit(&app).await, expected);
    let details = details(&app).await;
    assert_eq!(details[2], format!("with the token {}; 0 services", token.id));
    assert!(details[3].contains("of alice") && details[3].contains("only agents"), "{details:?}");
}

#[tokio::test]
async fn refusals_are_on_record_and_those_that_repeat_are_counted() {
    let (_dir, app) = app().await;
    let viewer = caller(Role::Viewer);
    for _ in 0..35 {
        app.remove_machine(&viewer, &"web-1".parse().unwrap(), false).await.unwrap_err();
    }
    assert_eq!(audit(&app).await, ["root/socket machine-remove web-1 refused"; 30]);
    app.record_held_refusals().await;
    assert_eq!(audit(&app).await.len(), 31);
    let last = details(&app).await.pop().unwrap();
    assert!(last.contains("5 refusals") && last.contains("needs the role admin"), "{last}");
    assert!(last.ends_with("the first: machine-remove web-1"), "{last}");
}
