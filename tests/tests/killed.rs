//! Manager and agent are killed at random moments of a restart: what was begun is finished, nothing is done twice, and
//! nothing is forgotten.

use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::{Value, json};
use tests::{
    agent::TestAgent,
    fake::{FakeTomcat, fake_home},
    manager::{PATIENCE, TestManager},
    wait,
};

/// How many instances are restarted, one after the other.
const INSTANCES: usize = 6;

/// How often one test kills; there are three of each, so that they run beside each other.
const ROUNDS: usize = 10;

/// A grid of one machine whose instances all run.
struct Stage {
    manager: TestManager,
    agent: TestAgent,
    shops: Vec<FakeTomcat>,
    /// How long a restart of all takes that nothing disturbs.
    usual: Duration,
}

impl Stage {
    fn new() -> Self {
        let manager = TestManager::start();
        let make = |at| FakeTomcat::builder(manager.dir(), &format!("shop-{at}")).set("stop_delay_ms", 60).owner(1, 1);
        let shops: Vec<FakeTomcat> = (0..INSTANCES).map(|at| make(at).build()).collect();
        let config = format!("tomcat.home = \"{}\"", fake_home(manager.dir()).display());
        let agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&config).start(&manager);
        let mut stage = Self { manager, agent, shops, usual: Duration::ZERO };
        assert_eq!(stage.ended(&stage.begin("start"))["result"], "done");
        let begun = Instant::now();
        assert_eq!(stage.ended(&stage.begin("restart"))["result"], "done");
        stage.usual = begun.elapsed();
        stage
    }

    fn begin(&self, command: &str) -> String {
        let asked = self.manager.api("POST", "/operations", Some(&json!({"command": command, "targets": ["@web-1"]})));
        let asked = asked.expect("an answer");
        assert_eq!(asked.status, 202, "{}", asked.body);
        asked.json()["id"].as_str().expect("an id").to_owned()
    }

    fn operation(&self, id: &str) -> Option<Value> {
        Some(self.manager.api("GET", &format!("/operations/{id}"), None)?.json())
    }

    fn in_state(&self, id: &str, states: &[&str]) -> Value {
        let mut last = Value::Null;
        let found = wait::within(2 * PATIENCE, || {
            last = self.operation(id)?;
            states.iter().any(|state| last["state"] == *state).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("the operation should be {states:?}, and is {last:#}\n{}", self.manager.log()))
    }

    fn ended(&self, id: &str) -> Value {
        self.in_state(id, &["ended"])
    }

    /// Lets a part of the usual time pass, which is another each time.
    fn some_moment(&self) {
        let most = self.usual.as_micros().try_into().unwrap_or(u64::MAX);
        let part = Duration::from_micros(rand::rng().random_range(0..most));
        assert_eq!(wait::within(part, || None::<()>), None);
    }

    /// Each instance was restarted once in each of so many rounds, and runs.
    fn assert_restarted(&self, rounds: usize, operation: &Value) {
        for (at, shop) in self.shops.iter().enumerate() {
            self.manager.wait_state(&format!("shop-{at}@web-1"), "active");
            let seen = (shop.times("start"), shop.times("term"));
            // The first start, and the restart that nothing disturbed, come on top.
            assert_eq!(seen, (rounds + 2, rounds + 1), "shop-{at} in round {rounds}: {operation:#}");
        }
    }
}

fn kill_the_manager() {
    let mut stage = Stage::new();
    for round in 1..=ROUNDS {
        let id = stage.begin("restart");
        stage.some_moment();
        stage.manager.kill();
        stage.manager.start_again();
        let left = stage.in_state(&id, &["interrupted", "ended"]);
        if left["state"] == "interrupted" {
            stage.manager.wait_state("agent@web-1", "active");
            let resumed = stage.manager.api("POST", &format!("/operations/{id}/resume"), None).expect("an answer");
            assert_eq!(resumed.status, 202, "{}", resumed.body);
        }
        let operation = stage.ended(&id);
        assert_eq!(operation["result"], "done", "{operation:#}\nas it was left: {left:#}");
        stage.assert_restarted(round, &operation);
    }
}

fn kill_the_agent() {
    let mut stage = Stage::new();
    for round in 1..=ROUNDS {
        let id = stage.begin("restart");
        stage.some_moment();
        stage.agent.kill();
        stage.agent.run();
        let operation = stage.ended(&id);
        assert_eq!(operation["result"], "done", "{operation:#}\n{}", stage.agent.log());
        stage.assert_restarted(round, &operation);
    }
}

#[test]
fn a_restart_survives_a_killed_manager() {
    kill_the_manager();
}

#[test]
fn a_restart_survives_a_killed_manager_at_other_moments() {
    kill_the_manager();
}

#[test]
fn a_restart_survives_a_killed_manager_at_moments_yet_others() {
    kill_the_manager();
}

#[test]
fn a_restart_survives_a_killed_agent() {
    kill_the_agent();
}

#[test]
fn a_restart_survives_a_killed_agent_at_other_moments() {
    kill_the_agent();
}

#[test]
fn a_restart_survives_a_killed_agent_at_moments_yet_others() {
    kill_the_agent();
}
