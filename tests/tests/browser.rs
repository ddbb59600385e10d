//! The support itself: what the browser is told, it does.

use tests::{
    browser::Browser,
    manager::{PASSWORD, TestManager},
    relay::Relay,
};

#[tokio::test]
async fn viewport_theme_keys_and_tabs_are_as_told() {
    let manager = TestManager::start();
    let browser = Browser::open(1200).await;
    let url = format!("https://{}/", manager.address());
    browser.go(&url).await;
    browser.viewport(400, 700).await;
    assert_eq!(browser.run("return [innerWidth, innerHeight]").await, serde_json::json!([400, 700]));
    browser.prefer(&[("prefers-color-scheme", "dark"), ("prefers-reduced-motion", "reduce")]).await;
    for feature in ["prefers-color-scheme: dark", "prefers-reduced-motion: reduce"] {
        assert_eq!(browser.run(&format!("return matchMedia('({feature})').matches")).await, true, "{feature}");
    }
    let shot = browser.screenshot().await;
    assert_eq!(&shot[1..4], b"PNG");
    assert_eq!(&shot[16..24], &[0, 0, 1, 144, 0, 0, 2, 188], "400 x 700");

    browser.run("window.keys = []; addEventListener('keydown', e => { keys.push(`${e.ctrlKey} ${e.shiftKey} ${e.key}`); e.preventDefault() })").await;
    browser.press("Control+k").await;
    browser.press("Shift+Tab").await;
    browser.type_text("a?").await;
    assert_eq!(
        browser.run("return keys.filter(k => !/Control|Shift$/.test(k)).join()").await,
        "true false k,false true Tab,false false a,false true ?"
    );
    browser.run("window.clicks = []; addEventListener('click', e => clicks.push(e.shiftKey))").await;
    browser.click_holding("Shift", "h1").await;
    assert_eq!(browser.run("return clicks").await, serde_json::json!([true]));

    let first = browser.tab().await;
    let second = browser.open_tab().await;
    browser.go(&url).await;
    assert_eq!(browser.run("return window.keys ?? null").await, serde_json::Value::Null);
    browser.look_at(&first).await;
    assert_ne!(first, second);
    assert_ne!(browser.run("return window.keys ?? null").await, serde_json::Value::Null);
    browser.close().await;
}

#[tokio::test]
async fn without_the_network_nothing_is_reached_and_that_error_is_seen() {
    let manager = TestManager::start();
    let browser = Browser::open(1200).await;
    browser.go(&format!("https://{}/icon.svg", manager.address())).await;
    let reach = "return fetch('/healthz').then(() => true, () => false)";
    assert_eq!(browser.run(reach).await, true);
    browser.offline(true).await;
    assert_eq!(browser.run(reach).await, false);
    let errors = browser.errors().await;
    assert!(errors.iter().any(|error| error.contains("/healthz - Failed to load resource")), "{errors:?}");
    browser.offline(false).await;
    assert_eq!(browser.run(reach).await, true);
    assert_eq!(browser.errors().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_relay_breaks_and_mends_an_open_stream() {
    let manager = TestManager::start();
    let relay = Relay::to(&manager);
    let browser = Browser::open(1200).await;
    browser.go(&format!("https://{}/icon.svg", relay.address())).await;
    let login = format!(
        "return fetch('/api/v1/session', {{method: 'POST', headers: {{'content-type': 'application/json'}},
           body: JSON.stringify({{name: 'admin', password: {PASSWORD:?}}})}}).then(answer => answer.status)"
    );
    assert_eq!(browser.run(&login).await, 204);
    let reach = "return fetch('/healthz', {signal: AbortSignal.timeout(500)}).then(() => true, () => false)";
    relay.freeze();
    assert_eq!(browser.run(reach).await, false);
    relay.heal();
    assert_eq!(browser.run(reach).await, true);

    browser.run("window.stream = new EventSource('/api/v1/events'); stream.onerror = () => window.broken = true").await;
    browser.wait_true("stream.readyState === 1").await;
    relay.cut();
    browser.wait_true("window.broken").await;
    relay.heal();
    browser.wait_true("stream.readyState === 1").await;
    browser.close().await;
}
