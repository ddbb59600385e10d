//! The agent on different kinds of host: as root and as nobody special, beside the layout of Debian's own Tomcat,
//! among planted links and impostors, and beside the agent of another grid.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tests::{
    agent::TestAgent,
    fake::{FakeTomcat, fake_home},
    manager::TestManager,
    processes::{self, Signal},
    strace::WakeUps,
    tomcat::TomcatBase,
    users::{ids, open_dir},
    wait,
};

const SHOP: &str = "shop@web-1";

#[test]
fn an_agent_of_root_runs_an_instance_as_its_own_user() {
    let manager = TestManager::start();
    let bases = open_dir(manager.dir(), "bases");
    let daemon = ids("daemon");
    let base = TomcatBase::builder(&bases, "shop").owner(daemon.0, daemon.1).build();
    let mut agent = TestAgent::start(&manager, "web-1", &bases);
    live_a_short_life(&manager, &base, SHOP, "daemon");

    done(&manager.trigger("start", SHOP));
    let pid = pid(&manager.wait_state(SHOP, "active"));
    agent.kill();
    manager.wait_state(SHOP, "not_available");
    assert_eq!((base.pid(), base.get("/p/")), (Some(pid), Some((200, "ok".to_owned()))));
    agent.run();
    assert_eq!(manager.wait_state(SHOP, "active")["pid"], pid);
}

#[test]
fn an_agent_without_privileges_runs_the_instances_of_its_own_user() {
    let manager = TestManager::start();
    let bases = open_dir(manager.dir(), "bases");
    let daemon = ids("daemon");
    let base = TomcatBase::builder(&bases, "shop").owner(daemon.0, daemon.1).build();
    let agent = TestAgent::builder(&manager, "web-1", &bases).user(daemon.0, daemon.1).start(&manager);
    assert_eq!(processes::uid(agent.pid()), Some(daemon.0));
    live_a_short_life(&manager, &base, SHOP, "daemon");
}

#[test]
fn an_agent_without_privileges_sees_the_instances_of_others_and_says_what_it_cannot_do() {
    let manager = TestManager::start();
    let bases = open_dir(manager.dir(), "bases");
    let (daemon, tomcat) = (ids("daemon"), ids("tomcat"));
    let base = TomcatBase::builder(&bases, "shop").owner(tomcat.0, tomcat.1).build();
    // Its sockets must not pass for those of the other, although nobody tells this agent whose they are.
    let unseen = FakeTomcat::builder(manager.dir(), "unseen").owner(tomcat.0, tomcat.1).build();
    unseen.start_by_hand();
    unseen.wait_answering();
    let _agent = TestAgent::builder(&manager, "web-1", &bases).user(daemon.0, daemon.1).start(&manager);

    let stopped = manager.wait_state(SHOP, "stopped");
    assert!(notes(&stopped).contains("cannot start this instance as `tomcat`"), "{stopped:#}");
    failed(&manager.trigger("start", SHOP), "runs as `daemon` and cannot start anything as `tomcat`");
    let refused = manager.wait_state(SHOP, "stopped");
    assert!(text(&refused["reason"]).contains("the start failed"), "{refused:#}");

    let pid = base.start_by_hand();
    let active = manager.wait_state(SHOP, "active");
    assert_eq!((active["pid"].as_u64(), &active["user"]), (Some(pid.into()), &Value::from("tomcat")));
    assert_eq!(active["ports"], serde_json::json!([base.port()]));
    assert!(notes(&active).contains("can neither stop nor kill this process of `tomcat`"), "{active:#}");
    let watcher = manager.watch();
    for action in ["stop", "kill"] {
        failed(&manager.trigger(action, SHOP), "the agent runs as `daemon` and may not signal process");
        assert_eq!(manager.wait_state(SHOP, "active")["pid"], pid);
    }
    processes::send(pid, Signal::TERM);
    manager.wait_state(SHOP, "stopped");
    // What could not be done was not begun: it was seen stopping at its end, if at all.
    let told = watcher.states_of(SHOP);
    assert!(told.iter().filter(|state| *state == "stopping").count() <= 1, "{told:?}");
    let pid = base.start_by_hand();
    manager.wait_state(SHOP, "active");
    processes::send(pid, Signal::KILL);
    assert_eq!(manager.wait_state(SHOP, "stopped")["last_exit"]["wanted"], false);
}

