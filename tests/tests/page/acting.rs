//! Triggers from the page: one, many, refused ones; and those who may not.

use serde_json::Value;
use tests::{browser::Browser, manager::PASSWORD};

use crate::{Real, Small, confirm, row, wait_state};

/// Chooses a trigger from the menu of a part of the page.
async fn choose(browser: &Browser, part: &str, action: &str) {
    browser.click(&format!("{part} .menu button[aria-haspopup]")).await;
    browser.click(&format!("{part} [data-action=trigger-{action}]")).await;
}

#[tokio::test]
async fn a_tomcat_is_started_and_stopped_from_its_page() {
    let real = Real::start();
    let (manager, base) = (&real.manager, &real.base);
    let dashboard = real.dashboard().await;
    dashboard.go("#/services/shop@web-1", "main [data-action=start]:enabled").await;
    let browser = &dashboard.browser;
    choose(browser, ".view-actions", "start").await;
    confirm(&dashboard).await;
    browser.wait_text("main", "active").await;
    base.wait_answering();
    dashboard.wait_shown("main [data-action=stop]:enabled:not([aria-disabled=true])").await;
    choose(browser, ".view-actions", "stop").await;
    confirm(&dashboard).await;
    base.wait_gone();
    manager.wait_state("shop@web-1", "stopped");
    dashboard.browser.close().await;
}

#[tokio::test]
async fn many_are_started_at_once_and_the_question_says_how_many() {
    let small = Small::with(&["shop", "blog", "api"]);
    small.fakes[0].start_by_hand();
    small.manager.wait_state("shop@web-1", "active");
    let dashboard = small.dashboard().await;
    let browser = &dashboard.browser;
    browser.press("Control+a").await;
    dashboard.wait_shown("[data-action=start]").await;
    browser.click("[data-action=start]").await;
    browser.wait_text("dialog[open]", "Start 2 services").await;
    browser.wait_text("dialog[open]", "not needed").await;
    browser.wait_text("dialog[open]", "One agent is left out").await;
    confirm(&dashboard).await;
    for name in ["shop", "blog", "api"] {
        wait_state(browser, &format!("{name}@web-1"), "active").await;
    }
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_refusal_is_shown_where_it_happened() {
    let small = Small::allowed(&["shop", "blog"], "allow = [\"status\"]");
    let dashboard = small.dashboard().await;
    let browser = &dashboard.browser;
    browser.click(&format!("{} [type=checkbox]", row("shop@web-1"))).await;
    choose(browser, "#actions", "start").await;
    confirm(&dashboard).await;
    browser.wait_text(&row("shop@web-1"), "refused").await;
    assert!(!browser.text(&row("blog@web-1")).await.contains("refused"));
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_viewer_looks_and_finds_nothing_to_act_with() {
    let small = Small::with(&["shop"]);
    small.add_user("vera", "viewer");
    let dashboard = small.dashboard_of("vera", PASSWORD).await;
    let browser = &dashboard.browser;
    browser.press("Control+a").await;
    for view in ["#/", "#/services/shop@web-1", "#/machines", "#/events"] {
        dashboard.go(view, "main h1").await;
        assert_eq!(browser.count("main [data-action]").await, 0, "{view}");
    }
    let trigger = "return fetch('/api/v1/trigger', {method: 'POST', headers: {'content-type': 'application/json'},
        body: JSON.stringify({action: 'start', targets: ['all']})}).then((answer) => answer.json())";
    assert_eq!(browser.run(trigger).await["code"], "not_allowed");
    // What was tried is known in the morning.
    let audit = small.manager.api("GET", "/audit?outcome=refused", None).unwrap().json();
    let record = &audit["items"][0];
    assert_eq!((&record["actor"], &record["action"]), (&Value::from("vera"), &Value::from("trigger-start")), "{audit}");
    dashboard.browser.close().await;
}
