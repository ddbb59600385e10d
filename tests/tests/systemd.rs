//! Agent, manager and Tomcats under a real systemd: the sample units, Debian's own unit of Tomcat, and the units that
//! the agent makes for instances without one.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::Value;
use tempfile::TempDir;
use tests::{
    fake::{self, FakeTomcat},
    manager::{PATIENCE, TestManager},
    processes, programs,
    systemd_lab::SystemdLab,
    tomcat::TomcatBase,
    wait,
};

const AGENT: &str = "tomcat-grid-agent.service";
const TOMCAT: &str = "tomcat10.service";
const SERVICE: &str = "tomcat10@web-1";

/// A machine that systemd runs, with the agent as its service.
struct Machine {
    // The order is that of their end.
    lab: SystemdLab,
    manager: TestManager,
    /// The root of the agent, and of everything else. It is not in /tmp, of which Debian's unit has one of its own.
    root: TempDir,
}

impl Machine {
    /// A machine whose agent does not run yet.
    fn new() -> Self {
        let mut lab = SystemdLab::start();
        let manager = TestManager::start();
        let root = public_dir();
        let config = root.path().join("agent.toml");
        let settings = format!(
            "manager = [\"https://{}\"]\nname = \"web-1\"\nstate = \"{root}/state\"\nroots = [\"{root}\"]\n\
             discover_processes = false\n[tomcat]\nhome = \"{}\"\n",
            manager.address(),
            fake::fake_home(root.path()).display(),
            root = root.path().display()
        );
        fs::write(&config, settings).expect("a file");
        let own = format!(
            "[Service]\nExecStart=\nExecStart={} run --config {}\nEnvironment=TOMCAT_GRID_AGENT_TOKEN={}\n",
            programs::path("tomcat-grid-agent").display(),
            config.display(),
            manager.token()
        );
        lab.add_unit(AGENT, &sample(AGENT), &own);
        Self { lab, manager, root }
    }

    /// A machine with Debian's Tomcat: the unit of the package, enabled, with the paths of another base.
    fn with_debians_tomcat() -> (Self, TomcatBase) {
        let mut machine = Self::new();
        let base = TomcatBase::builder(machine.root.path(), "tomcat10").owner(tomcat_uid(), tomcat_uid()).build();
        symlink("/etc/tomcat10/policy.d", base.dir().join("conf/policy.d")).expect("a link");
        let unit = fs::read_to_string("/lib/systemd/system/tomcat10.service").expect("Debian's unit");
        let dir = base.dir().display().to_string();
        let unit = unit
            .replace("/var/lib/tomcat10", &dir)
            .replace("/etc/tomcat10/Catalina", &format!("{dir}/conf"))
            .replace("/var/log/tomcat10", &format!("{dir}/logs"));
        let own = format!("[Service]\nCacheDirectory=\nReadWritePaths={dir}/work\n");
        machine.lab.add_unit(TOMCAT, &unit, &own);
        machine.lab.enable(TOMCAT);
        machine.start_agent();
        (machine, base)
    }

    /// A machine with a Tomcat that no unit is written for.
    fn with_plain_tomcat() -> (Self, FakeTomcat) {
        let machine = Self::new();
        let shop = FakeTomcat::builder(machine.root.path(), "shop").owner(1, 1).build();
        machine.start_agent();
        machine.wait_state("shop@web-1", "stopped");
        (machine, shop)
    }

    fn start_agent(&self) {
        self.lab.systemctl(&["start", AGENT]);
        self.manager.wait_state("agent@web-1", "active");
    }

    fn main_pid(&self, unit: &str) -> u64 {
        self.lab.property(unit, "MainPID").parse().expect("a process")
    }

    /// Waits until it is stopped, and systemd has said how it ended.
    fn wait_ended(&self, service: &str) -> Value {
        let ended = |service: &Value| service["state"] == "stopped" && service["last_exit"].is_object();
        self.manager.wait_service(service, "its end", ended)
    }

    fn wait_state(&self, service: &str, state: &str) -> Value {
        self.manager.wait_state(service, state)
    }
}

