//! Fakes that several hands start and stop without a pause, whether there is a manager or not.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{agent::TestAgent, fake::FakeTomcat, http, manager::TestManager, processes, wait};

/// The fakes, and their agent.
pub struct Storm {
    fakes: Vec<FakeTomcat>,
    _agent: TestAgent,
}

/// How many fakes there are, two for each hand.
const FAKES: usize = 6;

/// Ends the storm, also when its story panics.
struct Calm<'a>(&'a AtomicBool);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Storm {
    /// Lays out the fakes, and starts an agent for them.
    pub fn begin(manager: &TestManager) -> Self {
        let fake = |n| {
            let fake = FakeTomcat::builder(manager.dir(), &format!("fake-{n}")).owner(1, 1);
            fake.set("start_delay_ms", 40).set("stop_delay_ms", 40).build()
        };
        let fakes: Vec<FakeTomcat> = (0..FAKES).map(fake).collect();
        let config = format!("[tomcat]\nhome = \"{}\"", fakes[0].home().display());
        let agent = TestAgent::builder(manager, "web-1", manager.dir()).config(&config).start(manager);
        for n in 0..FAKES {
            manager.wait_state(&name(n), "stopped");
        }
        Self { fakes, _agent: agent }
    }

    /// Starts and stops everything for as long as the `story` lasts, and leaves some of it running.
    pub fn rage(socket: &Path, story: impl FnOnce()) {
        let calm = AtomicBool::new(false);
        thread::scope(|scope| {
            for hand in 0..FAKES / 2 {
                let calm = &calm;
                scope.spawn(move || {
                    let targets = [name(2 * hand), name(2 * hand + 1)];
                    while !calm.load(Ordering::SeqCst) {
                        trigger(socket, "start", &targets);
                        trigger(socket, "stop", &targets);
                    }
                    trigger(socket, "start", &targets[..1]);
                });
            }
            let _calm = Calm(&calm);
            story();
        });
    }

    /// Waits until the status agrees with the machine, and both are at rest.
    pub fn wait_agreement(&self, manager: &TestManager) {
        manager.wait_state("agent@web-1", "active");
        for (n, fake) in self.fakes.iter().enumerate() {
            manager.wait_service(&name(n), "what /proc says", |service| {
                let pid = fake.pid();
                let state = if pid.is_some() { "active" } else { "stopped" };
                service["state"] == state && service["pid"] == json!(pid)
            });
            assert!(processes::tomcat_pids(fake.dir()).len() <= 1, "{n} runs twice");
        }
    }
}

fn name(n: usize) -> String {
    format!("fake-{n}@web-1")
}

/// Triggers; where the manager is away, as soon as it is back, or not at all.
fn trigger(socket: &Path, action: &str, targets: &[String]) {
    let body = json!({"action": action, "targets": targets});
    let send = || http::request(socket, "POST", "/api/v1/trigger", Some(&body));
    wait::within(Duration::from_secs(2), send);
}
