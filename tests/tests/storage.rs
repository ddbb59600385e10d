//! Disks that are full, directories that others hold or have written, and what a sudden end leaves behind.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use protocol::state::State;
use serde_json::Value;
use tests::{
    agent::TestAgent,
    fake::FakeTomcat,
    http,
    manager::{PATIENCE, TestManager},
    processes::{self, Signal},
    programs::{self, Ran},
    raw_agent::{RawAgent, report},
    wait,
    watcher::Watcher,
};

const FULL: &str = "disk is full";

#[test]
fn a_manager_whose_disk_is_full_says_so_shows_live_states_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(dir.path().join("disk"), "8m");
    let root = tempfile::tempdir().unwrap();
    let shop = FakeTomcat::builder(root.path(), "shop").owner(1, 1).build();
    let mut manager = TestManager::start_in(dir, disk.path.join("m"), &[]);
    let _agent = TestAgent::start(&manager, "web-1", root.path());
    manager.wait_state("shop@web-1", "stopped");
    assert_eq!(ready(&manager).0, 200);
    let pid = manager.pid();
    let mut other = RawAgent::join(&manager, "web-2");
    drop(other.link_with(&manager, vec![report("/srv/old", State::Active)]));
    manager.wait_state("old@web-2", "not_available");
    let problems = manager.watch();

    disk.fill();
    let refused = wait_refused(&manager);
    problems.wait_for("the problem", |event| {
        event["kind"] == "manager.state" && event["data"]["problems"].to_string().contains(FULL)
    });
    assert!(refused.err.contains(FULL), "{}", refused.err);
    let (status, why) = ready(&manager);
    assert!(status == 503 && why.contains(FULL), "{status} {why}");
    assert!(manager.status()["manager"]["problems"].to_string().contains(FULL), "{}", manager.status());
    assert!(manager.log().contains(FULL));
    let (watcher, began) = (manager.watch(), Instant::now());
    let tomcat = shop.start_by_hand();
    manager.wait_state("shop@web-1", "active");
    processes::send(tomcat, Signal::KILL);
    manager.wait_state("shop@web-1", "stopped");
    watcher.wait_state("shop@web-1", "stopped", began);
    // One that comes back is welcome, with what is known and what is new.
    let instances = vec![report("/srv/old", State::Active), report("/srv/new", State::Active)];
    let mut back = other.link_with(&manager, instances);
    manager.wait_state("old@web-2", "active");
    manager.wait_state("new@web-2", "active");
    back.settle();

    disk.make_room();
    wait::until("the manager to be ready again", PATIENCE, || (ready(&manager).0 == 200).then_some(()));
    assert_eq!(manager.status()["manager"]["problems"].as_array().map_or(0, Vec::len), 0);
    problems.wait_for("that it is well", |event| {
        event["kind"] == "manager.state" && event["data"]["problems"] == serde_json::json!([])
    });
    manager.token();
    assert_eq!(manager.pid(), pid);
    manager.stop();
    manager.start_again();
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn an_agent_that_cannot_remember_an_order_signals_nothing() {
    let mut manager = TestManager::start();
    let shop = FakeTomcat::builder(manager.dir(), "shop").owner(1, 1).build();
    let pid = shop.start_by_hand();
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(dir.path().join("disk"), "1m");
    let state = disk.path.join("state");
    let _agent = TestAgent::builder(&manager, "web-1", manager.dir()).state_in(&state).start(&manager);
    manager.wait_state("shop@web-1", "active");
    // The last thing that a new link leaves on the disk.
    let secret = state.join("link-secret");
    wait::until("the first link secret", PATIENCE, || secret.exists().then_some(()));

    disk.fill();
    for action in ["stop", "kill"] {
        let answer = manager.trigger(action, "shop@web-1");
        assert_eq!(answer["outcome"], "failed", "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains("nothing was done") && message.contains("No space left"), "{answer}");
    }
    assert_eq!(shop.pid(), Some(pid));
    assert_eq!(manager.service("shop@web-1").unwrap()["state"], "active");

    // Nor is it lost: the link secret that it could keep last is good for the next link.
    manager.kill();
    manager.start_again();
    manager.wait_state("shop@web-1", "active");

    disk.make_room();
    assert_eq!(manager.trigger("kill", "shop@web-1")["outcome"], "done");
    manager.wait_state("shop@web-1", "stopped");
}

#[test]
fn a_second_manager_on_a_data_directory_is_refused() {
    let manager = TestManager::start();
    let second = serve(manager.data(), "127.0.0.1:0");
    assert_eq!(second.code, 1, "{}", second.err);
    assert!(second.err.contains("another manager holds the data directory"), "{}", second.err);
    manager.token();
    assert_eq!(ready(&manager).0, 200);
}

#[test]
fn a_port_in_use_is_refused() {
    let manager = TestManager::start();
    let other = tempfile::tempdir().unwrap();
    let second = serve(other.path(), &manager.address());
    assert_eq!(second.code, 1, "{}", second.err);
    assert!(second.err.contains("if another program has the port"), "{}", second.err);
    assert!(second.err.contains(&manager.address()), "{}", second.err);
}

#[test]
fn a_data_directory_of_a_newer_version_is_refused_and_untouched() {
    let mut manager = TestManager::start();
    manager.stop();
    let database = manager.data().join("grid.db");
    sql(
        &database,
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (29990101000000, 'of the future', 1, x'00', 0)",
    );
    let before = fs::read(&database).unwrap();
    let refused = serve(manager.data(), "127.0.0.1:0");
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("grid.db was written by a newer version"), "{}", refused.err);
    assert_eq!(fs::read(&database).unwrap(), before);
    sql(&database, "delete from _sqlx_migrations where version = 29990101000000");
    manager.start_again();
}

