//! What the description promises about itself.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::operations;

fn description() -> Value {
    serde_json::to_value(operations().to_openapi()).unwrap()
}

/// Every operation: its method and path, and what is said of it.
fn each(description: &Value) -> Vec<(String, Value)> {
    let paths = description["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(|(method, operation)| (format!("{method} {path}"), operation.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

/// Calls a function with every object in a document.
fn visit(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|value| visit(value, see));
        }
        Value::Array(items) => items.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}

#[test]
fn every_operation_says_what_it_is_and_what_it_answers() {
    let description = description();
    let mut ids = BTreeSet::new();
    for (operation, said) in each(&description) {
        let id = said["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty() && ids.insert(id.to_owned()), "{operation}: its id is missing or another's: `{id}`");
        let summary = said["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty() && !summary.contains('\n'), "{operation} has no summary in one line: `{summary}`");
        assert_eq!(said["tags"].as_array().map(Vec::len), Some(1), "{operation} needs one tag");
        let answers = said["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{operation} never succeeds");
        let described = |answer: &Value| answer["description"].as_str().is_some_and(|text| !text.is_empty());
        assert!(answers.values().all(described), "{operation} has an answer without words");
        let needs_login = said.get("security").is_none();
        if needs_login {
            for status in ["401", "403", "500"] {
                assert!(answers.contains_key(status), "{operation} needs a login and tells no {status}");
            }
        }
        if said.get("requestBody").is_some() {
            for status in ["400", "408", "413", "415"] {
                assert!(answers.contains_key(status), "{operation} takes a body and tells no {status}");
            }
        }
        if said.get("parameters").is_some() {
            assert!(answers.contains_key("400"), "{operation} takes parameters and tells no 400");
        }
    }
}

#[test]
fn what_is_wrong_is_a_problem() {
    for (operation, said) in each(&description()) {
        for (status, answer) in said["responses"].as_object().unwrap() {
            let is_problem = answer["content"].get("application/problem+json").is_some();
            let expected = status.starts_with('4') || status.starts_with('5') && operation != "get /readyz";
            assert_eq!(is_problem, expected, "{operation} {status}");
        }
    }
}

#[test]
fn whatever_it_refers_to_is_there() {
    let description = description();
    let mut missing = BTreeSet::new();
    visit(&description, &mut |object| {
        let Some(Value::String(target)) = object.get("$ref") else { return };
        if description.pointer(target.trim_start_matches('#')).is_none() {
            missing.insert(target.clone());
        }
    });
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn every_property_is_described() {
    let description = description();
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        let described = schema["description"].as_str().is_some_and(|text| !text.is_empty());
        assert!(described || name.contains('_'), "the schema {name} is not described");
    }
}

/// A route that is not described would be added by `route`; the agents' are not for people.
#[test]
fn no_route_goes_round_the_description() {
    let source = include_str!("../mod.rs");
    let (people, agents) = source.split_once("pub fn agents").unwrap();
    assert!(agents.contains(".route("), "this test looks for the wrong word");
    assert!(!people.contains(".route("), "add routes with `routes!`, so that they are described");
}

#[test]
fn it_is_a_document_that_common_tools_read() {
    let description = description();
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(description["components"]["securitySchemes"].as_object().unwrap().len(), 2);
}
