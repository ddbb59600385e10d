//! Users, tokens, machines and the audit, as an administrator works with them.

use tests::{
    dashboard::Dashboard,
    https::Https,
    manager::{PASSWORD, TestManager},
};

use crate::Small;

async fn administrator(manager: &TestManager, view: &str) -> Dashboard {
    let dashboard = Dashboard::open(&manager.address()).await;
    dashboard.sign_in("admin", PASSWORD).await;
    dashboard.go(view, "main h1").await;
    dashboard
}

#[tokio::test]
async fn a_user_is_added_and_can_log_in() {
    let small = Small::with(&["shop"]);
    let dashboard = administrator(&small.manager, "#/users").await;
    let browser = &dashboard.browser;
    browser.click("main [data-open]").await;
    browser.write("main form [name=name]", "olga").await;
    browser.click("main form [type=submit]").await;
    dashboard.wait_shown("[data-secret]").await;
    let password = browser.text("[data-secret]").await;
    small.dashboard_of("olga", password.trim()).await.browser.close().await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn an_api_token_is_made_and_works() {
    let small = Small::with(&["shop"]);
    let dashboard = administrator(&small.manager, "#/tokens").await;
    let browser = &dashboard.browser;
    browser.click("main [data-open]").await;
    browser.click("main form [type=submit]").await;
    dashboard.wait_shown("[data-secret]").await;
    let secret = browser.text("[data-secret]").await;
    let answer = Https::of(&small.manager).bearer(secret.trim()).get("/api/v1/whoami");
    assert_eq!((answer.status, answer.json()["credential"].clone()), (200, "token".into()), "{}", answer.body);
    dashboard.browser.close().await;
}

#[tokio::test]
async fn the_join_line_is_ready_to_copy() {
    let small = Small::with(&["shop"]);
    let dashboard = administrator(&small.manager, "#/machines").await;
    let browser = &dashboard.browser;
    browser.click("main [data-open]").await;
    browser.click("main form [type=submit]").await;
    browser.wait_text("main", "tomcat-grid-agent run --manager https://").await;
    browser.wait_text("main", "tgj1.").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn the_audit_says_who_did_what_and_is_whole() {
    let small = Small::with(&["shop"]);
    small.manager.trigger("start", "shop@web-1");
    let dashboard = administrator(&small.manager, "#/audit").await;
    let browser = &dashboard.browser;
    browser.wait_text("main table", "trigger-start").await;
    browser.wait_text("main table", "root").await;
    browser.click("main [data-verify]").await;
    browser.wait_text("main", "whole").await;
    dashboard.browser.close().await;
}
