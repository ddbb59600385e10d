//! What the file of a machine says of its instances, what their own files say, and how mistakes in both are told.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{
    agent::TestAgent,
    fake::{FakeTomcat, fake_home},
    manager::TestManager,
    processes,
    tomcat::TomcatBase,
    users::{ids, open_dir},
    wait,
};

/// The file system is looked through every 30 s.
const DISCOVERY: Duration = Duration::from_secs(45);

#[test]
fn a_declared_instance_is_found_outside_the_roots_and_has_its_name() {
    let (manager, roots) = manager_with_roots();
    let base = fake(manager.dir(), "shop");
    let config = declare(manager.dir(), &[(base.dir(), "name = \"front\"")]);
    let mut agent = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);
    assert_eq!(manager.wait_state("front", "stopped")["catalina_base"], path(base.dir()));
    assert_eq!(names(&manager), ["agent@web-1", "front"]);
    assert_eq!(manager.trigger("start", "front")["outcome"], "done");
    manager.wait_state("front", "active");
    agent.kill();
    agent.run();
    assert_eq!(manager.wait_state("front", "active")["pid"], base.pid().unwrap());
}

#[test]
fn of_two_services_that_want_one_name_the_first_has_it() {
    let (manager, roots) = manager_with_roots();
    let bases = ["a", "b", "c"].map(|name| fake(manager.dir(), name));
    let front = "name = \"front\"";
    let config = declare(manager.dir(), &[(bases[0].dir(), front), (bases[1].dir(), front)]);
    let _one = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);
    let config = declare(manager.dir(), &[(bases[2].dir(), front)]);
    let _two = TestAgent::builder(&manager, "web-2", &roots).config(&config).start(&manager);

    let first = manager.wait_state("front", "stopped");
    assert_eq!((&first["catalina_base"], notes(&first).as_str()), (&path(bases[0].dir()), ""));
    for (name, base) in [("b@web-1", &bases[1]), ("c@web-2", &bases[2])] {
        let second = manager.wait_state(name, "stopped");
        assert_eq!(second["catalina_base"], path(base.dir()));
        assert!(notes(&second).contains("the name `front` that the machine's file gives is another"), "{second:#}");
    }
    // A trigger by the name reaches the one that has it, and no other.
    assert_eq!(manager.trigger("start", "front")["outcome"], "done");
    manager.wait_state("front", "active");
    assert_eq!(bases.each_ref().map(|base| base.pid().is_some()), [true, false, false]);
}

#[test]
fn on_a_collision_the_parent_folder_joins_the_name_and_names_are_kept() {
    let mut manager = TestManager::start();
    let [blue, green] = ["blue", "green"].map(|name| open_dir(manager.dir(), name));
    let bases = [&blue, &green].map(|root| fake(root, "shop"));
    let mut agent =
        TestAgent::builder(&manager, "web-1", &blue).argument("--root", green.to_str().unwrap()).start(&manager);
    let expected = [("shop@web-1", path(bases[0].dir())), ("green-shop@web-1", path(bases[1].dir()))];
    let names_hold = |manager: &TestManager| {
        for (name, base) in &expected {
            assert_eq!(manager.wait_state(name, "stopped")["catalina_base"], *base);
        }
        assert_eq!(names(manager), ["agent@web-1", "green-shop@web-1", "shop@web-1"]);
    };
    names_hold(&manager);
    agent.stop();
    agent.run();
    names_hold(&manager);
    manager.stop();
    manager.start_again();
    names_hold(&manager);

    // A name is given for good: also when what it collided with has gone.
    agent.stop();
    fs::remove_dir_all(bases[0].dir()).unwrap();
    agent.run();
    manager.wait_state("green-shop@web-1", "stopped");
    wait::until("the other to go", DISCOVERY, || manager.service("shop@web-1").is_none().then_some(()));
}

#[test]
fn what_is_excluded_is_left_alone() {
    let (manager, roots) = manager_with_roots();
    let bases = ["old", "shop"].map(|name| fake(&roots, name));
    let config = format!("exclude = [{}]", path(bases[0].dir()));
    let _agent = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);
    manager.wait_state("shop@web-1", "stopped");
    bases[0].start_by_hand();
    bases[1].start_by_hand();
    manager.wait_state("shop@web-1", "active");
    assert_eq!(names(&manager), ["agent@web-1", "shop@web-1"]);
    assert!(!bases[0].dir().join(".tomcat-grid").exists(), "it is claimed");
}