#[test]
fn an_agent_that_comes_to_a_running_instance_never_calls_it_stopped() {
    let manager = TestManager::start();
    let base = FakeTomcat::builder(manager.dir(), "shop").build();
    let pid = base.start_by_hand();
    base.wait_answering();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    assert_eq!(manager.wait_state(SHOP, "active")["pid"], pid);
    agent.stop();
    // Another process, started while no agent looked.
    processes::send(pid, Signal::KILL);
    base.wait_gone();
    let pid = base.start_by_hand();
    base.wait_answering();
    agent.run();
    manager.wait_service(SHOP, "the new process", |shop| shop["state"] == "active" && shop["pid"] == pid);
    assert!(!agent.log().contains("state=stopped"), "{}", agent.log());
}

#[test]
fn in_the_layout_of_debian_the_base_is_of_root_and_the_process_is_not() {
    let manager = TestManager::start();
    let base = debian_layout(manager.dir());
    let _agent = TestAgent::start(&manager, "web-1", base.dir().parent().unwrap());
    live_a_short_life(&manager, &base, "tomcat10@web-1", "tomcat");

    done(&manager.trigger("start", "tomcat10@web-1"));
    let pid = pid(&manager.wait_state("tomcat10@web-1", "active"));
    // There is no directory `temp` in it; Debian's own unit sets another.
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(arguments.split('\0').any(|word| word == "-Djava.io.tmpdir=/tmp"), "{arguments}");
}

#[test]
fn root_runs_an_instance_only_where_that_is_written() {
    let manager = TestManager::start();
    let guessed = FakeTomcat::builder(manager.dir(), "guessed").build();
    let written = FakeTomcat::builder(manager.dir(), "written").build();
    let base = written.dir().display();
    let config = format!("{}[[instance]]\nbase = \"{base}\"\nuser = \"root\"", home(manager.dir()));
    let _agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&config).start(&manager);

    let stopped = manager.wait_state("guessed@web-1", "stopped");
    assert!(notes(&stopped).contains("must be written down"), "{stopped:#}");
    failed(&manager.trigger("start", "guessed@web-1"), "root, which must be written down: set `user = \"root\"`");
    assert_eq!((text(&manager.service("guessed@web-1").unwrap()["state"]), guessed.pid()), ("stopped", None));

    done(&manager.trigger("start", "written@web-1"));
    let active = manager.wait_state("written@web-1", "active");
    assert_eq!((processes::uid(pid(&active)), text(&active["user"])), (Some(0), "root"));
}

#[test]
fn a_planted_link_is_not_followed_when_output_is_written() {
    let manager = TestManager::start();
    let daemon = ids("daemon");
    let base = FakeTomcat::builder(manager.dir(), "shop").owner(daemon.0, daemon.1).build();
    let victim = base.dir().join("victim");
    fs::write(&victim, "kept").unwrap();
    chown(&victim, Some(daemon.0), Some(daemon.1)).unwrap();
    symlink(&victim, base.dir().join("logs/catalina.out")).unwrap();
    let config = home(manager.dir());
    let _agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&config).start(&manager);
    manager.wait_state(SHOP, "stopped");

    failed(&manager.trigger("start", SHOP), "logs/catalina.out is a symbolic link, which is not followed: remove it");
    let stopped = manager.wait_state(SHOP, "stopped");
    assert!(text(&stopped["reason"]).contains("symbolic link"), "{stopped:#}");
    assert_eq!((base.pid(), fs::read_to_string(&victim).unwrap()), (None, "kept".to_owned()));

    fs::remove_file(base.dir().join("logs/catalina.out")).unwrap();
    done(&manager.trigger("start", SHOP));
    manager.wait_state(SHOP, "active");
}

#[test]
fn a_process_that_only_says_it_is_an_instance_is_not_believed() {
    let manager = TestManager::start();
    let daemon = ids("daemon");
    let base = FakeTomcat::builder(manager.dir(), "shop").owner(daemon.0, daemon.1).build();
    let config = home(manager.dir());
    let _agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&config).start(&manager);
    manager.wait_state(SHOP, "stopped");

    let impostor = Impostor::of(&base, "nobody");
    let named = format!("process {} of `nobody` says that it is the Tomcat of", impostor.0.id());
    wait_machine_note(&manager, "web-1", &named);
    let answering = || base.get("/").filter(|_| impostor.is_alive());
    wait::until("the impostor to answer", Duration::from_secs(10), answering);
    let stopped = manager.service(SHOP).unwrap();
    assert_eq!((text(&stopped["state"]), &stopped["pid"]), ("stopped", &Value::Null));
    assert_eq!(manager.trigger("kill", SHOP)["outcome"], "ignored");
    assert!(impostor.is_alive());

    // The real one finds its port taken, and what answers there is not taken for its answer.
    done(&manager.trigger("start", SHOP));
    let held = manager.wait_state(SHOP, "unresponsive");
    assert!(text(&held["reason"]).contains(&format!("another process ({}", impostor.0.id())), "{held:#}");
}

