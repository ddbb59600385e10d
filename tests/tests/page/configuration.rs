//! The configuration, collections and hook programs from the page.

use serde_json::json;
use tests::manager::PASSWORD;

use crate::{Small, confirm};

/// A collection of two.
const FRONT: &str = "# kept\n[collection.front]\nmembers = [\"shop@web-1\", \"blog@web-1\"]\n";

/// Applies a configuration past the page.
fn configure(small: &Small, text: &str) {
    let answer = small.manager.api("POST", "/config", Some(&json!({"text": text}))).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The text in force.
fn text(small: &Small) -> String {
    let answer = small.manager.api("GET", "/config", None).expect("an answer");
    answer.json()["text"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn a_mistake_is_shown_with_its_line_and_what_is_right_is_applied_after_its_diff() {
    let small = Small::with(&["shop", "blog"]);
    let dashboard = small.dashboard().await;
    dashboard.go("#/config", ".editor textarea").await;
    let browser = &dashboard.browser;
    browser.write(".editor textarea", "[defaults]\nstop_timeout = \"30s\"\ncolour = \"red\"\n").await;
    browser.click("[data-action=config-check]").await;
    dashboard.wait_shown(".mistakes [data-line='3']").await;
    browser.click(".mistakes [data-line='3']").await;
    browser.wait_true("document.activeElement?.matches('.editor textarea')").await;
    browser.write(".editor textarea", FRONT).await;
    browser.click("[data-action=config-apply]").await;
    browser.wait_text("dialog[open] .diff", "+[collection.front]").await;
    confirm(&dashboard).await;
    browser.wait_text("main .about", "Version 1").await;
    assert_eq!(text(&small), FRONT);
    dashboard.browser.close().await;
}

#[tokio::test]
async fn what_somebody_applied_meanwhile_is_not_overwritten_and_can_be_restored() {
    let small = Small::with(&["shop", "blog"]);
    configure(&small, FRONT);
    let dashboard = small.dashboard().await;
    dashboard.go("#/config", "[data-version='1']").await;
    let browser = &dashboard.browser;
    browser.write(".editor textarea", "# mine\n").await;
    configure(&small, "# theirs\n");
    dashboard.wait_shown("[data-conflict]").await;
    browser.wait_true("document.querySelector('[data-action=config-apply]').disabled").await;
    browser.click("[data-action=config-discard]").await;
    dashboard.wait_shown("[data-restore='1']:enabled").await;
    browser.click("[data-restore='1']").await;
    browser.wait_text("dialog[open] .diff", "+[collection.front]").await;
    confirm(&dashboard).await;
    dashboard.wait_shown("[data-version='3']").await;
    assert_eq!(text(&small), FRONT);
    dashboard.browser.close().await;
}

#[tokio::test]
async fn members_are_put_in_another_order_with_the_keyboard_and_comments_stay() {
    let small = Small::with(&["shop", "blog"]);
    configure(&small, FRONT);
    let dashboard = small.dashboard().await;
    dashboard.go("#/collections/front", "[data-action=collection-edit]").await;
    let browser = &dashboard.browser;
    browser.click("[data-action=collection-edit]").await;
    dashboard.wait_shown("[data-member='blog@web-1'] [data-move=up]").await;
    browser.run("document.querySelector(\"[data-member='blog@web-1'] [data-move=up]\").focus()").await;
    browser.press("Enter").await;
    browser.wait_true("document.querySelector('[data-member]').dataset.member === 'blog@web-1'").await;
    browser.click("[data-editor] button[type=submit]").await;
    browser.wait_text("dialog[open] .diff", "+members").await;
    confirm(&dashboard).await;
    browser.wait_true("!document.querySelector('[data-editor]')").await;
    let text = text(&small);
    assert!(text.starts_with("# kept") && text.find("blog").unwrap() < text.find("shop").unwrap(), "{text}");
    dashboard.go("#/?group=collection&q=in%3Afront", "[data-service]").await;
    assert_eq!(browser.count("[data-service]").await, 2);
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_viewer_reads_the_configuration_and_changes_nothing() {
    let small = Small::with(&["shop", "blog"]);
    configure(&small, FRONT);
    small.add_user("vera", "viewer");
    let dashboard = small.dashboard_of("vera", PASSWORD).await;
    let browser = &dashboard.browser;
    for (view, sign) in
        [("#/config", ".editor textarea[readonly]"), ("#/collections/front", "main ol"), ("#/hooks", "main h2")]
    {
        dashboard.go(view, sign).await;
        assert_eq!(browser.count("main [data-action], main [data-open], main [data-restore]").await, 0, "{view}");
    }
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_hook_program_is_added_from_a_file_and_removed() {
    let small = Small::with(&["shop"]);
    let dashboard = small.dashboard().await;
    dashboard.go("#/hooks", "main [data-open]").await;
    let browser = &dashboard.browser;
    browser.click("main [data-open]").await;
    dashboard.wait_shown("#program-file").await;
    let choose = "const files = new DataTransfer();
        files.items.add(new File(['#!/bin/sh\\nexit 0\\n'], 'warm.sh'));
        const input = document.querySelector('#program-file');
        input.files = files.files;
        input.dispatchEvent(new Event('change', {bubbles: true}))";
    browser.run(choose).await;
    browser.wait_true("document.querySelector('main form [name=name]').value === 'warm.sh'").await;
    browser.click("main form button[type=submit]").await;
    dashboard.wait_shown("[data-program='warm.sh']").await;
    browser.click("[data-program='warm.sh'] [data-action=program-remove]").await;
    confirm(&dashboard).await;
    browser.wait_true("!document.querySelector('[data-program]')").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn a_collection_is_removed_once_it_was_seen_what_that_changes() {
    let small = Small::with(&["shop", "blog"]);
    configure(&small, FRONT);
    let dashboard = small.dashboard().await;
    dashboard.go("#/collections/front", "[data-action=collection-remove]").await;
    dashboard.browser.click("[data-action=collection-remove]").await;
    dashboard.browser.wait_text("dialog[open] .diff", "-[collection.front]").await;
    assert_eq!(text(&small), FRONT, "nothing is changed before it is confirmed");
    confirm(&dashboard).await;
    dashboard.browser.wait_true("location.hash === '#/collections'").await;
    assert!(!text(&small).contains("front"), "{}", text(&small));
    dashboard.browser.close().await;
}
