//! The dashboard in a browser: logging in, going to its views, opening what lies over them.

use serde_json::json;

use crate::browser::Browser;

/// The views: a name, the link, and what is there when the view is.
pub const VIEWS: [(&str, &str, &str); 14] = [
    ("grid", "#/", "[data-service]"),
    ("dense", "#/?dense=1", "[data-service]"),
    ("service", "#/services/shop@web-03", "main h1"),
    ("operations", "#/operations", "[data-operation]"),
    ("events", "#/events", "main h1"),
    ("machines", "#/machines", "main h1"),
    ("collections", "#/collections", "[data-collection]"),
    ("schedules", "#/schedules", "[data-schedule]"),
    ("hooks", "#/hooks", "[data-program]"),
    ("configuration", "#/config", ".editor textarea"),
    ("users", "#/users", "main h1"),
    ("tokens", "#/tokens", "main h1"),
    ("audit", "#/audit", "main h1"),
    ("account", "#/account", "main h1"),
];

/// A browser that looks at a dashboard.
pub struct Dashboard {
    /// The browser.
    pub browser: Browser,
    url: String,
}

impl Dashboard {
    /// Opens the login of a manager at an address.
    pub async fn open(address: &str) -> Self {
        let dashboard = Self { browser: Browser::open(1280).await, url: format!("https://{address}/") };
        dashboard.go("", "#login").await;
        dashboard
    }

    /// Logs in, and waits for the first service.
    pub async fn log_in(&self, name: &str, password: &str) {
        self.sign_in(name, password).await;
        self.wait_shown("[data-service]").await;
    }

    /// Logs in, and waits until the login is gone.
    pub async fn sign_in(&self, name: &str, password: &str) {
        self.browser.write("#login [name=name]", name).await;
        self.browser.write("#login [name=password]", password).await;
        self.browser.click("#login button[type=submit]").await;
        self.browser.wait_true("!document.querySelector('#login')").await;
    }

    /// Waits until what was to be drawn is drawn.
    pub async fn next_frames(&self) {
        self.browser
            .run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
            .await;
    }

    /// Goes to a view, and waits until what it shows is there.
    pub async fn go(&self, view: &str, sign: &str) {
        self.browser.go(&format!("{}{view}", self.url)).await;
        self.wait_shown(sign).await;
        self.settle().await;
    }

    /// Selects the instances of a machine, and is asked whether to stop them.
    pub async fn ask_to_stop(&self, machine: &str) {
        self.go(&format!("#/?q=machine%3A{machine}+type%3Ainstance"), "[data-service]").await;
        self.browser.press("Control+a").await;
        self.wait_shown("[data-action=stop]").await;
        self.browser.click("[data-action=stop]").await;
        self.wait_shown("dialog[open] [data-confirm]").await;
    }

    /// Opens the palette over the grid.
    pub async fn open_palette(&self) {
        self.go("#/", "[data-service]").await;
        self.browser.press("Control+k").await;
        self.wait_shown("#palette").await;
    }

    /// Opens the help on keys over the grid.
    pub async fn open_help(&self) {
        self.go("#/", "[data-service]").await;
        self.browser.press("Shift+?").await;
        self.wait_shown("#shortcuts").await;
    }

    /// Closes what lies over the view.
    pub async fn escape(&self) {
        self.browser.press("Escape").await;
        self.browser.wait_true("!document.querySelector('dialog[open]')").await;
    }

    /// Takes away what no picture needs: the scroll bars of this system, and the mouse where it clicked last.
    pub async fn tidy(&self) {
        self.browser.devtools("Emulation.setScrollbarsHidden", json!({"hidden": true})).await;
        let aside = json!({"type": "mouseMoved", "x": 0, "y": 0});
        self.browser.devtools("Input.dispatchMouseEvent", aside).await;
    }

    /// Looks in a size of the viewport (CSS pixels) and a theme, `light` or `dark`.
    pub async fn look(&self, width: u32, height: u32, theme: &str) {
        self.browser.viewport(width, height).await;
        // What moves is not to be caught half-way.
        self.browser.prefer(&[("prefers-color-scheme", theme), ("prefers-reduced-motion", "reduce")]).await;
        self.settle().await;
    }

    /// Waits until an element is shown.
    pub async fn wait_shown(&self, selector: &str) {
        self.browser.wait_true(&format!("document.querySelector({selector:?})?.checkVisibility()")).await;
    }

    /// Waits until nothing is loading or moving, and what was drawn is shown.
    async fn settle(&self) {
        self.browser.wait_true("!document.querySelector('main [aria-busy=true]')").await;
        // Only what ends: a spinner never does.
        let script = "return document.fonts.ready
            .then(() => Promise.all(document.getAnimations()
                .filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
                .map((one) => one.finished.catch(() => {}))))
            .then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))";
        self.browser.run(script).await;
    }
}
