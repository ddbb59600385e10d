//! Orders that go wrong half-way: the agent is killed while it sends one, the instance's own program fails, and what
//! was started ends at once.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use serde_json::Value;
use tests::{
    agent::TestAgent,
    fake::{FakeTomcat, fake_home},
    manager::{PATIENCE, TestManager},
    processes::{self, Signal},
    wait,
};

const SHOP: &str = "shop@web-1";

/// Has an agent killed at a point of a stop, and returns it when it runs again.
fn killed_while_it_stops(manager: &TestManager, shop: &FakeTomcat, point: &str) -> TestAgent {
    let mut agent = TestAgent::builder(manager, "web-1", manager.dir()).build();
    agent.run_with(&[("FAILPOINTS", &format!("{point}=return"))]);
    shop.start_by_hand();
    manager.wait_state(SHOP, "active");
    let stopped = manager.trigger("stop", SHOP);
    assert_ne!(stopped["outcome"], "done", "{stopped}");
    assert_eq!(agent.wait_ended(), None, "killed at {point}:\n{}", agent.log());
    agent.run();
    agent
}

#[test]
fn a_stop_that_was_never_sent_is_not_said_and_can_be_sent() {
    let manager = TestManager::start();
    let shop = FakeTomcat::builder(manager.dir(), "shop").build();
    let watcher = manager.watch();
    let _agent = killed_while_it_stops(&manager, &shop, "order_noted");
    // It lives, and nobody says anything else.
    manager.wait_service(SHOP, "active again", |service| service["state"] == "active" && service["pid"].is_u64());
    assert!(!watcher.states_of(SHOP).contains(&"stopping".to_owned()), "{:?}", watcher.states_of(SHOP));
    assert_eq!(manager.trigger("stop", SHOP)["outcome"], "done");
    assert_eq!(manager.wait_state(SHOP, "stopped")["reason"], "stopped by the grid");
}

#[test]
fn a_stop_that_was_sent_is_known_by_what_became_of_it() {
    let manager = TestManager::start();
    let shop = FakeTomcat::builder(manager.dir(), "shop").set("stop_delay_ms", 10_000).build();
    let _agent = killed_while_it_stops(&manager, &shop, "order_signalled");
    let stopping = manager.wait_state(SHOP, "stopping");
    assert!(stopping["reason"].as_str().unwrap().contains("the agent ended while it sent the stop"), "{stopping:#}");
    let stopped = manager.wait_state(SHOP, "stopped");
    assert_eq!((&stopped["reason"], &stopped["last_exit"]["wanted"]), (&"stopped by the grid".into(), &true.into()));
}

#[test]
fn a_stop_program_that_fails_has_stopped_nothing() {
    let manager = TestManager::start();
    let shop = FakeTomcat::builder(manager.dir(), "shop").owner(1, 1).build();
    let script = shop.dir().join("bin/stop.sh");
    write_script(&script, "exit 3");
    let config = format!("[[instance]]\nbase = \"{}\"\nstop = [\"bin/stop.sh\"]", shop.dir().display());
    let _agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&config).start(&manager);
    shop.start_by_hand();
    manager.wait_state(SHOP, "active");
    assert_eq!(manager.trigger("stop", SHOP)["outcome"], "done");
    let failed = |service: &Value| {
        service["state"] == "active" && service["notes"].to_string().contains("bin/stop.sh failed (exit status: 3)")
    };
    manager.wait_service(SHOP, "active, with a note", failed);

    write_script(&script, "kill \"$TOMCAT_GRID_PID\"");
    assert_eq!(manager.trigger("stop", SHOP)["outcome"], "done");
    assert_eq!(manager.wait_state(SHOP, "stopped")["reason"], "stopped by the grid");
}

#[test]
fn what_ends_as_soon_as_it_is_started_is_noted() {
    let manager = TestManager::start();
    let _shop = FakeTomcat::builder(manager.dir(), "shop").owner(1, 1).build();
    let home = fake_home(manager.dir());
    let script = home.join("bin/catalina.sh");
    let config = format!("tomcat.home = \"{}\"", home.display());
    let _agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&config).start(&manager);
    manager.wait_state(SHOP, "stopped");
    // Whether it is seen to live is a matter of luck; that it has ended is not.
    for code in 3..8 {
        write_script(&script, &format!("exit {code}"));
        manager.trigger("start", SHOP);
        let ended = |service: &Value| service["state"] == "stopped" && service["last_exit"]["code"] == code;
        let ended = manager.wait_service(SHOP, "its end", ended);
        assert_eq!(ended["last_exit"]["wanted"], false, "{ended:#}");
        assert!(ended["reason"].as_str().unwrap().contains(&format!("with exit code {code}")), "{ended:#}");
    }
}

#[test]
fn a_stop_reaches_what_was_started_by_hand_a_moment_ago() {
    let manager = TestManager::start();
    let shop = FakeTomcat::builder(manager.dir(), "shop").build();
    let _agent = TestAgent::start(&manager, "web-1", manager.dir());
    manager.wait_state(SHOP, "stopped");
    for action in ["stop", "kill"] {
        shop.start_by_hand();
        wait::until("its process", PATIENCE, || shop.pid());
        assert_eq!(manager.trigger(action, SHOP)["outcome"], "done", "{action}");
        shop.wait_gone();
        manager.wait_state(SHOP, "stopped");
    }
}

#[test]
fn what_hangs_does_so_across_the_agents_restart_and_when_it_was_frozen() {
    let manager = TestManager::start();
    let mut shop = FakeTomcat::builder(manager.dir(), "shop").build();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    let pid = shop.start_by_hand();
    manager.wait_state(SHOP, "active");
    processes::send(pid, Signal::STOP);
    manager.wait_state(SHOP, "unresponsive");
    shop.set("hang", true);
    processes::send(pid, Signal::CONT);
    let silent = |service: &Value| service["state"] == "unresponsive" && service["reason"] == "no answer within 2 s";
    manager.wait_service(SHOP, "silent, and not frozen", silent);

    let watcher = manager.watch();
    agent.kill();
    manager.wait_state(SHOP, "not_available");
    agent.run();
    manager.wait_service(SHOP, "hung still", |service| service["state"] == "unresponsive");
    shop.set("hang", false);
    manager.wait_state(SHOP, "active");
    let told = |seen: &[String]| seen == ["not_available", "unresponsive", "active"];
    let seen = wait::within(Duration::from_secs(5), || Some(watcher.states_of(SHOP)).filter(|seen| told(seen)));
    assert!(seen.is_some(), "{:?}", watcher.states_of(SHOP));
}

/// Another program makes it executable: see the home of the fakes.
fn write_script(path: &Path, line: &str) {
    let draft = path.with_extension("new");
    fs::write(&draft, format!("#!/bin/sh\n{line}\n")).expect("a script");
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).expect("permissions");
    fs::rename(draft, path).expect("a script in place");
}