#[test]
fn an_agent_does_only_what_its_file_allows() {
    let (manager, roots) = manager_with_roots();
    let base = fake(&roots, "shop");
    let config = format!("allow = [\"status\"]\n{}", declare(&roots, &[]));
    let _agent = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);
    manager.wait_state("shop@web-1", "stopped");
    let refused = |action: &str| {
        let result = manager.trigger(action, "shop@web-1");
        assert_eq!(result["outcome"], "refused", "{result:#}");
        assert!(result["message"].as_str().unwrap().contains(&format!("does not allow `{action}`")), "{result:#}");
    };
    refused("start");
    let pid = base.start_by_hand();
    manager.wait_state("shop@web-1", "active");
    refused("stop");
    refused("kill");
    assert_eq!(manager.wait_state("shop@web-1", "active")["pid"], pid);
}

#[test]
fn the_stop_program_of_an_instance_is_run_as_its_user() {
    let (manager, roots) = manager_with_roots();
    let (uid, gid) = ids("daemon");
    let base = FakeTomcat::builder(&roots, "shop").owner(uid, gid).build();
    let script = base.dir().join("bin/stop.sh");
    let told = "#!/bin/sh\necho \"$1 $(id -u) $CATALINA_BASE\" >stop-program\nkill \"$TOMCAT_GRID_PID\"\n";
    fs::write(&script, told).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let config = declare(&roots, &[(base.dir(), "stop = [\"bin/stop.sh\", \"softly\"]")]);
    let _agent = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);
    base.start_by_hand();
    manager.wait_state("shop@web-1", "active");

    let result = manager.trigger("stop", "shop@web-1");
    assert_eq!((&result["outcome"], &result["message"]), (&json!("done"), &json!("bin/stop.sh was run")));
    assert_eq!(manager.wait_state("shop@web-1", "stopped")["reason"], "stopped by the grid");
    let said = fs::read_to_string(base.dir().join("stop-program")).unwrap();
    assert_eq!(said, format!("softly {uid} {}\n", base.dir().display()));
}

#[test]
fn environment_and_home_reach_the_process() {
    let (manager, roots) = manager_with_roots();
    let (uid, gid) = ids("daemon");
    let base = FakeTomcat::builder(&roots, "shop").owner(uid, gid).build();
    let other_home = open_dir(manager.dir(), "other");
    let own = format!("home = {}\nenvironment = {{ COLOUR = \"green\" }}", path(&fake_home(&other_home)));
    let config = "[tomcat.environment]\nCOLOUR = \"blue\"\nSIZE = \"large\"\n".to_owned();
    let config = declare(&roots, &[(base.dir(), &own)]) + &config;
    let _agent = TestAgent::builder(&manager, "web-1", &roots).env("SECRET", "of the agent").config(&config);
    let _agent = _agent.start(&manager);
    manager.wait_state("shop@web-1", "stopped");
    assert_eq!(manager.trigger("start", "shop@web-1")["outcome"], "done");
    let pid = manager.wait_state("shop@web-1", "active")["pid"].as_u64().unwrap().try_into().unwrap();

    let home = fake_home(&other_home).display().to_string();
    let base = base.dir().display().to_string();
    for (name, value) in [
        ("COLOUR", Some("green")),
        ("SIZE", Some("large")),
        ("CATALINA_HOME", Some(home.as_str())),
        ("CATALINA_BASE", Some(base.as_str())),
        ("USER", Some("daemon")),
        ("SECRET", None),
        ("TOMCAT_GRID_AGENT_TOKEN", None),
    ] {
        assert_eq!(processes::environment(pid, name).as_deref(), value, "{name}");
    }
}

