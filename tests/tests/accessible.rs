//! What axe-core says of the views, narrow and wide, dark and light, and that it says it at all; and that nothing has to be
//! scrolled sideways.

use tests::{
    axe,
    browser::Browser,
    dashboard::{Dashboard, VIEWS},
    manager::PASSWORD,
    stage::{self, Stage},
};

/// Checks the present view narrow and dark, and wide and light, as which it is left.
async fn check(dashboard: &Dashboard, view: &str) {
    for (width, theme) in [(400, "dark"), (1280, "light")] {
        dashboard.look(width, 800, theme).await;
        let view = format!("{view}, {width} wide, {theme}");
        axe::check(&dashboard.browser, &view).await;
        let wide = dashboard.browser.run("return document.documentElement.scrollWidth - innerWidth").await;
        assert!(wide.as_i64().is_some_and(|pixels| pixels <= 0), "{view} has to be scrolled sideways: {wide} pixels");
    }
}

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
async fn everybody_can_use_every_view() {
    let mut stage = Stage::set(4, 6);
    let dashboard = Dashboard::open(&stage.manager.address()).await;
    check(&dashboard, "login").await;
    dashboard.log_in("admin", PASSWORD).await;
    for (name, view, sign) in VIEWS {
        dashboard.go(view, sign).await;
        check(&dashboard, name).await;
    }
    let deeper = [
        ("#/operations", "[data-operation] th a", "[data-step]", "an operation"),
        ("#/collections/front", "[data-action=collection-edit]", "[data-editor]", "a collection that is changed"),
        (
            "#/collections/front",
            "[data-action=restart]",
            "dialog[open] [data-confirm]",
            "the question before a restart",
        ),
        ("#/hooks", "main [data-open]", "#program-file", "a program that is added"),
    ];
    for (view, opener, sign, name) in deeper {
        dashboard.go(view, opener).await;
        dashboard.browser.click(opener).await;
        dashboard.wait_shown(sign).await;
        check(&dashboard, name).await;
        if sign.starts_with("dialog") {
            dashboard.escape().await;
        }
    }
    dashboard.ask_to_stop("web-02").await;
    check(&dashboard, "the question before a stop").await;
    dashboard.escape().await;
    dashboard.open_palette().await;
    check(&dashboard, "the palette").await;
    dashboard.escape().await;
    dashboard.open_help().await;
    check(&dashboard, "the help on keys").await;
    dashboard.escape().await;
    stage.manager.kill();
    dashboard.wait_shown("body.stale .banner").await;
    check(&dashboard, "a lost connection").await;
    dashboard.browser.close().await;
}

#[tokio::test]
async fn everybody_can_read_the_document_of_the_api() {
    let stage = Stage::set(4, 3);
    let dashboard = Dashboard::open(&stage.manager.address()).await;
    dashboard.log_in("chen", &stage::password("chen")).await;
    dashboard.go("api.html", "h2").await;
    check(&dashboard, "the document of the API").await;
    dashboard.browser.close().await;
}
