//! Frozen samples of every message of the protocol, from the first release on: each must be read for ever, and written
//! again without losing anything of what it says.

use std::{fs, path::PathBuf};

use protocol::{
    hook::HookFate,
    join::{JoinRequest, JoinResponse, Refusal, RefusalCode},
    link::{self, FromAgent, Outcome, ToAgent},
};
use serde_json::Value;

/// The samples of a version whose names begin with `prefix`: the rest of the name, and the text.
fn samples(version: &str, prefix: &str) -> Vec<(String, String)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples").join(version);
    let mut found: Vec<(String, String)> = fs::read_dir(&dir)
        .expect("the samples")
        .map(|entry| entry.expect("a sample").path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.strip_prefix(prefix)?.to_owned();
            Some((name, fs::read_to_string(&path).expect("a sample can be read")))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no samples of {prefix} in {}", dir.display());
    found
}

/// Whether everything that `old` says is in `new`, which may say more.
fn says_all(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().all(|(key, value)| new.get(key).is_some_and(|found| says_all(value, found)))
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| says_all(old, new))
        }
        (old, new) => old == new,
    }
}

#[track_caller]
fn assert_says_all(name: &str, old: &str, new: &str) {
    let (old, new): (Value, Value) =
        (serde_json::from_str(old).expect("JSON"), serde_json::from_str(new).expect("JSON"));
    assert!(says_all(&old, &new), "{name} has lost something:\n{old:#}\n{new:#}");
}

/// The kind of a message, as its sample is named. A new message does not compile here before it has a sample.
fn kind_from_agent(message: &FromAgent) -> &'static str {
    match message {
        FromAgent::Hello(_) => "hello",
        FromAgent::Status { .. } => "status",
        FromAgent::Gone { .. } => "gone",
        FromAgent::Instances { .. } => "instances",
        FromAgent::Facts { .. } => "facts",
        FromAgent::Outcome { outcome, .. } => match outcome {
            Outcome::Done { .. } => "outcome.done",
            Outcome::Ignored { .. } => "outcome.ignored",
            Outcome::Refused { .. } => "outcome.refused",
            Outcome::Failed { .. } => "outcome.failed",
            Outcome::Expired {} => "outcome.expired",
            Outcome::Unknown { .. } => "outcome.unknown",
        },
        FromAgent::HookOutput { .. } => "hook_output",
        FromAgent::HookDone { end, .. } => match end.fate {
            HookFate::Ran { .. } => "hook_done.ran",
            HookFate::Killed { .. } => "hook_done.killed",
            HookFate::TimedOut {} => "hook_done.timed_out",
            HookFate::Abandoned {} => "hook_done.abandoned",
            HookFate::NotRun { .. } => "hook_done.not_run",
            HookFate::Unknown { .. } => "hook_done.unknown",
        },
        FromAgent::Programs(_) => "programs",
        FromAgent::SecretKept {} => "secret_kept",
        FromAgent::Renew { .. } => "renew",
        FromAgent::Digest { .. } => "digest",
        FromAgent::Goodbye { .. } => "goodbye",
        FromAgent::Unsupported { .. } => "unsupported",
    }
}

fn kind_to_agent(message: &ToAgent) -> &'static str {
    match message {
        ToAgent::Welcome(_) => "welcome",
        ToAgent::Refused(_) => "refused",
        ToAgent::Order(_) => "order",
        ToAgent::AgentOrder(_) => "agent_order",
        ToAgent::Desired(_) => "desired",
        ToAgent::Hook(_) => "hook",
        ToAgent::AbandonHook { .. } => "abandon_hook",
        ToAgent::Report {} => "report",
        ToAgent::Certificate { .. } => "certificate",
        ToAgent::Unsupported { .. } => "unsupported",
    }
}

#[test]
fn what_an_agent_of_protocol_1_says_is_understood() {
    for (name, text) in samples("protocol-1", "from_agent.") {
        let message: FromAgent = link::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(name.starts_with(kind_from_agent(&message)), "{name} was read as {message:?}");
        let written = link::write(&message);
        assert_says_all(&name, &text, &written);
        assert_eq!(link::parse::<FromAgent>(&written), Ok(message), "{name}");
    }
}

#[test]
fn what_a_manager_of_protocol_1_says_is_understood() {
    for (name, text) in samples("protocol-1", "to_agent.") {
        let message: ToAgent = link::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(name.starts_with(kind_to_agent(&message)), "{name} was read as {message:?}");
        let written = link::write(&message);
        assert_says_all(&name, &text, &written);
        assert_eq!(link::parse::<ToAgent>(&written), Ok(message), "{name}");
    }
}

#[test]
fn joining_by_protocol_1_is_understood() {
    for (name, text) in samples("protocol-1", "join.") {
        let written = match name.as_str() {
            "request" => serde_json::to_string(&serde_json::from_str::<JoinRequest>(&text).expect("a request")),
            _ => serde_json::to_string(&serde_json::from_str::<JoinResponse>(&text).expect("a response")),
        };
        assert_says_all(&name, &text, &written.expect("JSON"));
    }
}

#[test]
fn every_refusal_of_protocol_1_keeps_its_word() {
    for (name, text) in samples("protocol-1", "refusal.") {
        let refusal: Refusal = serde_json::from_str(&text).expect("a refusal");
        assert_ne!(refusal.code, RefusalCode::Unknown, "{name}");
        assert_says_all(&name, &text, &serde_json::to_string(&refusal).expect("JSON"));
    }
}

#[test]
fn every_message_has_a_sample() {
    let has = |prefix: &str, kinds: &[&str]| {
        let names: Vec<String> = samples("protocol-1", prefix).into_iter().map(|(name, _)| name).collect();
        for kind in kinds {
            assert!(names.iter().any(|name| name.starts_with(kind)), "{prefix}{kind} has no sample");
        }
    };
    has("from_agent.", &["hello", "hello.first", "status", "gone", "instances", "facts", "outcome.done"]);
    has("from_agent.", &["outcome.ignored", "outcome.refused", "outcome.failed", "outcome.expired", "outcome.unknown"]);
    has("from_agent.", &["secret_kept", "renew", "digest", "goodbye", "unsupported"]);
    has("to_agent.", &["welcome", "refused", "order.start", "order.stop", "order.kill", "report", "certificate"]);
    has("from_agent.", &["hook_output", "hook_done.ran", "hook_done.killed", "hook_done.timed_out", "programs"]);
    has("from_agent.", &["hook_done.abandoned", "hook_done.not_run", "hook_done.unknown"]);
    has(
        "to_agent.",
        &["agent_order.stop", "agent_order.kill", "agent_order.restart", "desired", "hook", "abandon_hook"],
    );
    has("to_agent.", &["unsupported"]);
    has("join.", &["request", "response"]);
}

#[test]
fn a_message_with_fields_of_a_later_version_is_understood() {
    for (name, text) in samples("protocol-1", "from_agent.") {
        let mut later: Value = serde_json::from_str(&text).expect("JSON");
        later["of_a_later_version"] = serde_json::json!({"type": "hello", "deep": [1, 2, 3]});
        let read: FromAgent = link::parse(&later.to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Ok(read), link::parse(&text), "{name}");
    }
}
