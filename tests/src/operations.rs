//! Operations, as tests begin and watch them.

use serde_json::{Value, json};

use crate::{
    manager::{PATIENCE, TestManager},
    wait,
};

/// An operation as `GET /operations/ID` shows it.
#[derive(Debug, Clone)]
pub struct Shown(pub Value);

impl TestManager {
    /// Puts a configuration in force.
    #[track_caller]
    pub fn apply(&self, text: &str) {
        let answer = self.api("POST", "/config", Some(&json!({"text": text}))).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Begins an operation with the usual order; returns its id.
    #[track_caller]
    pub fn operate(&self, command: &str, targets: &[&str]) -> String {
        self.operate_in(command, targets, &json!({}))
    }

    /// Begins an operation; returns its id.
    #[track_caller]
    pub fn operate_in(&self, command: &str, targets: &[&str], order: &Value) -> String {
        let asked = json!({"command": command, "targets": targets, "order": order});
        let answer = self.api("POST", "/operations", Some(&asked)).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Acts on an operation: `cancel`, `resume` or `retry`; returns the answer.
    #[track_caller]
    pub fn act_on(&self, id: &str, action: &str, body: Option<&Value>) -> Value {
        let answer = self.api("POST", &format!("/operations/{id}/{action}"), body).expect("an answer");
        assert!(answer.status / 100 == 2, "{action}: {}", answer.body);
        answer.json()
    }

    /// An operation with its steps.
    pub fn shown(&self, id: &str) -> Shown {
        Shown(self.api("GET", &format!("/operations/{id}"), None).expect("an answer").json())
    }

    /// Waits until an operation is as it should be.
    #[track_caller]
    pub fn wait_operation(&self, id: &str, what: &str, fits: impl Fn(&Shown) -> bool) -> Shown {
        let mut last = Shown(Value::Null);
        let found = wait::within(2 * PATIENCE, || {
            last = self.shown(id);
            fits(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("the operation should be {what}, and is {:#}\n{}", last.0, self.log()))
    }

    /// Waits until an operation has ended.
    #[track_caller]
    pub fn wait_end_of(&self, id: &str) -> Shown {
        self.wait_operation(id, "ended", |shown| shown.0["state"] == "ended")
    }
}

impl Shown {
    /// How it ended.
    pub fn result(&self) -> &str {
        self.0["result"].as_str().unwrap_or_default()
    }

    /// The steps.
    pub fn steps(&self) -> &[Value] {
        self.0["steps"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The step of a service.
    #[track_caller]
    pub fn service(&self, name: &str) -> &Value {
        let found = self.steps().iter().find(|step| step["kind"] == "service" && step["service"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {:#}", self.0))
    }

    /// How far a service is.
    #[track_caller]
    pub fn state(&self, name: &str) -> &str {
        self.service(name)["state"].as_str().unwrap_or_default()
    }

    /// What is said of a service.
    #[track_caller]
    pub fn message(&self, name: &str) -> &str {
        self.service(name)["message"].as_str().unwrap_or_default()
    }

    /// The steps of a service as `KIND WORD: STATE`, in order.
    pub fn course(&self, name: &str) -> Vec<String> {
        let number = &self.service(name)["number"];
        let steps = self.steps().iter().filter(|step| step["parent"] == *number);
        let word = |step: &Value| {
            let what = ["signal", "until", "event"].iter().find_map(|key| step[key].as_str()).unwrap_or_default();
            format!("{} {what}: {}", step["kind"].as_str().unwrap_or_default(), step["state"].as_str().unwrap_or("?"))
        };
        steps.map(word).collect()
    }

    /// When a service was in hand.
    #[track_caller]
    pub fn span(&self, name: &str) -> (String, String) {
        let step = self.service(name);
        let at = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
        (at("started_at"), at("ended_at"))
    }
}
