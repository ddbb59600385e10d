//! A real browser: Chromium without a window, driven through WebDriver.

mod devtools;
mod input;
mod tabs;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::tabs::Tab;
use crate::wait;

/// How long the page may take to show something.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one window.
pub struct Browser {
    client: Client,
    driver: Child,
    profile: TempDir,
}

impl Browser {
    /// Opens a browser with a window of a width.
    pub async fn open(width: u32) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver runs: script/setup installs it");
        let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok())
            .expect("chromedriver says its port");
        // A pipe that nobody reads would end it.
        std::thread::spawn(move || lines.for_each(drop));
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--window-size={width},800"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({"acceptInsecureCerts": true, "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(capabilities) = capabilities else { unreachable!("an object was written") };
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser");
        Self { client, driver, profile }
    }

    /// Goes to an address.
    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.expect("the page loads");
    }

    /// Writes into a field.
    pub async fn write(&self, selector: &str, text: &str) {
        let field = self.client.find(Locator::Css(selector)).await.expect("the field is there");
        field.clear().await.expect("it can be cleared");
        field.send_keys(text).await.expect("it can be written");
    }

    /// Clicks.
    pub async fn click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.expect("the element is there");
        element.click().await.expect("it can be clicked");
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("the script runs")
    }

    /// How many elements there are.
    pub async fn count(&self, selector: &str) -> usize {
        let count = self.run(&format!("return document.querySelectorAll({selector:?}).length")).await;
        count.as_u64().and_then(|count| usize::try_from(count).ok()).expect("a number")
    }

    /// The text that an element shows; empty where it shows none.
    pub async fn text(&self, selector: &str) -> String {
        let script =
            format!("const e = document.querySelector({selector:?}); return e?.checkVisibility() ? e.innerText : ''");
        self.run(&script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an element shows a text.
    pub async fn wait_text(&self, selector: &str, expected: &str) {
        let mut last = String::new();
        wait::until_async(&format!("{selector} to show `{expected}`"), PATIENCE, async || {
            last = self.text(selector).await;
            last.contains(expected).then_some(())
        })
        .await;
    }

    /// Waits until an expression is true in the page.
    pub async fn wait_true(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        wait::until_async(&format!("`{expression}`"), PATIENCE, async || {
            (self.run(&script).await == true).then_some(())
        })
        .await;
    }

    /// Closes the browser.
    pub async fn close(mut self) {
        self.client.clone().close().await.expect("it closes");
        self.driver.kill().expect("chromedriver ends");
        self.driver.wait().expect("chromedriver has ended");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A test that fails leaves it open, and a browser outlives its driver; both are known by their profile.
        let _closed_before = self.driver.kill();
        let profile = self.profile.path().display().to_string();
        Command::new("pkill").args(["-KILL", "-f", "--", &profile]).status().expect("pkill runs");
    }
}