#[test]
fn debians_unit_is_recognised_and_stopped_through_systemctl() {
    let (machine, _base) = Machine::with_debians_tomcat();
    machine.lab.systemctl(&["start", TOMCAT]);
    let active = machine.wait_state(SERVICE, "active");
    assert_eq!(active["unit"], TOMCAT);
    assert_eq!(active["pid"], machine.main_pid(TOMCAT));

    machine.lab.systemctl(&["stop", TOMCAT]);
    let stopped = machine.wait_ended(SERVICE);
    assert_eq!(stopped["last_exit"]["code"], 143, "{stopped}");
    assert_eq!(stopped["last_exit"]["wanted"], true, "{stopped}");

    let answer = machine.manager.trigger("start", SERVICE);
    assert_eq!(answer["outcome"], "done", "{answer}");
    machine.wait_state(SERVICE, "active");
    assert_eq!(machine.lab.property(TOMCAT, "ActiveState"), "active");

    let answer = machine.manager.trigger("stop", SERVICE);
    assert!(answer["message"].as_str().unwrap().contains(TOMCAT), "{answer}");
    assert_eq!(machine.wait_state(SERVICE, "stopped")["reason"], "stopped by the grid");
    machine.lab.wait_property(TOMCAT, "ActiveState", "inactive");
    assert_eq!(machine.lab.property(TOMCAT, "NRestarts"), "0");
}

#[test]
fn a_kill_by_the_grid_stays_and_one_by_hand_is_answered_by_systemd() {
    let (machine, base) = Machine::with_debians_tomcat();
    assert_eq!(machine.lab.property(TOMCAT, "Restart"), "on-abort");
    machine.lab.systemctl(&["start", TOMCAT]);
    machine.wait_state(SERVICE, "active");
    let first = machine.main_pid(TOMCAT);
    machine.lab.run(&["kill", "-KILL", &first.to_string()]);
    machine.manager.wait_service(SERVICE, "active again", |service| {
        service["state"] == "active" && service["pid"] != first && service["unit"] == TOMCAT
    });
    assert_eq!(machine.lab.property(TOMCAT, "NRestarts"), "1");

    assert_eq!(machine.manager.trigger("kill", SERVICE)["outcome"], "done");
    assert_eq!(machine.wait_state(SERVICE, "stopped")["reason"], "killed by the grid");
    // A unit that is about to be started again is `activating`; where it comes to rest, it stays.
    let rest = || matches!(&*machine.lab.property(TOMCAT, "SubState"), "dead" | "failed").then_some(());
    wait::until("the unit to come to rest", PATIENCE, rest);
    assert_eq!(machine.lab.systemctl(&["list-jobs", "--no-legend"]), "");
    assert!(base.pid().is_none());
}

#[test]
fn an_instance_without_a_unit_gets_one_and_outlives_the_agent() {
    let (machine, shop) = Machine::with_plain_tomcat();
    assert_eq!(machine.manager.trigger("start", "shop@web-1")["outcome"], "done");
    let active = machine.wait_state("shop@web-1", "active");
    let unit = active["unit"].as_str().unwrap();
    assert!(unit.starts_with("tomcat-grid-instance-"), "{active}");
    assert_eq!(active["pid"], machine.main_pid(unit));
    let pid = shop.pid().unwrap();

    machine.lab.systemctl(&["stop", AGENT]);
    machine.wait_state("agent@web-1", "stopped");
    assert!(processes::is_alive(pid));
    machine.lab.systemctl(&["start", AGENT]);
    machine.wait_state("agent@web-1", "active");
    let back = machine.wait_state("shop@web-1", "active");
    assert_eq!((&back["pid"], &back["unit"], &back["since"]), (&active["pid"], &active["unit"], &active["since"]));
    machine.lab.systemctl(&["restart", AGENT]);
    machine.wait_state("shop@web-1", "active");
    assert_eq!(shop.pid(), Some(pid));

    assert_eq!(machine.manager.trigger("stop", "shop@web-1")["outcome"], "done");
    let stopped = machine.wait_state("shop@web-1", "stopped");
    assert_eq!(stopped["reason"], "stopped by the grid");
}

