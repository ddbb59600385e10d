//! The API against its own document: schemathesis sends what the document allows and what it forbids, and compares each
//! answer with what the document says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tests::{
    https::Https,
    manager::TestManager,
    programs::{self, Ran},
    sqlite,
    stage::Stage,
    wait,
};

/// What a session alone may do, which an API token is not.
const OF_SESSIONS: [&str; 4] =
    ["POST /api/v1/session", "DELETE /api/v1/session", "PUT /api/v1/me/password", "DELETE /api/v1/me/sessions"];

/// What schemathesis found.
struct Fuzzed {
    ran: Ran,
    report: Value,
}

impl Fuzzed {
    /// The kinds of failures.
    fn failures(&self) -> Vec<&str> {
        self.report["failures"].as_array().unwrap().iter().filter_map(|failure| failure["title"].as_str()).collect()
    }

    /// The operations of which no request was carried out.
    fn unreached(&self) -> Vec<&str> {
        let operations = self.report["valid_rates"].as_object().unwrap().iter();
        let accepted = |phases: &Value| {
            phases.as_object().unwrap().values().filter_map(|rates| rates["accepted"].as_u64()).sum::<u64>()
        };
        operations.filter(|(_, phases)| accepted(phases) == 0).map(|(operation, _)| operation.as_str()).collect()
    }
}

/// An admin's API token: its id, its owner, and the token itself.
fn admin_token(manager: &TestManager) -> (String, String, String) {
    let made = manager.cli(&["token", "create", "--api", "--role", "admin", "-o", "json"]);
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let text = |key: &str| made[key].as_str().unwrap_or_default().to_owned();
    (text("id"), text("owner"), text("secret"))
}

/// Operations that can be acted on, by what is done with them: one that failed can be tried again, and two are made to
/// look as if a manager had left them.
fn operations(manager: &TestManager) -> Value {
    // There is no channel for it, so it is not done, and at once.
    let asked = json!({"command": "killstart", "targets": ["agent@web-02"]});
    let ids = [(); 3].map(|()| {
        let begun = manager.api("POST", "/operations", Some(&asked)).unwrap().json();
        begun["id"].as_str().unwrap().to_owned()
    });
    for id in &ids {
        wait::until("an operation to end", Duration::from_secs(20), || {
            (manager.api("GET", &format!("/operations/{id}"), None)?.json()["state"] == "ended").then_some(())
        });
    }
    let [retry, cancel, resume] = ids;
    let leave = format!(
        "update operation set state = 'interrupted', result = null, ended_at = null where id in ('{cancel}', '{resume}')"
    );
    sqlite::must(&manager.data().join("grid.db"), &leave);
    json!({"retry": retry, "cancel": cancel, "resume": resume, "show": retry})
}

/// Compares a manager with a document: a file, or an address of the manager.
fn fuzz(manager: &TestManager, document: &str, options: &[&str], operations: &Value) -> Fuzzed {
    let (id, owner, token) = admin_token(manager);
    let report = manager.dir().join("schemathesis.json");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi");
    let mut command = Command::new(programs::python("schemathesis"));
    command
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .args(["run", document, "--no-color", "--report-json-path"])
        .arg(&report)
        .args(["--header", &format!("Authorization: Bearer {token}"), "--tls-verify"])
        .arg(manager.data().join("pki/ca.pem"))
        .args(options)
        .env("SCHEMATHESIS_HOOKS", here.join("hooks.py"))
        .env("KEPT", format!("{id},{owner}"))
        .env("OPERATIONS", operations.to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .current_dir(manager.dir());
    let ran = programs::run(&mut command);
    let report = fs::read_to_string(&report).unwrap_or_else(|_| panic!("no report:\n{}\n{}", ran.out, ran.err));
    let fuzzed = Fuzzed { ran, report: serde_json::from_str(&report).expect("a report in JSON") };
    // A tool that logged itself out would have seen nothing but 401 from then on.
    let me = Https::of(manager).bearer(&token).get("/api/v1/whoami").json();
    assert_eq!(me["role"], "admin", "schemathesis is logged out: {me}");
    fuzzed
}

/// A document of two operations of the API, changed.
fn document(manager: &TestManager, change: impl FnOnce(&mut Value)) -> PathBuf {
    let problem = json!({"description": "a problem", "content": {"application/problem+json": {"schema": {
        "type": "object", "required": ["status", "code", "detail"]}}}});
    let answer = |properties: Value| {
        json!({"description": "an answer", "content": {"application/json": {"schema": {
            "type": "object", "required": ["grid"], "properties": properties}}}})
    };
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {"title": "two operations", "version": "1"},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
        "paths": {
            "/whoami": {"get": {"responses": {"200": answer(json!({"name": {"type": "string"}})), "401": problem}}},
            "/status": {"get": {
                "parameters": [{"name": "targets", "in": "query", "schema": {"type": "string"}}],
                "responses": {"200": answer(json!({})), "400": problem, "401": problem, "404": problem},
            }},
        },
    });
    change(&mut document);
    let path = manager.dir().join("openapi.json");
    fs::write(&path, document.to_string()).unwrap();
    path
}

#[test]
fn a_document_that_lies_is_found_out() {
    let manager = TestManager::start();
    let url = format!("https://{}/api/v1", manager.address());
    let failures = |change: fn(&mut Value)| {
        let path = document(&manager, change);
        let fuzzed =
            fuzz(&manager, path.to_str().unwrap(), &["--url", &url, "--phases", "coverage,fuzzing"], &json!({}));
        fuzzed.failures().join(", ")
    };
    assert_eq!(failures(|_| {}), "");
    let another_type = |document: &mut Value| {
        let name = "/paths/~1whoami/get/responses/200/content/application~1json/schema/properties/name/type";
        *document.pointer_mut(name).unwrap() = "integer".into();
    };
    let no_400 = |document: &mut Value| {
        let answers = document.pointer_mut("/paths/~1status/get/responses").unwrap();
        answers.as_object_mut().unwrap().remove("400").unwrap();
    };
    assert_eq!(failures(another_type), "Response violates schema");
    assert_eq!(failures(no_400), "Undocumented status code");
}

#[test]
fn the_api_does_what_its_document_says() {
    let stage = Stage::set(6, 3);
    let manager = &stage.manager;
    let applied = json!({"text": "[collection.front]\nmembers = [\"shop@web-03\"]\n"});
    assert_eq!(manager.api("POST", "/config", Some(&applied)).unwrap().status, 200);
    // Called by names that the tool tries.
    let program = manager.dir().join("hook.sh");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    for name in ["prod", "anna", "boris", "web-02"] {
        let added = manager.cli(&["hooks", "add", program.to_str().unwrap(), "--name", name]);
        assert_eq!(added.code, 0, "{}", added.err);
    }
    let url = format!("https://{}/api/v1/openapi.json", manager.address());
    let fuzzed = fuzz(manager, &url, &["--exclude-path-regex", "/(events|stream)$"], &operations(manager));
    assert!(fuzzed.failures().is_empty() && fuzzed.ran.code == 0, "{}\n{}", fuzzed.ran.out, fuzzed.ran.err);
    assert_eq!(fuzzed.report["complete"], true, "{}", fuzzed.report);
    let unreached: Vec<&str> = fuzzed.unreached();
    let of_others: Vec<&&str> = unreached.iter().filter(|one| !OF_SESSIONS.contains(one)).collect();
    assert!(of_others.is_empty(), "never carried out: {of_others:?}\n{}", fuzzed.ran.out);
}
