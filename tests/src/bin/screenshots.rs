//! Makes the pictures of the main views, light and dark, wide and narrow: a manager with a simulated fleet, in a real
//! browser. `script/screenshots` calls it with the directory for the pictures.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use protocol::state::State;
use serde_json::json;
use tests::{
    dashboard::{Dashboard, VIEWS},
    manager::PASSWORD,
    stage::Stage,
};

/// The sizes of the viewport: name, width, height.
const SIZES: [(&str, u32, u32); 2] = [("narrow", 400, 800), ("wide", 1280, 800)];

/// The themes.
const THEMES: [&str; 2] = ["dark", "light"];

#[tokio::main]
async fn main() {
    let out = PathBuf::from(std::env::args_os().nth(1).expect("a directory for the pictures"));
    std::fs::create_dir_all(&out).expect("the directory can be made");
    let mut stage = Stage::set(60, 10);
    // The first machine of the list shows several states.
    for (instance, state, reason) in [
        (3, State::Starting, "the port is not open yet"),
        (6, State::Stopping, "waits for requests that are being answered"),
    ] {
        stage.fleet.change_with(8, instance, state, Some(reason));
    }
    let report = stage.restart_two_machines();
    let dashboard = Dashboard::open(&stage.manager.address()).await;
    take(&dashboard, "login", &out).await;
    dashboard.log_in("admin", PASSWORD).await;
    for (name, view, sign) in VIEWS {
        dashboard.go(view, sign).await;
        take(&dashboard, name, &out).await;
    }
    dashboard.go(&format!("#/operations/{report}"), "[data-result=partly_failed]").await;
    take(&dashboard, "operation-report", &out).await;
    let live = stage.restart_slowly();
    dashboard.go(&format!("#/operations/{live}"), ".said").await;
    dashboard.browser.wait_text(".tree", "4 sessions are left").await;
    take(&dashboard, "operation-live", &out).await;
    stage.manager.act_on(&live, "cancel", Some(&json!({"now": true})));
    stage.manager.wait_end_of(&live);
    dashboard.ask_to_stop("web-02").await;
    take(&dashboard, "confirm", &out).await;
    dashboard.escape().await;
    // Once more, for the selection.
    dashboard.escape().await;
    dashboard.open_palette().await;
    take(&dashboard, "palette", &out).await;
    dashboard.escape().await;

    dashboard.go("#/", "[data-service]").await;
    stage.manager.kill();
    dashboard.wait_shown("body.stale .banner").await;
    take(&dashboard, "lost", &out).await;
    dashboard.browser.close().await;
}

/// Takes the present view in each size and theme; the wide and light one is left.
async fn take(dashboard: &Dashboard, name: &str, out: &Path) {
    dashboard.tidy().await;
    for (size, width, height) in SIZES {
        for theme in THEMES {
            dashboard.look(width, height, theme).await;
            dashboard.browser.screenshot_to(out.join(format!("{name}-{theme}-{size}.png"))).await;
        }
    }
}