#[test]
fn a_unit_is_called_as_systemd_calls_it() {
    const UNIT: &str = "tomcat@a\\x2db.service";
    let (machine, shop) = Machine::with_plain_tomcat();
    let home = fake::fake_home(machine.root.path());
    machine.lab.run(&[
        "systemd-run",
        "--quiet",
        "--uid=1",
        &format!("--unit={UNIT}"),
        &format!("--setenv=CATALINA_HOME={}", home.display()),
        &format!("--setenv=CATALINA_BASE={}", shop.dir().display()),
        &home.join("bin/catalina.sh").display().to_string(),
        "run",
    ]);
    let active = machine.wait_state("shop@web-1", "active");
    assert_eq!((&active["unit"], &active["pid"]), (&UNIT.into(), &machine.main_pid(UNIT).into()));
    assert_eq!(machine.manager.trigger("stop", "shop@web-1")["outcome"], "done");
    machine.wait_state("shop@web-1", "stopped");
}

#[test]
fn agents_of_other_grids_may_read_whose_an_instance_is() {
    let (machine, shop) = Machine::with_plain_tomcat();
    assert_eq!(machine.lab.property(AGENT, "UMask"), "0027");
    assert_eq!(fs::metadata(shop.dir().join(".tomcat-grid")).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn how_an_instance_ended_is_known_through_its_unit() {
    let (machine, mut shop) = Machine::with_plain_tomcat();
    machine.manager.trigger("start", "shop@web-1");
    let active = machine.wait_state("shop@web-1", "active");
    machine.lab.run(&["kill", "-KILL", &active["pid"].to_string()]);
    let killed = machine.wait_ended("shop@web-1");
    assert_eq!(killed["last_exit"]["signal"], 9, "{killed}");
    assert_eq!(killed["last_exit"]["wanted"], false, "{killed}");
    let failed = || machine.lab.systemctl(&["--failed", "--no-legend"]);
    wait::until("the failed unit to be forgotten", PATIENCE, || failed().is_empty().then_some(()));

    // The name of the unit is free again.
    shop.set("exit_code", 3);
    assert_eq!(machine.manager.trigger("start", "shop@web-1")["outcome"], "done");
    let active = machine.wait_state("shop@web-1", "active");
    machine.lab.run(&["kill", "-TERM", &active["pid"].to_string()]);
    let ended = machine.wait_ended("shop@web-1");
    assert_eq!(ended["last_exit"]["code"], 3, "{ended}");
    assert_eq!(ended["last_exit"]["wanted"], false, "{ended}");

    // What ended in order is no failure to systemd, which forgets it at once.
    shop.set("exit_code", 143);
    machine.manager.trigger("start", "shop@web-1");
    let active = machine.wait_state("shop@web-1", "active");
    machine.lab.run(&["kill", "-TERM", &active["pid"].to_string()]);
    let ended = machine.wait_ended("shop@web-1");
    assert_eq!(ended["last_exit"]["wanted"], true, "{ended}");
    wait::until("the units to be forgotten", PATIENCE, || failed().is_empty().then_some(()));
}

#[test]
fn what_keeps_an_instance_from_starting_is_said() {
    let (machine, shop) = Machine::with_plain_tomcat();
    let output = shop.dir().join("logs/catalina.out");
    symlink("/etc/passwd", &output).unwrap();
    let answer = machine.manager.trigger("start", "shop@web-1");
    assert_eq!(answer["outcome"], "failed", "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("is a symbolic link, which is not followed"), "{answer}");
    let stopped = machine.wait_state("shop@web-1", "stopped");
    assert!(stopped["reason"].as_str().unwrap().contains("the start failed: "), "{stopped}");
    fs::remove_file(output).unwrap();
    assert_eq!(machine.manager.trigger("start", "shop@web-1")["outcome"], "done");
    machine.wait_state("shop@web-1", "active");
}

#[test]
fn a_start_that_fails_leaves_a_unit_alone_that_has_the_name_already() {
    let (machine, _shop) = Machine::with_plain_tomcat();
    machine.manager.trigger("start", "shop@web-1");
    let unit = machine.wait_state("shop@web-1", "active")["unit"].as_str().expect("a unit").to_owned();
    machine.manager.trigger("stop", "shop@web-1");
    machine.wait_state("shop@web-1", "stopped");
    let other = ["systemd-run", "--quiet", &format!("--unit={unit}"), "sleep", "1000"];
    wait::until("the name to be free", PATIENCE, || (machine.lab.run(&other).code == 0).then_some(()));
    let pid = machine.main_pid(&unit);

    let answer = machine.manager.trigger("start", "shop@web-1");
    assert_eq!(answer["outcome"], "failed", "{answer}");
    assert_eq!((machine.lab.property(&unit, "ActiveState").as_str(), machine.main_pid(&unit)), ("active", pid));
    machine.lab.systemctl(&["stop", &unit]);
    assert_eq!(machine.manager.trigger("start", "shop@web-1")["outcome"], "done");
    machine.wait_state("shop@web-1", "active");
}

#[test]
fn a_unit_that_cannot_start_is_starting_until_systemd_says_so() {
    let (machine, _base) = Machine::with_debians_tomcat();
    let unit = "[Service]\nExecStartPre=\nExecStartPre=/bin/sh -c 'sleep 3; exit 1'\nRestart=no\n";
    machine.lab.add_override(TOMCAT, unit);
    let watcher = machine.manager.watch();
    assert_eq!(machine.manager.trigger("start", SERVICE)["outcome"], "done");
    let failed = machine.manager.wait_service(SERVICE, "its failure", |service| {
        service["state"] == "stopped"
            && service["reason"].as_str().is_some_and(|why| why.contains("has ended (exit-code)"))
    });
    watcher.wait_for("it", |event| event["service"] == SERVICE && event["data"]["state"] == "stopped");
    assert_eq!(watcher.states_of(SERVICE), ["starting", "stopped"], "{failed}");
}

#[test]
fn a_boot_does_not_wait_for_the_manager() {
    let mut machine = Machine::new();
    machine.manager.kill();
    // Returns when the agent has said that it runs.
    machine.lab.systemctl(&["start", AGENT]);
    assert_eq!(machine.lab.property(AGENT, "ActiveState"), "active");
    machine.manager.start_again();
    machine.wait_state("agent@web-1", "active");
    assert_eq!(machine.lab.property(AGENT, "NRestarts"), "0");
}

#[test]
fn the_manager_is_a_service_that_says_when_it_is_ready() {
    let mut lab = SystemdLab::start();
    let dir = public_dir();
    // The unit's user may not be allowed to reach the directory that it was built in.
    let program = dir.path().join("tomcat-grid");
    fs::copy(programs::path("tomcat-grid"), &program).unwrap();
    let config = dir.path().join("manager.toml");
    fs::write(&config, "listen = \"127.0.0.1:0\"\nname = \"lab\"\n").unwrap();
    let state = dir.path().join("state");
    let own = format!(
        "[Service]\nExecStart=\nExecStart={} serve --config {}\nUser=tomcat\nStateDirectory=\nReadWritePaths={state}\n\
         Environment=TOMCAT_GRID_DATA={state}/data\n",
        program.display(),
        config.display(),
        state = state.display()
    );
    fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(tomcat_uid()), None).unwrap();
    lab.add_unit("tomcat-grid.service", &sample("tomcat-grid.service"), &own);

    // Returns when the manager has said that it is ready.
    lab.systemctl(&["start", "tomcat-grid.service"]);
    let address = format!("unix://{}/data/manager.sock", state.display());
    let environment = format!("TOMCAT_GRID_ADDR={address}");
    let status = || lab.run(&["env", &environment, program.to_str().unwrap(), "status", "-o", "json"]);
    let answer = status();
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert!(answer.out.contains("\"lab\""), "{}", answer.out);

    lab.systemctl(&["stop", "tomcat-grid.service"]);
    assert_eq!(lab.property("tomcat-grid.service", "Result"), "success");
    assert_eq!(lab.property("tomcat-grid.service", "ExecMainStatus"), "0");
    let ended = || lab.journal("tomcat-grid.service").contains("the manager has ended").then_some(());
    wait::until("the manager's last word in the journal", PATIENCE, ended);
    assert_eq!(status().code, 11);
}

/// A sample unit of the documentation.
fn sample(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name);
    fs::read_to_string(file).expect("a sample unit")
}

/// A directory outside of /tmp that every user may enter.
fn public_dir() -> TempDir {
    let dir = tempfile::Builder::new().prefix("tomcat-grid-test-").tempdir_in("/var/lib").expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    dir
}

/// The user of Debian's package; its group has the same number.
fn tomcat_uid() -> u32 {
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let line = users.lines().find(|line| line.starts_with("tomcat:")).expect("the user of Debian's tomcat10");
    line.split(':').nth(2).and_then(|uid| uid.parse().ok()).expect("a number")
}
