//! Two hundred instances: no more is drawn than is seen, and an event draws one row.

use protocol::state::State;
use tests::{
    dashboard::Dashboard,
    fleet::Fleet,
    manager::{PASSWORD, TestManager},
};

use crate::{row, wait_state};

/// How many rows may be rendered beyond those that are seen.
const BEYOND: u64 = 50;

async fn fleet_and_dashboard(manager: &TestManager) -> (Fleet, Dashboard) {
    let fleet = Fleet::of(manager, 20, 10);
    let dashboard = Dashboard::open(&manager.address()).await;
    dashboard.log_in("admin", PASSWORD).await;
    (fleet, dashboard)
}

/// How many services are rendered, and how many of them are seen.
async fn rendered(dashboard: &Dashboard) -> (u64, u64) {
    let script = "const all = [...document.querySelectorAll('[data-service]')];
        const seen = all.filter((e) => { const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight });
        return [all.length, seen.length]";
    let counts = dashboard.browser.run(script).await;
    (counts[0].as_u64().unwrap(), counts[1].as_u64().unwrap())
}

#[tokio::test]
async fn no_more_is_drawn_than_is_seen() {
    let manager = TestManager::start();
    let (_fleet, dashboard) = fleet_and_dashboard(&manager).await;
    for view in ["#/", "#/?dense=1", "#/?group=none", "#/?group=tag"] {
        dashboard.go(view, "[data-service]").await;
        for part in ["0", "0.5", "1"] {
            dashboard.browser.run(&format!("scrollTo(0, document.documentElement.scrollHeight * {part})")).await;
            dashboard.next_frames().await;
            let (all, seen) = rendered(&dashboard).await;
            assert!(seen > 5 && all <= seen + BEYOND, "{view} at {part}: {all} rendered, {seen} seen");
        }
    }
    dashboard.browser.close().await;
}

#[tokio::test]
async fn an_event_draws_its_own_row_and_no_other() {
    let manager = TestManager::start();
    let (fleet, dashboard) = fleet_and_dashboard(&manager).await;
    dashboard.go("#/?sort=name&group=none", "[data-service]").await;
    let browser = &dashboard.browser;
    let service = fleet.service(0, 2);
    dashboard.wait_shown(&row(&service)).await;
    // The time goes on in every row; its text is not what is looked at.
    let observe = "window.drawn = new Set();
        new MutationObserver((changes) => changes.forEach((change) => {
            const at = change.target.nodeType === 1 ? change.target : change.target.parentElement;
            if (!at?.closest('time')) window.drawn.add(at?.closest('[data-service]')?.dataset.service ?? 'the list');
        })).observe(document.querySelector('[data-list]'), {subtree: true, childList: true, attributes: true, characterData: true})";
    browser.run(observe).await;
    fleet.change_with(0, 2, State::Unresponsive, Some("it does not answer"));
    wait_state(browser, &service, "unresponsive").await;
    dashboard.next_frames().await;
    assert_eq!(browser.run("return [...window.drawn]").await, serde_json::json!([service]));
    dashboard.browser.close().await;
}

#[tokio::test]
async fn counts_and_searches_filter_and_are_links() {
    let manager = TestManager::start();
    let (fleet, dashboard) = fleet_and_dashboard(&manager).await;
    let browser = &dashboard.browser;
    let service = fleet.service(3, 4);
    fleet.change(3, 4, State::Unresponsive);
    dashboard.wait_shown("[data-count=unresponsive]").await;
    browser.click("[data-count=unresponsive]").await;
    browser
        .wait_true("[...document.querySelectorAll('[data-service]')].every((e) => e.dataset.state === 'unresponsive')")
        .await;
    dashboard.wait_shown(&row(&service)).await;
    let link = browser.run("return location.hash").await.as_str().unwrap().to_owned();
    assert!(link.contains("unresponsive"), "{link}");
    dashboard.go(&format!("#/?q=machine%3A{}", fleet.machine(3)), "[data-service]").await;
    let (all, _) = rendered(&dashboard).await;
    assert_eq!(all, 11, "ten instances and an agent");
    dashboard.go("#/?q=machin%3Aweb", "main h1").await;
    browser.wait_text("main", "did you mean “machine:”").await;
    dashboard.browser.close().await;
}
