//! Coming in and going out.

use tests::{
    browser::Browser,
    dashboard::Dashboard,
    manager::{PASSWORD, PATIENCE, TestManager},
};

use crate::{Small, row};

#[tokio::test]
async fn a_wrong_password_is_said_and_the_right_one_opens_the_grid() {
    let manager = TestManager::start();
    let dashboard = Dashboard::open(&manager.address()).await;
    let browser = &dashboard.browser;
    browser.write("#login [name=name]", "admin").await;
    browser.write("#login [name=password]", "wrong").await;
    browser.click("#login button[type=submit]").await;
    browser.wait_text("#login-error", "do not fit together").await;
    browser.write("#login [name=password]", PASSWORD).await;
    browser.click("#login button[type=submit]").await;
    browser.wait_true("document.querySelector('#live')?.dataset.live === 'yes'").await;
    browser.wait_text("main", "No services yet").await;
    browser.click("#log-out").await;
    dashboard.wait_shown("#login").await;
    assert_eq!(browser.count("[data-service]").await, 0);
    dashboard.browser.close().await;
}

#[tokio::test]
async fn who_fails_too_often_is_told_how_long_to_wait() {
    let manager = TestManager::start();
    let dashboard = Dashboard::open(&manager.address()).await;
    let browser = &dashboard.browser;
    browser.write("#login [name=name]", "admin").await;
    // Each failure after the free ones doubles the wait, so that a slow hand meets it, too.
    let told = async || {
        browser.write("#login [name=password]", "wrong").await;
        browser.click("#login button[type=submit]").await;
        browser.wait_true("!document.querySelector('#login button[type=submit]').disabled").await;
        browser.text("#login-error").await.contains("again in").then_some(())
    };
    tests::wait::until_async("to be told to wait", PATIENCE, told).await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_link_leads_where_it_says_also_through_the_login() {
    let small = Small::with(&["shop"]);
    let dashboard = Dashboard::open(&small.manager.address()).await;
    dashboard.go("#/services/shop@web-1", "#login").await;
    dashboard.sign_in("admin", PASSWORD).await;
    dashboard.browser.wait_text("main h1", "shop@web-1").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_link_to_what_is_not_there_names_the_nearest() {
    let small = Small::with(&["shop"]);
    let dashboard = small.dashboard().await;
    dashboard.go("#/services/shpo@web-1", "main h1").await;
    dashboard.browser.wait_text("main", "shop@web-1").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_browser() {
    let small = Small::with(&["shop"]);
    let (one, other) = (small.dashboard().await, small.dashboard().await);
    let answer = one.browser.run("return fetch('/api/v1/me/sessions', {method: 'DELETE'}).then((r) => r.status)").await;
    assert_eq!(answer, 204);
    other.wait_shown("#login").await;
    one.wait_shown("#login").await;
    one.browser.close().await;
    other.browser.close().await;
}

#[tokio::test]
async fn ten_tabs_of_one_browser_are_live() {
    let small = Small::with(&["shop"]);
    let dashboard = small.dashboard().await;
    let browser: &Browser = &dashboard.browser;
    let mut tabs = vec![browser.tab().await];
    for _ in 1..10 {
        tabs.push(browser.open_tab().await);
        dashboard.go("", &row("shop@web-1")).await;
    }
    small.fakes[0].start_by_hand();
    for tab in &tabs {
        browser.look_at(tab).await;
        crate::wait_state(browser, "shop@web-1", "active").await;
    }
    dashboard.browser.close().await;
}
