//! Accessibility: axe-core looks at what the browser shows, by the rules of WCAG 2.2 AA.

use std::{fmt::Write, fs, path::Path};

use serde_json::{Value, json};

use crate::browser::Browser;

/// The rules that count.
const RULES: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/// Something that a rule forbids.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The rule, as `color-contrast`.
    pub rule: String,
    /// How bad it is: `minor`, `moderate`, `serious` or `critical`.
    pub impact: String,
    /// What the rule wants.
    pub help: String,
    /// The elements (selector and what is wrong with it).
    pub elements: Vec<(String, String)>,
}

impl Violation {
    fn from(found: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let element = |node: &Value| {
            let selector = node["target"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ");
            (selector, text(&node["failureSummary"]).replace('\n', " "))
        };
        Self {
            rule: text(&found["id"]),
            impact: text(&found["impact"]),
            help: text(&found["help"]),
            elements: found["nodes"].as_array().into_iter().flatten().map(element).collect(),
        }
    }

    /// Whether it keeps people from using the page.
    pub fn is_grave(&self) -> bool {
        ["serious", "critical"].contains(&self.impact.as_str())
    }
}

/// What is wrong with the present view.
pub async fn violations(browser: &Browser) -> Vec<Violation> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(path).expect("axe-core is there: script/setup test installs it");
    // The view may have been left by a navigation, and with it what was loaded before.
    if browser.run("return typeof window.axe").await == "undefined" {
        browser.run(&axe).await;
    }
    let options = json!({
        "runOnly": {"type": "tag", "values": RULES},
        // Of WCAG 2.2, and not in use unless asked for.
        "rules": {"target-size": {"enabled": true}},
        "resultTypes": ["violations"],
    });
    let run = format!("return window.axe.run(document, {options}).then((r) => r.violations, (error) => String(error))");
    let found = browser.run(&run).await;
    found.as_array().unwrap_or_else(|| panic!("axe-core failed: {found}")).iter().map(Violation::from).collect()
}

/// Checks that nothing grave is wrong with the present view; tells on standard error of what is less than that.
///
/// # Panics
/// When something is, with a list.
pub async fn check(browser: &Browser, view: &str) {
    let (grave, lesser): (Vec<_>, Vec<_>) = violations(browser).await.into_iter().partition(Violation::is_grave);
    if !lesser.is_empty() {
        eprintln!("{view} is not perfect:\n{}", list(&lesser));
    }
    assert!(grave.is_empty(), "{view} cannot be used by everybody:\n{}", list(&grave));
}

fn list(violations: &[Violation]) -> String {
    let mut text = String::new();
    for violation in violations {
        writeln!(text, "- {} ({}): {}", violation.rule, violation.impact, violation.help).expect("memory");
        for (selector, summary) in violation.elements.iter().take(10) {
            writeln!(text, "    {selector}: {summary}").expect("memory");
        }
        if violation.elements.len() > 10 {
            writeln!(text, "    and {} more", violation.elements.len() - 10).expect("memory");
        }
    }
    text
}
