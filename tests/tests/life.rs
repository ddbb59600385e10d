//! The life of a real instance through every state.

use std::time::Instant;

use tests::{
    agent::TestAgent,
    manager::TestManager,
    processes::{self, Signal},
    tomcat::TomcatBase,
};

#[test]
fn an_instance_is_started_stopped_and_killed_by_triggers() {
    let manager = TestManager::start();
    let base = TomcatBase::builder(manager.dir(), "shop").owner(1, 1).build();
    let _agent = TestAgent::start(&manager, "web-1", manager.dir());
    manager.wait_state("shop@web-1", "stopped");
    let watcher = manager.watch();

    assert_eq!(manager.trigger("start", "shop@web-1")["outcome"], "done");
    watcher.wait_state("shop@web-1", "active", Instant::now() - std::time::Duration::from_secs(60));
    assert!(base.get("/p/").is_some());
    assert_eq!(manager.trigger("start", "shop@web-1")["outcome"], "ignored");

    assert_eq!(manager.trigger("stop", "shop@web-1")["outcome"], "done");
    let stopped = manager.wait_state("shop@web-1", "stopped");
    assert_eq!(stopped["last_exit"]["wanted"], true);
    assert_eq!(manager.trigger("stop", "shop@web-1")["outcome"], "ignored");

    manager.trigger("start", "shop@web-1");
    manager.wait_state("shop@web-1", "active");
    assert_eq!(manager.trigger("kill", "shop@web-1")["outcome"], "done");
    assert_eq!(manager.wait_state("shop@web-1", "stopped")["reason"], "killed by the grid");
    assert_eq!(
        watcher.states_of("shop@web-1"),
        ["starting", "active", "stopping", "stopped", "starting", "active", "stopping", "stopped"]
    );
}

#[test]
fn a_frozen_instance_is_unresponsive_until_it_goes_on() {
    let manager = TestManager::start();
    let base = TomcatBase::builder(manager.dir(), "shop").build();
    let pid = base.start_by_hand();
    base.wait_answering();
    let _agent = TestAgent::start(&manager, "web-1", manager.dir());
    manager.wait_state("shop@web-1", "active");
    processes::send(pid, Signal::STOP);
    let frozen = manager.wait_state("shop@web-1", "unresponsive");
    assert!(frozen["reason"].as_str().unwrap().contains("SIGSTOP"), "{frozen}");
    processes::send(pid, Signal::CONT);
    manager.wait_state("shop@web-1", "active");
}
