//! The API against its own document: schemathesis sends what the document allows and what it forbids, and compares each
//! answer with what the document says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    https::Https,
    manager::TestManager,
    programs::{self, Ran},
    raw_agent::{RawAgent, report},
};

/// What is looked at in each answer.
const CHECKS: [&str; 9] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
];

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

    /// How many requests to an operation were carried out.
    fn accepted(&self, operation: &str) -> u64 {
        let phases = self.report["valid_rates"][operation].as_object().into_iter().flatten();
        phases.filter_map(|(_, rates)| rates["accepted"].as_u64()).sum()
    }
}

/// An admin's API token: its id, its owner, and the token itself.
fn admin_token(manager: &TestManager) -> (String, String, String) {
    let made = manager.cli(&["token", "create", "--api", "--role", "admin", "-o", "json"]);
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let text = |key: &str| made[key].as_str().unwrap_or_default().to_owned();
    (text("id"), text("owner"), text("secret"))
}

/// Compares a manager with a document: a file, or an address of the manager.
fn fuzz(manager: &TestManager, document: &str, options: &[&str]) -> Fuzzed {
    let (id, owner, token) = admin_token(manager);
    let report = manager.dir().join("schemathesis.json");
    let mut command = Command::new(programs::python("schemathesis"));
    command
        .args(["run", document, "--no-color", "--report-json-path"])
        .arg(&report)
        .args(["--checks", &CHECKS.join(","), "--continue-on-failure", "--request-timeout", "20"])
        // The same requests each time, and nothing kept between two runs.
        .args(["--generation-deterministic", "--max-examples", "15"])
        .args(["--header", &format!("Authorization: Bearer {token}"), "--tls-verify"])
        .arg(manager.data().join("pki/ca.pem"))
        .args(options)
        .env("SCHEMATHESIS_HOOKS", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi/hooks.py"))
        .env("KEPT", format!("{id},{owner}"))
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
        let fuzzed = fuzz(&manager, path.to_str().unwrap(), &["--url", &url, "--phases", "coverage,fuzzing"]);
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
    let manager = TestManager::start();
    // Something to name, to tag, to trigger and to remove.
    let links: Vec<_> = (1..=4)
        .map(|number| {
            let mut agent = RawAgent::join(&manager, &format!("web-{number}"));
            agent.link_with(&manager, vec![report("/srv/shop", State::Stopped)])
        })
        .collect();
    let url = format!("https://{}/api/v1/openapi.json", manager.address());
    let fuzzed = fuzz(&manager, &url, &["--exclude-path-regex", "/events$"]);
    assert!(fuzzed.failures().is_empty() && fuzzed.ran.code == 0, "{}\n{}", fuzzed.ran.out, fuzzed.ran.err);
    assert_eq!(fuzzed.report["complete"], true, "{}", fuzzed.report);
    drop(links);
    eprintln!("{:#}", fuzzed.report);
}