#[test]
fn an_instance_belongs_to_one_grid_only() {
    let (first, second) = (TestManager::start(), TestManager::start());
    let daemon = ids("daemon");
    let base = FakeTomcat::builder(first.dir(), "shop").owner(daemon.0, daemon.1).build();
    let config = home(first.dir());
    let _one = TestAgent::builder(&first, "web-1", first.dir()).config(&config).start(&first);
    first.wait_state(SHOP, "stopped");
    let _two = TestAgent::builder(&second, "web-1", first.dir()).config(&config).start(&second);

    let note = format!("{} belongs to the grid `test`", base.dir().display());
    wait_machine_note(&second, "web-1", &note);
    assert_eq!(second.service(SHOP), None);
    assert_eq!(second.cli(&["trigger-start", SHOP]).code, 9);
    assert_eq!(second.cli(&["trigger-start", "@web-1"]).code, 0);
    assert_eq!((text(&first.service(SHOP).unwrap()["state"]), base.pid()), ("stopped", None));

    done(&first.trigger("start", SHOP));
    let pid = pid(&first.wait_state(SHOP, "active"));
    assert_eq!(second.cli(&["trigger-kill", SHOP]).code, 9);
    assert_eq!(second.cli(&["trigger-kill", "all"]).code, 0);
    assert_eq!((second.service(SHOP), base.pid()), (None, Some(pid)));
    assert!(!machine_notes(&first, "web-1").contains("belongs to the grid"));
}

#[test]
fn agents_of_two_grids_work_side_by_side() {
    let grids = [TestManager::start(), TestManager::start()];
    let daemon = ids("daemon");
    let bases = grids.each_ref().map(|grid| {
        let base = FakeTomcat::builder(grid.dir(), "shop").owner(daemon.0, daemon.1).build();
        let agent = TestAgent::builder(grid, "web-1", grid.dir()).config(&home(grid.dir())).start(grid);
        (base, agent)
    });
    let pids = grids.each_ref().map(|grid| {
        grid.wait_state(SHOP, "stopped");
        done(&grid.trigger("start", SHOP));
        pid(&grid.wait_state(SHOP, "active"))
    });
    assert_eq!(pids.map(Some), bases.each_ref().map(|(base, _)| base.pid()));

    done(&grids[0].trigger("stop", SHOP));
    grids[0].wait_state(SHOP, "stopped");
    assert_eq!(grids[1].service(SHOP).unwrap()["pid"], pids[1]);
    assert!(grids.iter().all(|grid| machine_notes(grid, "web-1").is_empty()));
}

#[test]
fn an_idle_agent_wakes_up_once_a_second() {
    let manager = TestManager::start();
    let names = ["one", "two", "three", "four"];
    let bases = names.map(|name| FakeTomcat::builder(manager.dir(), name).build());
    for base in &bases {
        base.start_by_hand();
    }
    let agent = TestAgent::start(&manager, "web-1", manager.dir());
    for name in names {
        manager.wait_state(&format!("{name}@web-1"), "active");
    }

    // On a busy machine answers come late, and are wake-ups of their own: one quiet measure of three is enough.
    let is_quiet = |_| {
        let idle = WakeUps::measure(agent.pid(), Duration::from_secs(10), manager.dir());
        eprintln!("{idle:?}");
        idle.count as f64 <= idle.seconds + 2.0
    };
    assert!((0..3).any(is_quiet), "it wakes up too often");

    // The same measure of an agent that awaits the first answer of an instance, which it does impatiently.
    let slow = FakeTomcat::builder(manager.dir(), "slow").set("start_delay_ms", 60_000).build();
    slow.start_by_hand();
    let declared = format!("[[instance]]\nbase = \"{}\"", slow.dir().display());
    let other = TestAgent::builder(&manager, "web-2", &manager.dir().join("nothing")).config(&declared).start(&manager);
    manager.wait_state("slow@web-2", "starting");
    let busy = WakeUps::measure(other.pid(), Duration::from_secs(3), manager.dir());
    assert!(busy.count as f64 > 2.0 * busy.seconds, "{busy:?}");
}

