//! Without a mouse.

use tests::{dashboard::Dashboard, manager::PASSWORD};

use crate::{Small, row, wait_state};

#[tokio::test]
async fn everything_can_be_done_with_keys() {
    let small = Small::with(&["shop", "blog"]);
    let dashboard = Dashboard::open(&small.manager.address()).await;
    let browser = &dashboard.browser;
    browser.wait_true("document.activeElement?.closest('#login')").await;
    browser.write("#login [name=name]", "").await;
    browser.type_text("admin").await;
    browser.press("Tab").await;
    browser.type_text(PASSWORD).await;
    browser.press("Enter").await;
    dashboard.wait_shown(&row("shop@web-1")).await;

    browser.press("/").await;
    browser.type_text("name:blog").await;
    browser.wait_true("!document.querySelector(\"[data-service='shop@web-1']\")").await;
    browser.press("Enter").await;
    browser.wait_true("document.activeElement?.closest(\"[data-service='blog@web-1']\")").await;
    browser.press("x").await;
    dashboard.wait_shown("[data-action=start]").await;

    browser.press("Control+k").await;
    dashboard.wait_shown("#palette").await;
    browser.type_text("start the selected").await;
    browser.press("Enter").await;
    dashboard.wait_shown("dialog[open] [data-confirm]").await;
    browser.wait_true("document.activeElement?.matches('[data-confirm]')").await;
    browser.press("Enter").await;
    wait_state(browser, "blog@web-1", "active").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn the_keys_are_explained() {
    let small = Small::with(&["shop"]);
    let dashboard = small.dashboard().await;
    dashboard.open_help().await;
    dashboard.browser.wait_text("#shortcuts", "Ctrl").await;
    dashboard.escape().await;
    dashboard.browser.press("g").await;
    dashboard.browser.press("e").await;
    dashboard.browser.wait_true("location.hash.startsWith('#/events')").await;
    dashboard.browser.close().await;
}
