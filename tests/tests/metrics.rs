//! `/metrics` as Prometheus reads it, with the parser of its own client for Python.

use std::{
    collections::HashSet,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    https::{Https, Reply},
    manager::TestManager,
    programs::{self, Ran},
    raw_agent::{RawAgent, report},
};

/// What a parser understood.
struct Metrics(Vec<Value>);

impl Metrics {
    fn read(reply: &Reply) -> Self {
        assert_eq!(reply.status, 200, "{reply:?}");
        // Prometheus chooses its parser by this.
        let kind = reply.header("content-type").expect("a type");
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        let mut python = Command::new(programs::python("python"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics/read.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python runs");
        python.stdin.take().expect("its input").write_all(reply.body.as_bytes()).expect("it reads");
        let ran = Ran::from(python.wait_with_output().expect("it ends"));
        assert_eq!(ran.code, 0, "{}\n{}", ran.err, reply.body);
        Self(serde_json::from_str(&ran.out).expect("JSON"))
    }

    fn samples(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().flat_map(|family| family["samples"].as_array().expect("samples"))
    }

    /// The sum of the samples that have these labels; panics if there is none.
    #[track_caller]
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Value| {
            sample["name"] == name && labels.iter().all(|(label, value)| sample["labels"][label] == *value)
        };
        let values: Vec<f64> = self.samples().filter(fits).filter_map(|sample| sample["value"].as_f64()).collect();
        assert!(!values.is_empty(), "{name} with {labels:?} is missing: {:#?}", self.0);
        values.iter().sum()
    }
}

#[test]
fn the_metrics_are_right() {
    let manager = TestManager::start();
    let instances =
        vec![report("/srv/a", State::Active), report("/srv/b", State::Active), report("/srv/c", State::Stopped)];
    let _linked = RawAgent::join(&manager, "web-1").link_with(&manager, instances);
    drop(RawAgent::join(&manager, "web-2").link_with(&manager, vec![report("/srv/d", State::Active)]));
    manager.wait_state("a@web-1", "active");
    manager.wait_state("d@web-2", "not_available");
    let https = Https::of(&manager).bearer(&manager.token_with(&["--api", "--role", "viewer"]));
    let metrics = Metrics::read(&https.get("/metrics"));
    let services = |state: &str| metrics.value("tomcat_grid_services", &[("state", state), ("type", "instance")]);
    let counted = ["active", "starting", "stopping", "stopped", "unresponsive", "not_available"].map(services);
    assert_eq!(counted, [2.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    assert_eq!(metrics.value("tomcat_grid_services", &[("state", "active"), ("type", "agent")]), 1.0);
    assert_eq!(metrics.value("tomcat_grid_machines", &[]), 2.0);
    assert_eq!(metrics.value("tomcat_grid_machines_linked", &[]), 1.0);
    assert_eq!(metrics.value("tomcat_grid_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
}

#[test]
fn each_metric_says_what_it_is_and_is_told_once() {
    let manager = TestManager::start();
    let https = Https::of(&manager).bearer(&manager.token_with(&["--api", "--role", "viewer"]));
    let metrics = Metrics::read(&https.get("/metrics"));
    for family in &metrics.0 {
        let name = family["name"].as_str().unwrap();
        assert!(name.starts_with("tomcat_grid_") || name.starts_with("process_"), "{name}");
        assert!(family["help"].as_str().is_some_and(|help| !help.is_empty()), "{name} says nothing");
        assert!(["counter", "gauge", "histogram", "summary"].contains(&family["type"].as_str().unwrap()), "{family}");
    }
    let told: Vec<String> =
        metrics.samples().map(|sample| format!("{} {}", sample["name"], sample["labels"])).collect();
    assert_eq!(told.iter().collect::<HashSet<_>>().len(), told.len(), "{told:#?}");
}

#[test]
fn only_who_sees_everything_sees_the_metrics() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    let problem = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(https.get("/metrics").problem(), problem(401, "unauthorized"));
    let wanted = json!({"type": "api", "ttl_seconds": 600, "role": "admin", "targets": ["@web-1"]});
    let made = manager.api("POST", "/tokens", Some(&wanted)).expect("an answer").json();
    let limited = https.bearer(made["secret"].as_str().expect("a token"));
    assert_eq!(limited.get("/metrics").problem(), problem(403, "not_allowed"));
}