/// The life of an instance by triggers and by hand, as `user`, from stopped to stopped.
fn live_a_short_life(manager: &TestManager, base: &TomcatBase, name: &str, user: &str) {
    manager.wait_state(name, "stopped");
    done(&manager.trigger("start", name));
    let active = manager.wait_state(name, "active");
    let started = pid(&active);
    let uid = ids(user).0;
    assert_eq!((Some(started), text(&active["user"])), (base.pid(), user));
    assert_eq!((processes::uid(started), processes::session(started)), (Some(uid), Some(started)));
    let output = fs::symlink_metadata(base.dir().join("logs/catalina.out")).unwrap();
    assert!(output.is_file() && output.uid() == uid && output.len() > 0, "{output:?}");
    assert_eq!(base.get("/p/"), Some((200, "ok".to_owned())));

    done(&manager.trigger("stop", name));
    let stopped = manager.wait_state(name, "stopped");
    assert_eq!(stopped["reason"], "stopped by the grid");

    for (signal, wanted) in [(Signal::TERM, true), (Signal::KILL, false)] {
        let by_hand = base.start_by_hand();
        assert_eq!(manager.wait_state(name, "active")["pid"], by_hand);
        processes::send(by_hand, signal);
        let stopped = manager.wait_state(name, "stopped");
        assert_eq!(stopped["last_exit"]["wanted"], wanted, "{signal:?}: {stopped:#}");
    }
}

/// The tree of Debian's package: base and configuration are root's, and readable for the group `tomcat`; what Tomcat
/// writes is behind links.
fn debian_layout(dir: &Path) -> TomcatBase {
    let (uid, gid) = ids("tomcat");
    let lib = open_dir(dir, "lib");
    let base = TomcatBase::builder(&lib, "tomcat10").owner(uid, gid).build();
    for (name, parent, mode) in [("conf", "etc", 0o755), ("logs", "log", 0o2770), ("work", "cache", 0o750)] {
        let real = open_dir(dir, parent).join("tomcat10");
        fs::rename(base.dir().join(name), &real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(mode)).unwrap();
        symlink(format!("../../{parent}/tomcat10"), base.dir().join(name)).unwrap();
    }
    fs::remove_dir(base.dir().join("temp")).unwrap();
    let conf = dir.join("etc/tomcat10");
    for file in fs::read_dir(&conf).unwrap().map(|entry| entry.unwrap().path()) {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        lchown(&file, Some(0), Some(gid)).unwrap();
    }
    let setenv = base.dir().join("bin/setenv.sh");
    for path in [base.dir(), &conf, setenv.parent().unwrap(), &setenv] {
        lchown(path, Some(0), Some(0)).unwrap();
    }
    base
}

/// A process that carries the command line of a base's Tomcat.
struct Impostor(Child);

impl Impostor {
    fn of(base: &TomcatBase, user: &str) -> Self {
        let (uid, gid) = ids(user);
        let child = Command::new(base.home().join("bin/java"))
            .arg(format!("-Dcatalina.base={}", base.dir().display()))
            .args(["org.apache.catalina.startup.Bootstrap", "start"])
            .stderr(Stdio::null())
            .uid(uid)
            .gid(gid)
            .spawn()
            .unwrap();
        Self(child)
    }

    fn is_alive(&self) -> bool {
        processes::is_alive(self.0.id())
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.0.kill().expect("the impostor can be killed");
        self.0.wait().expect("the impostor has ended");
    }
}

/// Settings that lead to the programs of the fakes below `parent`.
fn home(parent: &Path) -> String {
    let home: PathBuf = fake_home(parent);
    format!("[tomcat]\nhome = \"{}\"\n", home.display())
}

fn done(result: &Value) {
    assert_eq!(result["outcome"], "done", "{result:#}");
}

fn failed(result: &Value, why: &str) {
    assert_eq!(result["outcome"], "failed", "{result:#}");
    assert!(text(&result["message"]).contains(why), "{result:#}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn pid(service: &Value) -> u32 {
    service["pid"].as_u64().and_then(|pid| pid.try_into().ok()).unwrap_or_else(|| panic!("no pid: {service:#}"))
}

/// The notes of a service, each a line.
fn notes(service: &Value) -> String {
    let notes = service["notes"].as_array().expect("notes").iter().map(text);
    notes.collect::<Vec<_>>().join("\n")
}

fn machine_notes(manager: &TestManager, name: &str) -> String {
    let status = manager.status();
    let machines = status["machines"].as_array().expect("machines");
    let machine = machines.iter().find(|machine| machine["name"] == name).expect("the machine");
    notes(&machine["facts"])
}

fn wait_machine_note(manager: &TestManager, machine: &str, note: &str) {
    let found = wait::within(Duration::from_secs(30), || machine_notes(manager, machine).contains(note).then_some(()));
    assert!(found.is_some(), "the notes should say `{note}`:\n{}", machine_notes(manager, machine));
}