#[test]
fn a_token_that_was_acknowledged_outlives_a_kill() {
    let mut manager = TestManager::start();
    for round in 0..5 {
        let token = manager.token();
        manager.kill();
        manager.start_again();
        let name = format!("web-{round}");
        let agent = TestAgent::builder(&manager, &name, manager.dir()).token(&token);
        agent.start(&manager);
    }
}

#[test]
fn a_history_that_was_thrown_away_begins_anew() {
    let mut manager = TestManager::start();
    let token = manager.token();
    let before = manager.status()["seq"].as_str().unwrap().to_owned();
    manager.stop();
    for file in ["history.db", "history.db-wal", "history.db-shm"] {
        let _absent = fs::remove_file(manager.data().join(file));
    }
    manager.start_again();
    let watcher = Watcher::open_after(&manager.socket(), Some(&before));
    watcher.wait_for("a reset", |event| event["kind"] == "reset");
    TestAgent::builder(&manager, "web-1", manager.dir()).token(&token).start(&manager);
    let told = watcher.wait_for("the agent", |event| event["service"] == "agent@web-1");
    assert_ne!(told.event["id"], Value::from(before));
}

/// A small file system of its own; unmounted on drop.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn mount(path: PathBuf, size: &str) -> Self {
        fs::create_dir(&path).expect("a mount point");
        let options = format!("size={size},mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a tmpfs can be mounted");
        Self { path }
    }

    /// Leaves no byte of room.
    fn fill(&self) {
        let mut file = File::create(self.path.join("filler")).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
        assert!(file.metadata().is_ok_and(|metadata| metadata.size() > 0));
    }

    fn make_room(&self) {
        fs::remove_file(self.path.join("filler")).expect("the file goes");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what still runs there ends with the test.
        let _gone = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

/// Status and body of `/readyz`.
fn ready(manager: &TestManager) -> (u16, String) {
    let answer = http::request(&manager.socket(), "GET", "/readyz", None).expect("an answer");
    (answer.status, answer.body)
}

/// Makes tokens until there is no room for one: what the databases have set aside is used up first.
fn wait_refused(manager: &TestManager) -> Ran {
    wait::until("a full disk", PATIENCE, || {
        let ran = manager.cli(&["token", "create"]);
        (ran.code != 0).then_some(ran)
    })
}

/// Runs a manager that is not expected to serve for long.
fn serve(data: &Path, listen: &str) -> Ran {
    let mut command = Command::new("timeout");
    command.arg("30").arg(programs::path("tomcat-grid")).args(["serve", "--listen", listen, "--data"]).arg(data);
    programs::run(&mut command)
}

fn sql(database: &Path, statement: &str) {
    let program =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit(); c.close()";
    let ran = programs::run(Command::new("python3").args(["-c", program]).arg(database).arg(statement));
    assert_eq!(ran.code, 0, "{}", ran.err);
}
