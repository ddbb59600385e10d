//! `/metrics` and the description of the API: who may read them, and that they tell the truth.

use protocol::state::State;
use serde_json::{Value, json};
use tests::{
    https::{Https, Reply},
    manager::TestManager,
    raw_agent::{RawAgent, report},
};

const INSTANCES: &str = "tomcat_grid_services{type=\"instance\",state=\"active\"}";
const STREAMS: &str = "tomcat_grid_event_streams";

#[test]
fn figures_need_a_login_and_no_more_than_a_viewer() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    assert_eq!(https.get("/metrics").problem(), (401, "unauthorized".to_owned()));
    assert_eq!(https.clone().bearer("nonsense").get("/metrics").problem(), (401, "unauthorized".to_owned()));
    let reply = https.bearer(&manager.token_with(&["--api", "--role", "viewer"])).get("/metrics");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{reply:?}");
    assert!(reply.body.contains("tomcat_grid_build_info{version=\"0.1.0\""), "{reply:?}");
    assert!(reply.body.contains("tomcat_grid_connections{face=\"people\"} 1.0"), "{reply:?}");
}

#[test]
fn figures_follow_what_happens() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    assert_eq!(manager.figure(INSTANCES), Some(0.0));
    let link = agent.link_with(&manager, vec![report("/srv/a", State::Active), report("/srv/b", State::Active)]);
    manager.wait_figure(INSTANCES, 2.0);
    assert_eq!(manager.figure("tomcat_grid_machines_linked"), Some(1.0));
    drop(link);
    manager.wait_figure(INSTANCES, 0.0);
    let login = json!({"name": "nobody", "password": "wrong"});
    assert_eq!(manager.api("POST", "/session", Some(&login)).unwrap().status, 401);
    manager.wait_figure("tomcat_grid_logins_total{result=\"failed\"}", 1.0);
    manager.trigger("start", "a@web-1");
    let trigger = "tomcat_grid_triggers_total{action=\"start\",outcome=\"not_available\"}";
    assert_eq!(manager.figure(trigger), Some(1.0));
}

#[test]
fn a_stream_that_is_left_counts_no_more() {
    let manager = TestManager::start();
    let stream = tests::http::stream(&manager.socket(), "/api/v1/events", "").unwrap();
    manager.wait_figure(STREAMS, 1.0);
    drop(stream);
    manager.wait_figure(STREAMS, 0.0);
}

/// Calls an operation as it is described, with a name in place of each parameter of its path.
fn call(https: &Https, method: &str, path: &str, operation: &Value) -> Reply {
    let path: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
    let body = operation.get("requestBody").map(|_| json!({}));
    https.request(&method.to_uppercase(), &path.join("/"), body.as_ref())
}

#[test]
fn what_is_described_as_needing_a_login_needs_one() {
    let manager = TestManager::start();
    let https = Https::of(&manager);
    let description = https.get("/api/v1/openapi.json").json();
    let mut needing = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let reply = call(&https, method, path, operation);
            let login = operation.get("security").is_none();
            needing += usize::from(login);
            assert_eq!(reply.status == 401, login, "{method} {path}: {reply:?}");
            let described = operation["responses"].get(reply.status.to_string());
            assert!(described.is_some(), "{method} {path} answers {}, which is not described", reply.status);
        }
    }
    assert!(needing > 10, "{needing} operations need a login");
}
