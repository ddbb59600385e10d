//! What is shown is what is; and what is not live does not look live.

use std::time::{Duration, Instant};

use tests::{
    dashboard::Dashboard,
    manager::PASSWORD,
    processes::{self, Signal},
    relay::Relay,
};

use crate::{Real, Small, row, wait_state};

#[tokio::test]
async fn the_life_of_a_tomcat_is_seen_without_a_reload() {
    let real = Real::start();
    let base = &real.base;
    let dashboard = real.dashboard().await;
    let browser = &dashboard.browser;
    browser.run("window.neverReloaded = true").await;
    wait_state(browser, "shop@web-1", "stopped").await;
    base.start_by_hand();
    wait_state(browser, "shop@web-1", "starting").await;
    wait_state(browser, "shop@web-1", "active").await;
    processes::send(base.pid().unwrap(), Signal::KILL);
    browser.wait_true(&format!("document.querySelector(\"{}[data-crashed=yes]\")", row("shop@web-1"))).await;
    browser.wait_text(&row("shop@web-1"), "crashed").await;
    assert_eq!(browser.run("return window.neverReloaded").await, true);
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_lost_manager_is_seen_and_comes_back_by_itself() {
    let mut small = Small::with(&["shop", "blog"]);
    let dashboard = small.dashboard().await;
    small.manager.kill();
    dashboard.wait_shown("body.stale").await;
    dashboard.browser.wait_text("#live", "Not live").await;
    small.manager.start_again();
    dashboard.browser.wait_true("!document.body.classList.contains('stale')").await;
    wait_state(&dashboard.browser, "shop@web-1", "stopped").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_stream_that_is_cut_makes_every_row_stale_within_ten_seconds() {
    let small = Small::with(&["shop", "blog", "api"]);
    let relay = Relay::to(&small.manager);
    let dashboard = Dashboard::open(&relay.address()).await;
    dashboard.log_in("admin", PASSWORD).await;
    let browser = &dashboard.browser;
    relay.freeze();
    let frozen = Instant::now();
    dashboard.wait_shown("body.stale").await;
    assert!(frozen.elapsed() < Duration::from_secs(15), "seen after {:?}", frozen.elapsed());
    // Nothing that comes to pass meanwhile is drawn, and nothing is drawn as live.
    small.fakes[0].start_by_hand();
    small.manager.wait_state("shop@web-1", "active");
    let rows = "[...document.querySelectorAll('[data-service]')]";
    let said = "getComputedStyle(row.querySelector('.word'), '::before').content.includes('last known')";
    let stale = format!("return {rows}.length > 3 && {rows}.every((row) => {said})");
    assert_eq!(browser.run(&stale).await, true, "{}", browser.text("[data-list]").await);
    assert_eq!(browser.count(&format!("{}[data-state=stopped]", row("shop@web-1"))).await, 1);
    relay.cut();
    relay.heal();
    wait_state(browser, "shop@web-1", "active").await;
    browser.wait_true("!document.body.classList.contains('stale')").await;
    dashboard.browser.close().await;
}
