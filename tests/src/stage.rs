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
        stage.operate();
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

    /// Collections, a hook and a schedule are configured, and a collection is restarted.
    fn operate(&self) {
        let service = |machine, instance| self.fleet.service(machine, instance);
        let text = format!(
            "[defaults]\nstop_timeout = \"30s\"\nauto_kill = true\n\n\
             # What customers see.\n[collection.front]\non_failure = \"stop\"\nmembers = [\"{}\", \"{}\", \"backend\"]\n\n\
             [collection.backend]\nmode = \"parallel\"\nmax_parallel = 2\non_failure = \"continue\"\nmembers = [\"{}\", \"{}\"]\n\n\
             [[hook]]\nevent = \"pre-restart\"\ntargets = [\"front\"]\nprogram = \"warm-caches.sh\"\non_failure = \"warn\"\n\n\
             [schedule.weekly]\ncron = \"0 3 * * SUN\"\ntimezone = \"Europe/Berlin\"\ncommand = \"restart front\"\n\n\
             [schedule.nightly]\ncron = \"30 2 * * *\"\ntimezone = \"Europe/Berlin\"\ncommand = \"start #shop\"\n\n\
             [schedule.holidays]\ncron = \"0 20 24 12 *\"\ncommand = \"stop backend\"\nenabled = false\n",
            service(0, 0),
            service(1, 0),
            service(0, 1),
            service(1, 1),
        );
        self.add_hook("warm-caches.sh", "#!/bin/sh\necho warming the caches of $TOMCAT_GRID_COLLECTION\n");
        self.manager.apply(&text);
        self.manager.wait_end_of(&self.manager.operate("restart", &["front"]));
    }

    fn add_hook(&self, name: &str, script: &str) {
        let program = self.manager.dir().join(name);
        std::fs::write(&program, script).expect("a program");
        let added = self.manager.cli(&["hooks", "add", program.to_str().expect("a path of UTF-8")]);
        assert_eq!(added.code, 0, "{added:?}");
    }

    /// Restarts two machines of a large stage on which not all obeys, and waits for the end; returns the operation's id.
    pub fn restart_two_machines(&self) -> String {
        let order = json!({"mode": "parallel", "on_failure": "continue"});
        let id = self.manager.operate_in("restart", &["@web-29", "@web-41"], &order);
        let end = self.manager.wait_end_of(&id);
        assert_eq!(end.result(), "partly_failed", "{:#}", end.0);
        id
    }

    /// Restarts a collection with a hook that does not end soon; returns the operation's id, when the hook runs.
    pub fn restart_slowly(&self) -> String {
        self.add_hook(
            "drain.sh",
            "#!/bin/sh\necho lb-1 sends no new requests to $TOMCAT_GRID_COLLECTION\n\
             for left in 214 96 31 4; do echo $left sessions are left; done\nsleep 50\n",
        );
        let known = self.manager.api("GET", "/config", None).expect("an answer").json();
        let more =
            "\n[[hook]]\nevent = \"pre-restart\"\ntargets = [\"backend\"]\nprogram = \"drain.sh\"\ntimeout = \"60s\"\n";
        self.manager.apply(&format!("{}{more}", known["text"].as_str().expect("a text")));
        let id = self.manager.operate("restart", &["front"]);
        let running = |step: &Value| step["program"] == "drain.sh" && step["state"] == "running";
        self.manager.wait_operation(&id, "draining", |shown| shown.steps().iter().any(running));
        id
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