#[test]
fn what_is_wrong_in_a_server_xml_is_said_with_its_line() {
    let (manager, roots) = manager_with_roots();
    let bases = ["broken", "shop", "far"].map(|name| fake(&roots, name));
    let xml = |base: &FakeTomcat| base.dir().join("conf/server.xml");
    let change = |base: &FakeTomcat, from: &str, to: &str| {
        let text = fs::read_to_string(xml(base)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(xml(base), text.replace(from, to)).unwrap();
    };
    change(&bases[0], "</Service>", "");
    change(&bases[1], &format!("port=\"{}\"", bases[1].port()), "port=\"http\"");
    change(&bases[2], &format!("port=\"{}\"", bases[2].port()), "port=\"99999\"");
    let _agent = TestAgent::start(&manager, "web-1", &roots);
    for (name, note) in [
        ("broken@web-1", "conf/server.xml line 9: it does not parse"),
        ("shop@web-1", "conf/server.xml line 4: `http` is no port"),
        ("far@web-1", "conf/server.xml line 4: port 99999 is out of range"),
    ] {
        manager.wait_service(name, note, |service| notes(service).contains(note));
    }
    // It is read again when it is looked at again.
    change(&bases[1], "port=\"http\"", &format!("port=\"{}\"", bases[1].port()));
    bases[1].start_by_hand();
    let active = manager.wait_state("shop@web-1", "active");
    assert_eq!((&active["ports"], notes(&active).as_str()), (&json!([bases[1].port()]), ""));
}

#[test]
fn a_port_that_is_a_property_is_resolved() {
    let (manager, roots) = manager_with_roots();
    let (uid, gid) = ids("daemon");
    let bases = ["file", "option"].map(|name| TomcatBase::builder(&roots, name).owner(uid, gid).build());
    for base in &bases {
        let xml = base.dir().join("conf/server.xml");
        let text = fs::read_to_string(&xml).unwrap().replace(&format!("\"{}\"", base.port()), "\"${http.port}\"");
        fs::write(&xml, text).unwrap();
    }
    let properties = bases[0].dir().join("conf/catalina.properties");
    let text = fs::read_to_string(&properties).unwrap();
    fs::write(&properties, format!("{text}http.port = {}\n", bases[0].port())).unwrap();
    let option = format!("environment = {{ CATALINA_OPTS = \"-Dhttp.port={}\" }}", bases[1].port());
    let config = format!("[[instance]]\nbase = {}\n{option}", path(bases[1].dir()));
    let _agent = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);

    assert_eq!(manager.wait_state("file@web-1", "stopped")["ports"], json!([bases[0].port()]));
    for (name, base) in [("file@web-1", &bases[0]), ("option@web-1", &bases[1])] {
        assert_eq!(manager.trigger("start", name)["outcome"], "done");
        let active = manager.wait_state(name, "active");
        assert_eq!((&active["ports"], notes(&active).as_str()), (&json!([base.port()]), ""));
    }
}

#[test]
fn with_a_port_of_an_option_active_still_means_that_it_answers() {
    let (manager, roots) = manager_with_roots();
    let (uid, gid) = ids("daemon");
    let base = TomcatBase::builder(&roots, "shop").owner(uid, gid).slow_start(Duration::from_secs(4)).build();
    let xml = base.dir().join("conf/server.xml");
    let text = fs::read_to_string(&xml).unwrap().replace(&format!("\"{}\"", base.port()), "\"${http.port}\"");
    fs::write(&xml, text).unwrap();
    let option = format!("environment = {{ CATALINA_OPTS = \"-Dhttp.port={}\" }}", base.port());
    let config = format!("[[instance]]\nbase = {}\n{option}", path(base.dir()));
    let _agent = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);
    manager.wait_state("shop@web-1", "stopped");
    let (watcher, triggered) = (manager.watch(), Instant::now());
    manager.trigger("start", "shop@web-1");
    watcher.wait_state("shop@web-1", "active", triggered);
    // Its socket is open long before that.
    assert_eq!(base.get("/p/"), Some((200, "ok".to_owned())));
    assert_eq!(watcher.states_of("shop@web-1"), ["starting", "active"]);
}

