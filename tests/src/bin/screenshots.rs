//! Makes the pictures of the main views, light and dark, wide and narrow: a manager with a simulated fleet, in a real
//! browser. `script/screenshots` calls it with the directory for the pictures.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::PathBuf,
};

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    browser::Browser,
    fleet::Fleet,
    https::Https,
    manager::{PASSWORD, TestManager},
};

/// The sizes of the viewport: name, width, height.
const SIZES: [(&str, u32, u32); 2] = [("wide", 1280, 800), ("narrow", 400, 800)];

/// The themes.
const THEMES: [&str; 2] = ["light", "dark"];

/// The service whose page is shown.
const SERVICE: &str = "shop@web-03";

#[tokio::main]
async fn main() {
    let out = PathBuf::from(std::env::args_os().nth(1).expect("a directory for the pictures"));
    fs::create_dir_all(&out).expect("the directory can be made");
    let mut manager = TestManager::start();
    let fleet = Fleet::of(&manager, 60, 10);
    live_a_little(&manager, &fleet);
    let camera = Camera { browser: Browser::open(1280).await, url: format!("https://{}/", manager.address()), out };

    camera.go("", "#login").await;
    camera.take("login").await;
    camera.browser.write("#login [name=name]", "admin").await;
    camera.browser.write("#login [name=password]", PASSWORD).await;
    camera.browser.click("#login button[type=submit]").await;
    camera.browser.wait_true("document.querySelector('[data-service]')").await;

    for (picture, view, sign) in [
        ("grid", "#/", "[data-service]"),
        ("dense", "#/?dense=1", "[data-service]"),
        ("service", &format!("#/services/{SERVICE}"), "main h1"),
        ("events", "#/events", "main h1"),
        ("machines", "#/machines", "main h1"),
        ("users", "#/users", "main h1"),
        ("tokens", "#/tokens", "main h1"),
        ("audit", "#/audit", "main h1"),
    ] {
        camera.go(view, sign).await;
        camera.take(picture).await;
    }

    camera.go("#/?q=machine%3Aweb-03", "[data-service]").await;
    camera.browser.press("Control+a").await;
    camera.browser.wait_true("document.querySelector('[data-action=stop]')?.checkVisibility()").await;
    camera.browser.click("[data-action=stop]").await;
    camera.browser.wait_true("document.querySelector('dialog[open] [data-confirm]')").await;
    camera.take("confirm").await;
    camera.browser.press("Escape").await;
    camera.browser.wait_true("!document.querySelector('dialog[open]')").await;
    camera.browser.press("Escape").await;

    camera.go("#/", "[data-service]").await;
    camera.browser.press("Control+k").await;
    camera.browser.wait_true("document.querySelector('#palette')?.checkVisibility()").await;
    camera.take("palette").await;
    camera.browser.press("Escape").await;

    manager.kill();
    camera.browser.wait_true("document.body.classList.contains('stale')").await;
    camera.take("lost").await;
    camera.browser.close().await;
}

/// A browser, and where its pictures go.
struct Camera {
    browser: Browser,
    url: String,
    out: PathBuf,
}

impl Camera {
    /// Goes to a view, and waits until what it shows is there.
    async fn go(&self, view: &str, sign: &str) {
        self.browser.go(&format!("{}{view}", self.url)).await;
        self.browser.wait_true(&format!("document.querySelector({sign:?})?.checkVisibility()")).await;
    }

    /// Takes the present view in each size and theme.
    async fn take(&self, picture: &str) {
        for (size, width, height) in SIZES {
            self.browser.viewport(width, height).await;
            for theme in THEMES {
                self.browser.prefer(&[("prefers-color-scheme", theme), ("prefers-reduced-motion", "reduce")]).await;
                self.settle().await;
                self.browser.screenshot_to(self.out.join(format!("{picture}-{theme}-{size}.png"))).await;
            }
        }
        let (_, width, height) = SIZES[0];
        self.browser.viewport(width, height).await;
        self.settle().await;
    }

    /// Waits until nothing is loading or moving, and what was drawn is shown.
    async fn settle(&self) {
        self.browser.wait_true("!document.querySelector('main [aria-busy=true]')").await;
        let script = "return document.fonts.ready
            .then(() => Promise.all(document.getAnimations().map((a) => a.finished.catch(() => {}))))
            .then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))";
        self.browser.run(script).await;
    }
}

/// Lets people come, tag and act, and instances fail, so that each view has something to show.
fn live_a_little(manager: &TestManager, fleet: &Fleet) {
    let call = |method: &str, path: &str, body: Value| {
        let answer = manager.api(method, path, Some(&body)).expect("an answer");
        assert!(answer.status / 100 == 2, "{method} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    };
    for (name, role) in [("anna", "operator"), ("boris", "operator"), ("chen", "viewer"), ("dora", "admin")] {
        call("POST", "/users", json!({"name": name, "role": role, "password": format!("{name} in the staging room")}));
    }
    let machines = |range: std::ops::Range<usize>| range.map(|at| fleet.machine(at)).collect::<Vec<_>>();
    call("POST", "/tags", json!({"add": ["prod"], "remove": [], "services": [], "machines": machines(0..40)}));
    call("POST", "/tags", json!({"add": ["test"], "remove": [], "services": [], "machines": machines(40..60)}));
    let shops: Vec<String> = (0..20).map(|at| fleet.service(at, 0)).collect();
    call("POST", "/tags", json!({"add": ["shop"], "remove": [], "services": shops, "machines": []}));
    let tokens = [
        ("anna", "operator", json!(["#shop"]), "deploys the shop"),
        ("boris", "operator", json!(null), "night jobs"),
        ("chen", "viewer", json!(null), "the screen in the hall"),
    ];
    for (owner, role, targets, description) in tokens {
        let mut wanted = json!({"type": "api", "ttl_seconds": 7_776_000, "role": role, "owner": owner,
            "description": description});
        if targets.is_array() {
            wanted["targets"] = targets;
        }
        let made = call("POST", "/tokens", wanted);
        let https = Https::of(manager).bearer(made["secret"].as_str().expect("a token"));
        let trigger = json!({"action": "stop", "targets": [fleet.service(7, 0)]});
        // The viewer is refused, which is on record then.
        https.request("POST", "/api/v1/trigger", Some(&trigger));
        https.request("POST", "/api/v1/trigger", Some(&json!({"action": "start", "targets": trigger["targets"]})));
    }
    call("POST", "/tokens", json!({"type": "join", "ttl_seconds": 86_400, "uses": 20}));
    let wrong = json!({"name": "dora", "password": "password1"});
    assert_eq!(manager.api("POST", "/session", Some(&wrong)).expect("an answer").status, 401);
    call("POST", "/trigger", json!({"action": "stop", "targets": [fleet.service(4, 1), fleet.service(4, 2)]}));
    fleet.change_with(2, 0, State::Unresponsive, Some("the connector on port 8080 accepts and does not answer"));
    fleet.change_with(2, 0, State::Active, None);
    (fleet.size() / 10 - 3..fleet.size() / 10).for_each(|machine| fleet.away(machine));
    manager.wait_state(&fleet.service(59, 0), "not_available");
    manager.wait_service(SERVICE, "active again", |service| service["state"] == "active");
}
