//! A grid that shows everything there is: a simulated fleet, users, tags, tokens, refusals, machines that are away.

use protocol::state::State;
use serde_json::{Value, json};

use crate::{fleet::Fleet, https::Https, manager::TestManager};

/// A grid on which something has happened.
pub struct Stage {
    /// The manager; its admin's password is the tests'.
    pub manager: TestManager,
    /// The fleet, of which the last machine is away.
    pub fleet: Fleet,
}

/// The users beside `admin`, and their roles.
const USERS: [(&str, &str); 4] = [("anna", "operator"), ("boris", "operator"), ("chen", "viewer"), ("dora", "admin")];

/// The password of a user of the stage.
pub fn password(name: &str) -> String {
    format!("{name} in the staging room")
}

impl Stage {
    /// Sets a stage with so many machines (four at least) of so many instances (three at least).
    pub fn set(machines: usize, instances: usize) -> Self {
        let manager = TestManager::start();
        let fleet = Fleet::of(&manager, machines, instances);
        let stage = Self { manager, fleet };
        for (name, role) in USERS {
            stage.call("/users", &json!({"name": name, "role": role, "password": password(name)}));
        }
        stage.tag();
        stage.act();
        stage.fleet.away(machines - 1);
        stage.manager.wait_state(&stage.fleet.service(machines - 1, 0), "not_available");
        stage
    }

    fn call(&self, path: &str, body: &Value) -> Value {
        let answer = self.manager.api("POST", path, Some(body)).expect("an answer");
        assert!(answer.status / 100 == 2, "{path}: {}", answer.body);
        answer.json()
    }

    fn machines(&self) -> Vec<String> {
        (0..self.fleet.machines()).map(|at| self.fleet.machine(at)).collect()
    }

    /// Two thirds of the machines are for production.
    fn tag(&self) {
        let machines = self.machines();
        let (prod, test) = machines.split_at(machines.len() * 2 / 3);
        self.call("/tags", &json!({"add": ["prod"], "remove": [], "services": [], "machines": prod}));
        self.call("/tags", &json!({"add": ["test"], "remove": [], "services": [], "machines": test}));
        let shops: Vec<String> = (0..machines.len()).step_by(2).map(|at| self.fleet.service(at, 0)).collect();
        self.call("/tags", &json!({"add": ["shop"], "remove": [], "services": shops, "machines": []}));
    }

    /// Tokens are made and used; some of it is refused, and one instance fails for a while.
    fn act(&self) {
        let first = self.fleet.service(0, 0);
        for (owner, role, targets, description) in [
            ("anna", "operator", json!({"targets": ["#shop"]}), "deploys the shop"),
            ("boris", "operator", json!({}), "night jobs"),
            ("chen", "viewer", json!({}), "the screen in the hall"),
        ] {
            let mut wanted = json!({"type": "api", "ttl_seconds": 7_776_000, "role": role, "owner": owner,
                "description": description});
            wanted.as_object_mut().expect("an object").extend(targets.as_object().expect("an object").clone());
            let made = self.call("/tokens", &wanted);
            let https = Https::of(&self.manager).bearer(made["secret"].as_str().expect("a token"));
            for action in ["stop", "start"] {
                https.request("POST", "/api/v1/trigger", Some(&json!({"action": action, "targets": [first]})));
            }
        }
        self.call("/tokens", &json!({"type": "join", "ttl_seconds": 86_400, "uses": 20}));
        let wrong = json!({"name": "dora", "password": "password1"});
        assert_eq!(self.manager.api("POST", "/session", Some(&wrong)).expect("an answer").status, 401);
        let stop = [self.fleet.service(1, 1), self.fleet.service(1, 2)];
        self.call("/trigger", &json!({"action": "stop", "targets": stop}));
        self.fleet.change_with(2, 0, State::Unresponsive, Some("the connector on port 8080 does not answer"));
        self.fleet.change(2, 0, State::Active);
    }
}