#[test]
fn a_base_that_may_not_be_read_is_said() {
    let (manager, roots) = manager_with_roots();
    let bases = ["declared", "found"].map(|name| fake(&roots, name));
    for base in &bases {
        let conf = base.dir().join("conf");
        chown(&conf, Some(0), Some(0)).unwrap();
        fs::set_permissions(&conf, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let (uid, gid) = ids("daemon");
    let config = declare(&roots, &[(bases[0].dir(), "")]);
    let _agent = TestAgent::builder(&manager, "web-1", &roots).user(uid, gid).config(&config).start(&manager);
    let declared = manager.wait_state("declared@web-1", "stopped");
    assert!(notes(&declared).contains("conf/server.xml cannot be read: Permission denied"), "{declared:#}");
    wait_machine_note(
        &manager,
        &format!("{} looks like a Tomcat and cannot be read: Permission denied", bases[1].dir().display()),
    );
    assert_eq!(manager.service("found@web-1"), None);
}

#[test]
fn a_declaration_that_leads_nowhere_is_said_until_it_leads_somewhere() {
    let (manager, roots) = manager_with_roots();
    let missing = manager.dir().join("elsewhere/shop");
    let config = declare(&roots, &[(&missing, "name = \"front\"")]);
    let _agent = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);
    wait_machine_note(
        &manager,
        &format!("the declared instance {} cannot be used: No such file or directory", missing.display()),
    );
    fake(missing.parent().unwrap(), "shop");
    wait::until("the declared instance", DISCOVERY, || manager.service("front"));
    wait::until("no note", DISCOVERY, || machine_notes(&manager).is_empty().then_some(()));
}

#[test]
fn instances_come_and_go_with_their_directories() {
    let (manager, roots) = manager_with_roots();
    let (gone, busy) = (fake(&roots, "old"), fake(&roots, "busy"));
    let config = format!("[tomcat]\nhome = {}", path(&fake_home(manager.dir())));
    let _agent = TestAgent::builder(&manager, "web-1", &roots).config(&config).start(&manager);
    manager.wait_state("old@web-1", "stopped");
    assert_eq!(manager.trigger("start", "busy@web-1")["outcome"], "done");
    let active = manager.wait_state("busy@web-1", "active");
    let _new = fake(&roots, "new");
    fs::remove_dir_all(gone.dir()).unwrap();
    // Who has a process is not gone, whatever becomes of its files.
    fs::rename(busy.dir().join("conf"), busy.dir().join("conf-moved")).unwrap();
    wait::until("the new instance", DISCOVERY, || manager.service("new@web-1"));
    wait::until("the old one to go", DISCOVERY, || manager.service("old@web-1").is_none().then_some(()));
    assert_eq!(names(&manager), ["agent@web-1", "busy@web-1", "new@web-1"]);
    assert_eq!(manager.service("busy@web-1").unwrap()["pid"], active["pid"]);
}

#[test]
fn mistakes_in_the_settings_end_the_agent_with_a_clear_message() {
    let (manager, roots) = manager_with_roots();
    for (config, message) in [
        ("rots = []", "unknown field `rots`"),
        ("start_timeout = \"soon\"", "`soon` is no duration: write one like `90s`"),
        ("allow = [\"everything\"]", "unknown variant `everything`"),
        ("exclude = [", ", column "),
        ("[[instance]]\nname = \"front\"", "missing field `base`"),
        ("[[instance]]\nbase = \"/a\"\nname = \"all\"", "`all` is taken"),
    ] {
        let mut agent = TestAgent::builder(&manager, "web-1", &roots).config(config).run();
        assert_eq!(agent.wait_ended(), Some(1), "{config}");
        let log = agent.log();
        assert!(log.contains(message) && log.contains("in the settings file /"), "{config}: {log}");
    }
    assert_eq!(names(&manager), [""; 0]);
}

/// A manager, and a directory that the agents of its machines look through.
fn manager_with_roots() -> (TestManager, std::path::PathBuf) {
    let manager = TestManager::start();
    let roots = open_dir(manager.dir(), "roots");
    (manager, roots)
}

/// A fake of the user `daemon`, so that it can be started without more ado.
fn fake(parent: &Path, name: &str) -> FakeTomcat {
    let (uid, gid) = ids("daemon");
    FakeTomcat::builder(parent, name).owner(uid, gid).build()
}

/// Settings that lead to the programs of the fakes below `parent`, and declare instances, each with some lines.
fn declare(parent: &Path, instances: &[(&Path, &str)]) -> String {
    let declared = instances.iter().map(|(base, lines)| format!("[[instance]]\nbase = {}\n{lines}\n", path(base)));
    format!("tomcat.home = {}\n{}", path(&fake_home(parent)), declared.collect::<String>())
}

/// A path in JSON, which is a string of TOML as well.
fn path(path: &Path) -> Value {
    Value::from(path.to_str().expect("a path of a test is plain"))
}

/// The names of all services, in order.
fn names(manager: &TestManager) -> Vec<String> {
    let status = manager.status();
    let services = status["services"].as_array().expect("services").iter();
    let mut names: Vec<String> = services.map(|service| service["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The notes of a service, each a line.
fn notes(service: &Value) -> String {
    let notes = service["notes"].as_array().expect("notes").iter().filter_map(Value::as_str);
    notes.collect::<Vec<_>>().join("\n")
}

/// The notes of the only machine.
fn machine_notes(manager: &TestManager) -> String {
    notes(&manager.status()["machines"][0]["facts"])
}

fn wait_machine_note(manager: &TestManager, note: &str) {
    let found = wait::within(Duration::from_secs(30), || machine_notes(manager).contains(note).then_some(()));
    assert!(found.is_some(), "the notes should say `{note}`:\n{}", machine_notes(manager));
}
