//! On a telephone, and on a very wide screen.

use tests::{
    dashboard::{Dashboard, VIEWS},
    manager::PASSWORD,
    stage::Stage,
};

#[tokio::test]
async fn no_view_scrolls_sideways() {
    let stage = Stage::set(4, 4);
    let dashboard = Dashboard::open(&stage.manager.address()).await;
    dashboard.log_in("admin", PASSWORD).await;
    for (name, view, sign) in VIEWS {
        dashboard.go(view, sign).await;
        for width in [400, 2560] {
            dashboard.look(width, 800, "light").await;
            let wide = dashboard.browser.run("return document.documentElement.scrollWidth").await;
            assert!(wide.as_u64() <= Some(width.into()), "{name} is {wide} wide in {width}");
        }
    }
    dashboard.browser.close().await;
}

#[tokio::test]
async fn what_stands_above_the_grid_takes_two_lines_at_most() {
    let stage = Stage::set(4, 4);
    let dashboard = Dashboard::open(&stage.manager.address()).await;
    dashboard.log_in("admin", PASSWORD).await;
    dashboard.look(1280, 800, "light").await;
    let height = dashboard.browser.run("return document.querySelector('#board > .bar').offsetHeight").await;
    assert!(height.as_u64().is_some_and(|pixels| (30..100).contains(&pixels)), "{height}");
    dashboard.browser.close().await;
}
