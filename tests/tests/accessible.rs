//! What axe-core says of the views, in both themes; and that it says it at all.

use tests::{axe, browser::Browser, manager::TestManager};

#[tokio::test]
async fn what_not_everybody_can_use_is_found() {
    let browser = Browser::open(1200).await;
    let page = "data:text/html,<html lang=en><title>t</title><main><h1>T</h1><p style='color:%23bbb'>pale</p>\
        <input><button style='width:9px;height:9px;padding:0'></button><button style='width:9px;height:9px'>b</button>";
    browser.go(page).await;
    let found = axe::violations(&browser).await;
    let grave: Vec<&str> = found.iter().filter(|one| one.is_grave()).map(|one| one.rule.as_str()).collect();
    for rule in ["color-contrast", "label", "button-name", "target-size"] {
        assert!(grave.contains(&rule), "{rule} is missing: {found:#?}");
    }
    browser.close().await;
}

#[tokio::test]
async fn everybody_can_log_in() {
    let manager = TestManager::start();
    let browser = Browser::open(1200).await;
    for scheme in ["light", "dark"] {
        browser.go(&format!("https://{}/", manager.address())).await;
        browser.wait_true("document.querySelector('#login')?.checkVisibility()").await;
        axe::check(&browser, &format!("the login, {scheme}")).await;
    }
    browser.close().await;
}
