//! Operations for the tests of what is shown of them.

use serde_json::{Value, json};

use crate::grid::operation::view::{Counts, OperationDetail, StepView};

/// A moment, in seconds after the operation was asked for.
pub(super) fn at(seconds: u64) -> protocol::time::Timestamp {
    let begun: protocol::time::Timestamp = "2026-01-01T08:00:00Z".parse().unwrap();
    begun.after(std::time::Duration::from_secs(seconds))
}

/// An operation `restart front`, with nodes that are added one after the other.
pub(super) struct Sample(Vec<Value>);

impl Sample {
    /// One whose root is the collection `front`.
    pub(super) fn new(state: &str) -> Self {
        Self(Vec::new()).group(None, "front", state)
    }

    pub(super) fn group(self, parent: Option<u32>, name: &str, state: &str) -> Self {
        let group = json!({
            "kind": "group", "collection": name, "mode": "sequential", "max_parallel": null, "on_failure": "stop",
            "failure_budget": null
        });
        self.node(parent, group, state, "", None)
    }

    /// A service that took so long, in seconds.
    pub(super) fn service(self, parent: u32, name: &str, state: &str, message: &str, took: Option<(u64, u64)>) -> Self {
        let service = json!({
            "kind": "service", "service": name, "machine": "web-1", "type": "instance", "collection": "front"
        });
        self.node(Some(parent), service, state, message, took)
    }

    pub(super) fn hook(self, parent: u32, state: &str, message: &str, took: Option<(u64, u64)>) -> Self {
        let hook = json!({
            "kind": "hook", "event": "pre-restart", "program": "drain.sh", "place": "machine", "timeout_ms": 30_000,
            "on_failure": "abort", "user": null, "target": "front"
        });
        self.node(Some(parent), hook, state, message, took)
    }

    pub(super) fn signal(self, parent: u32, signal: &str, late: bool, state: &str, message: &str) -> Self {
        let signal = json!({"kind": "signal", "signal": signal, "if_stop_timed_out": late});
        self.node(Some(parent), signal, state, message, None)
    }

    pub(super) fn wait(self, parent: u32, until: &str, late: bool, state: &str, took: Option<(u64, u64)>) -> Self {
        let wait = json!({"kind": "wait", "until": until, "timeout_ms": 60_000, "if_stop_timed_out": late});
        self.node(Some(parent), wait, state, "", took)
    }

    fn node(mut self, parent: Option<u32>, kind: Value, state: &str, message: &str, took: Option<(u64, u64)>) -> Self {
        let mut node = json!({
            "number": self.0.len(), "parent": parent, "state": state, "message": message, "started_at": null,
            "ended_at": null
        });
        if let Some((from, until)) = took {
            node["started_at"] = json!(at(from));
            if state != "running" {
                node["ended_at"] = json!(at(until));
            }
        }
        node.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        self.0.push(node);
        self
    }

    /// The number of the node that was added last.
    pub(super) fn last(&self) -> u32 {
        self.0.len() as u32 - 1
    }

    /// The operation; one with a result has ended.
    pub(super) fn detail(self, result: Option<&str>) -> OperationDetail {
        let steps: Vec<StepView> = serde_json::from_value(Value::from(self.0)).unwrap();
        let mut services = Counts::default();
        for step in steps.iter().filter(|step| matches!(step.kind, crate::grid::operation::NodeKind::Service(_))) {
            services.total += 1;
            *match step.state.word() {
                "planned" => &mut services.planned,
                "running" => &mut services.running,
                "done" => &mut services.done,
                "ignored" => &mut services.ignored,
                "skipped" => &mut services.skipped,
                _ => &mut services.failed,
            } += 1;
        }
        let operation = json!({
            "id": uuid::Uuid::nil(), "command": "restart", "targets": ["front"],
            "state": if result.is_some() { "ended" } else { "running" }, "result": result, "message": "", "actor": "me",
            "created_at": at(0), "ended_at": result.map(|_| at(90)), "retry_of": null, "services": services
        });
        OperationDetail { operation: serde_json::from_value(operation).unwrap(), steps }
    }
}

/// Two services done, one in hand, one to come.
pub(super) fn in_the_middle() -> OperationDetail {
    let sample = Sample::new("running")
        .service(0, "shop-a@web-1", "done", "", Some((0, 4)))
        .service(0, "shop-b@web-1", "ignored", "it is active already", Some((4, 4)))
        .service(0, "shop-c@web-1", "running", "", Some((4, 0)));
    let service = sample.last();
    sample
        .signal(service, "stop", false, "done", "SIGTERM sent to 4242")
        .wait(service, "stopped", false, "running", Some((5, 0)))
        .service(0, "shop-d@web-1", "planned", "", None)
        .detail(None)
}
