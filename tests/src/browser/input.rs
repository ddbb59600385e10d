//! Keys and the mouse, as a hand uses them: on whatever has the focus, with others held.

use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use serde_json::Value;

use super::Browser;

/// The characters by which WebDriver knows keys that write nothing.
const KEYS: [(&str, char); 18] = [
    ("Control", '\u{E009}'),
    ("Shift", '\u{E008}'),
    ("Alt", '\u{E00A}'),
    ("Meta", '\u{E03D}'),
    ("Enter", '\u{E007}'),
    ("Escape", '\u{E00C}'),
    ("Tab", '\u{E004}'),
    ("Space", ' '),
    ("Backspace", '\u{E003}'),
    ("Delete", '\u{E017}'),
    ("ArrowLeft", '\u{E012}'),
    ("ArrowUp", '\u{E013}'),
    ("ArrowRight", '\u{E014}'),
    ("ArrowDown", '\u{E015}'),
    ("PageUp", '\u{E00E}'),
    ("PageDown", '\u{E00F}'),
    ("Home", '\u{E011}'),
    ("End", '\u{E010}'),
];

fn key(name: &str) -> char {
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => letter,
        _ => KEYS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no key `{name}`")).1,
    }
}

impl Browser {
    /// Presses a key, or several at once: `j`, `?`, `Escape`, `Control+k`, `Shift+Tab`.
    pub async fn press(&self, keys: &str) {
        let keys: Vec<char> = keys.split('+').map(key).collect();
        let down = keys.iter().map(|&value| KeyAction::Down { value });
        let up = keys.iter().rev().map(|&value| KeyAction::Up { value });
        let actions = down.chain(up).fold(KeyActions::new("keys".to_owned()), KeyActions::then);
        self.client.perform_actions(actions).await.expect("keys can be pressed");
    }

    /// Types a text into whatever has the focus.
    pub async fn type_text(&self, text: &str) {
        let strokes = text.chars().flat_map(|value| [KeyAction::Down { value }, KeyAction::Up { value }]);
        let actions = strokes.fold(KeyActions::new("keys".to_owned()), KeyActions::then);
        self.client.perform_actions(actions).await.expect("keys can be pressed");
    }

    /// Clicks into the middle of an element with the mouse, while a key such as `Shift` is held.
    pub async fn click_holding(&self, held: &str, selector: &str) {
        let place = format!(
            "const e = document.querySelector({selector:?}); e.scrollIntoView({{block: 'nearest'}});
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
        );
        let place = self.run(&place).await;
        let at = |n: usize| place[n].as_f64().expect("a place");
        let value = key(held);
        let wait = Duration::ZERO;
        let keys = KeyActions::new("keys".to_owned()).then(KeyAction::Down { value });
        let keys = keys.pause(wait).pause(wait).pause(wait).then(KeyAction::Up { value });
        let mouse = MouseActions::new("mouse".to_owned())
            .pause(wait)
            .then(PointerAction::MoveTo { duration: None, x: at(0), y: at(1) })
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT })
            .pause(wait);
        let actions = fantoccini::actions::Actions::from(keys).and(mouse);
        self.client.perform_actions(actions).await.expect("the mouse can click");
    }

    /// Drags an element with the mouse over another one, a little past its middle, and lets it go there.
    pub async fn drag(&self, selector: &str, over: &str) {
        let middle = |selector: &str| {
            format!(
                "(() => {{ const r = document.querySelector({selector:?}).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()"
            )
        };
        let places = self.run(&format!("return [...{}, ...{}]", middle(selector), middle(over))).await;
        let [x, y, to_x, to_y] = [0, 1, 2, 3].map(|n| places[n].as_f64().expect("a place"));
        let past = if to_y > y { 4.0 } else { -4.0 };
        let step = |x, y| PointerAction::MoveTo { duration: Some(Duration::from_millis(50)), x, y };
        let mouse = MouseActions::new("mouse".to_owned())
            .then(step(x, y))
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            // A drag begins with the first pixels, and is over what the mouse has moved over.
            .then(step(x, y + past))
            .then(step(to_x, to_y))
            .then(step(to_x, to_y + past))
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.client.perform_actions(mouse).await.expect("the mouse can drag");
    }

    /// What has the focus, as its tag, its id and its text, for messages and comparisons.
    pub async fn focused(&self) -> String {
        let script = "const e = document.activeElement; return `${e.localName}#${e.id} ${(e.innerText ?? '').trim()}`";
        match self.run(script).await {
            Value::String(text) => text,
            other => panic!("no text, but {other}"),
        }
    }
}
