//! scratch
use std::process::Command;
use tests::{agent::TestAgent, fake::FakeTomcat, manager::TestManager};

#[test]
fn scratch() {
    let manager = TestManager::start();
    let bases: Vec<_> = (0..4).map(|n| FakeTomcat::builder(manager.dir(), &format!("shop-{n}")).build()).collect();
    for b in &bases { b.start_by_hand(); }
    let agent = TestAgent::start(&manager, "web-1", manager.dir());
    for n in 0..4 { manager.wait_state(&format!("shop-{n}@web-1"), "active"); }
    Command::new("timeout").args(["-s", "INT", "12", "strace", "-f", "-ttt", "-T", "-o", "/tmp/bash_idle_strace", "-p", &agent.pid().to_string()]).status().unwrap();
}
