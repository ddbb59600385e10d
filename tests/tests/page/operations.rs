//! Commands from the page: asked about, followed step by step, cancelled, tried again.

use serde_json::json;
use tests::dashboard::Dashboard;

use crate::{Small, confirm, row, wait_state};

/// A collection of two, and a limit that a slow start exceeds.
const FRONT: &str =
    "[defaults]\nstart_timeout = \"3s\"\n[collection.front]\nmembers = [\"shop@web-1\", \"blog@web-1\"]\n";

/// Applies a configuration.
fn configure(small: &Small, text: &str) {
    let answer = small.manager.api("POST", "/config", Some(&json!({"text": text}))).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Waits until the operation that is shown has ended so.
async fn wait_ended(dashboard: &Dashboard, result: &str) {
    dashboard.wait_shown(&format!("[data-operation][data-state=ended][data-result={result}]")).await;
}

#[tokio::test]
async fn what_is_selected_is_restarted_and_its_tree_becomes_a_report() {
    let small = Small::with(&["shop", "blog"]);
    small.fakes[0].start_by_hand();
    small.manager.wait_state("shop@web-1", "active");
    let dashboard = small.dashboard().await;
    let browser = &dashboard.browser;
    browser.press("Control+a").await;
    dashboard.wait_shown("#actions [data-action=restart]").await;
    browser.click("#actions [data-action=restart]").await;
    browser.wait_text("dialog[open]", "Restart 2 services").await;
    browser.wait_text("dialog[open]", "wait until active").await;
    confirm(&dashboard).await;
    browser.wait_text("#toasts", "Follow it").await;
    browser.click("#toasts .toast button.link").await;
    wait_ended(&dashboard, "done").await;
    for name in ["shop@web-1", "blog@web-1"] {
        dashboard.wait_shown(&format!("[data-step][data-service='{name}'][data-state=done]")).await;
    }
    browser.click("[data-view=tree]").await;
    browser.click(".k-service .fold").await;
    browser.wait_text("[data-kind=signal][data-state=done]", "start").await;
    dashboard.go("#/", "[data-service]").await;
    wait_state(browser, "blog@web-1", "active").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn what_is_not_needed_is_told_before_and_nothing_is_asked_for() {
    let small = Small::with(&["shop"]);
    let dashboard = small.dashboard().await;
    dashboard.go("#/services/shop@web-1", "main [data-action=stop]:enabled").await;
    let browser = &dashboard.browser;
    browser.click("main [data-action=stop]").await;
    browser.wait_text("dialog[open]", "Nothing to stop").await;
    browser.wait_text("dialog[open]", "not needed").await;
    assert_eq!(browser.count("dialog[open] [data-confirm]").await, 0);
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_collection_that_fails_stops_and_is_tried_again() {
    let mut small = Small::with(&["shop", "blog"]);
    small.fakes[0].set("start_delay_ms", 60_000);
    configure(&small, FRONT);
    let dashboard = small.dashboard().await;
    dashboard.go("#/collections/front", "main [data-action=start]:enabled").await;
    let browser = &dashboard.browser;
    browser.click("main [data-action=start]").await;
    confirm(&dashboard).await;
    wait_ended(&dashboard, "timed_out").await;
    // The failure stands first, and says why.
    browser.wait_text(".tree .step", "shop@web-1").await;
    browser.wait_text("[data-service='blog@web-1']", "not begun").await;
    let first = browser.run("return location.hash").await;
    browser.click("[data-action=retry]").await;
    confirm(&dashboard).await;
    browser.wait_true(&format!("location.hash !== {first}")).await;
    browser.wait_text("main", "Tries again").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn an_operation_is_cancelled_and_what_it_holds_is_shown_meanwhile() {
    let mut small = Small::with(&["shop", "blog"]);
    small.fakes[0].set("start_delay_ms", 60_000);
    configure(
        &small,
        "[defaults]\nstart_timeout = \"60s\"\n[collection.front]\nmembers = [\"shop@web-1\", \"blog@web-1\"]\n",
    );
    let dashboard = small.dashboard().await;
    let begun = small.manager.api("POST", "/operations", Some(&json!({"command": "start", "targets": ["front"]})));
    let id = begun.expect("an answer").json()["id"].as_str().expect("an id").to_owned();
    let browser = &dashboard.browser;
    dashboard.wait_shown(&format!("{} a.held", row("shop@web-1"))).await;
    dashboard.wait_shown("#under-way").await;
    dashboard.go(&format!("#/operations/{id}"), "[data-action=cancel-now]:enabled").await;
    browser.click("[data-action=cancel-now]").await;
    confirm(&dashboard).await;
    wait_ended(&dashboard, "cancelled").await;
    browser.wait_true("!document.querySelector('#under-way')").await;
    dashboard.browser.close().await;
}
