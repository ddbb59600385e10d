//! The page in a real browser: logging in, watching what happens without a reload, and losing the manager.

use tests::{
    agent::TestAgent,
    browser::Browser,
    fake::FakeTomcat,
    manager::{PASSWORD, TestManager},
};

async fn log_in(browser: &Browser, manager: &TestManager) {
    browser.go(&format!("https://{}/", manager.address())).await;
    browser.wait_text("#login h2", "Log in").await;
    browser.write("[name=password]", PASSWORD).await;
    browser.click("#login button").await;
    browser.wait_text("#live", "live").await;
}

/// The row of a service.
fn row(service: &str) -> String {
    format!("tr[data-service='{service}']")
}

#[tokio::test]
async fn a_wrong_password_is_said_and_the_right_one_opens_the_board() {
    let manager = TestManager::start();
    let browser = Browser::open(1200).await;
    browser.go(&format!("https://{}/", manager.address())).await;
    browser.wait_text("#login h2", "Log in").await;
    browser.write("[name=password]", "wrong").await;
    browser.click("#login button").await;
    browser.wait_text("#login-error", "do not fit together").await;
    log_in(&browser, &manager).await;
    browser.wait_text("#empty", "No services yet").await;
    browser.click("#log-out").await;
    browser.wait_text("#login h2", "Log in").await;
    assert_eq!(browser.text("#board").await, "");
    browser.close().await;
}

#[tokio::test]
async fn changes_are_shown_without_a_reload() {
    let manager = TestManager::start();
    let base = FakeTomcat::builder(manager.dir(), "shop").build();
    let _agent = TestAgent::start(&manager, "web-1", manager.dir());
    let browser = Browser::open(1200).await;
    log_in(&browser, &manager).await;
    browser.wait_text(&row("shop@web-1"), "stopped").await;
    browser.run("window.neverReloaded = true").await;

    base.start_by_hand();
    browser.wait_text(&row("shop@web-1"), "active").await;
    tests::processes::send(base.pid().unwrap(), tests::processes::Signal::KILL);
    browser.wait_text(&row("shop@web-1"), "✗").await;
    assert_eq!(browser.run("return window.neverReloaded").await, true);
    browser.close().await;
}

#[tokio::test]
async fn what_is_not_live_does_not_look_live_and_heals_by_itself() {
    let mut manager = TestManager::start();
    let _base = FakeTomcat::builder(manager.dir(), "shop").build();
    let _agent = TestAgent::start(&manager, "web-1", manager.dir());
    let browser = Browser::open(1200).await;
    log_in(&browser, &manager).await;
    manager.kill();
    browser.wait_text("#live", "Not live").await;
    browser.wait_true("document.body.classList.contains('stale')").await;
    manager.start_again();
    browser.wait_true("!document.body.classList.contains('stale')").await;
    browser.wait_text(&row("agent@web-1"), "active").await;
    browser.close().await;
}

#[tokio::test]
async fn a_narrow_window_needs_no_sideways_scrolling() {
    let manager = TestManager::start();
    let _base = FakeTomcat::builder(manager.dir(), "a-service-with-quite-a-long-name").build();
    let _agent = TestAgent::start(&manager, "web-1", manager.dir());
    // Chromium's windows are not narrower than 500; a frame is as narrow as one likes.
    let browser = Browser::open(500).await;
    log_in(&browser, &manager).await;
    browser.wait_text(&row("a-service-with-quite-a-long-name@web-1"), "stopped").await;
    browser.run("document.documentElement.style.width = '400px'").await;
    assert_eq!(browser.run("return document.body.scrollWidth <= 400").await, true);
    browser.close().await;
}
