//! What WebDriver has no words for: the size of the viewport, themes, a network that is gone, what the page complains of.

use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::wd::WebDriverCompatibleCommand;
use hyper::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::Browser;

/// A command of chromedriver's own.
#[derive(Debug)]
struct OfDriver {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for OfDriver {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Sends a command of the DevTools protocol to the tab that is looked at.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        let sent = self.client.issue_cmd(OfDriver { path: "goog/cdp/execute", body }).await;
        sent.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Gives the tab a viewport of exactly this size, in CSS pixels, which may be narrower than any window.
    pub async fn viewport(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Has the tab prefer something, such as `prefers-color-scheme` `dark`, `prefers-reduced-motion` `reduce`,
    /// `forced-colors` `active`. What was preferred before is forgotten.
    pub async fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<Value> = features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Takes the network away from the tab, or gives it back. A stream that is open lives on: see [`crate::relay`].
    pub async fn offline(&self, offline: bool) {
        self.devtools("Network.enable", json!({})).await;
        let conditions = json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// Has a script run in each page that the tab loads from now on, before the page's own.
    pub async fn run_first(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await;
    }

    /// What the tab shows, as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        let shot = self.devtools("Page.captureScreenshot", json!({"format": "png"})).await;
        STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64")
    }

    /// Writes what the tab shows into a file, as PNG.
    pub async fn screenshot_to(&self, path: impl AsRef<std::path::Path>) {
        std::fs::write(path, self.screenshot().await).expect("a file for the screenshot");
    }

    /// The errors that the browser has logged since the last look: scripts that failed, what the content security policy
    /// forbade, answers that are no success.
    pub async fn errors(&self) -> Vec<String> {
        let log = self.client.issue_cmd(OfDriver { path: "se/log", body: json!({"type": "browser"}) }).await;
        let log = log.expect("chromedriver keeps a log");
        let entries = log.as_array().into_iter().flatten();
        let errors = entries.filter(|entry| entry["level"] == "SEVERE");
        errors.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
