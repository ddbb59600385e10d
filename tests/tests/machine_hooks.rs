//! Hooks on a machine, towards a manager that sends what it likes: programs are fetched and verified, each run happens
//! once, and nothing gets out of the bounds that the machine's own file sets.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use protocol::{
    desired::{Desired, InstanceSettings, Program, Programs, ToldSecret},
    health::{Expected, Health},
    hook::{HookAbout, HookEnd, HookFate, HookRun, MAX_OUTPUT},
    link::{FromAgent, ToAgent},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tests::{agent::TestAgent, fake::FakeTomcat, manager::PATIENCE, raw_manager::RawManager, wait};
use uuid::Uuid;

struct Stage {
    manager: RawManager,
    agent: TestAgent,
    shop: FakeTomcat,
    dir: tempfile::TempDir,
}

fn hash(content: &str) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn program(content: &str) -> Program {
    Program { hash: hash(content), size: content.len() as u64, name: "drain".to_owned() }
}

impl Stage {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let manager = RawManager::new();
        let shop = FakeTomcat::builder(dir.path(), "shop").owner(1, 1).build();
        let config = format!("{config}\ntomcat.home = \"{}\"", shop.home().display());
        let mut agent = manager.agent(dir.path()).config(&config).build();
        manager.adopt(&agent);
        agent.run();
        manager.wait_link(1);
        Self { manager, agent, shop, dir }
    }

    /// Announces programs, and waits until the agent tells that as many of them are there and not there.
    fn announce(&self, programs: Vec<Program>, ready: usize, missing: usize) -> Programs {
        self.manager.send(ToAgent::Desired(Box::new(Desired { instances: vec![], programs })));
        self.manager.wait_message("the programs", |message| match message {
            FromAgent::Programs(told) if told.ready.len() == ready && told.missing.len() == missing => {
                Some(told.clone())
            }
            _ => None,
        })
    }

    fn with_program(&self, content: &str) -> String {
        self.manager.offer(&hash(content), content.as_bytes());
        self.announce(vec![program(content)], 1, 0);
        hash(content)
    }

    fn run_of(&self, program: &str) -> HookRun {
        HookRun {
            id: Uuid::new_v4(),
            program: program.to_owned(),
            name: "drain".to_owned(),
            about: None,
            base: Some(self.shop.dir().canonicalize().expect("a base").display().to_string()),
            user: None,
            environment: BTreeMap::from([("WORD".to_owned(), "said".to_owned())]),
            secrets: vec![],
            input: json!({"a": 1}),
            timeout_ms: 20_000,
            ttl_ms: 20_000,
        }
    }

    fn send(&self, run: &HookRun) {
        self.manager.send(ToAgent::Hook(Box::new(run.clone())));
    }

    fn wait_end(&self, run: &HookRun) -> HookEnd {
        self.manager.wait_message("the end of the hook", |message| match message {
            FromAgent::HookDone { run: id, end } if *id == run.id => Some(end.clone()),
            _ => None,
        })
    }

    fn run(&self, run: &HookRun) -> HookEnd {
        self.send(run);
        self.wait_end(run)
    }

    /// Whether it has written something.
    fn has_begun(&self, run: &HookRun) -> bool {
        let is_its = |message: &FromAgent| matches!(message, FromAgent::HookOutput { run: of, .. } if *of == run.id);
        self.manager.messages().iter().any(is_its)
    }

    fn why_not(&self, run: &HookRun) -> String {
        match self.run(run).fate {
            HookFate::NotRun { why } => why,
            fate => panic!("it was not to run: {fate:?}"),
        }
    }
}

#[test]
fn a_hook_runs_as_the_instances_user_with_what_it_needs_and_once() {
    let stage = Stage::new("");
    let secrets = stage.agent.state().join("secrets");
    fs::create_dir_all(&secrets).expect("a directory");
    fs::write(secrets.join("PASSWORD"), "hunter2\n").expect("a secret");
    fs::set_permissions(secrets.join("PASSWORD"), fs::Permissions::from_mode(0o600)).expect("permissions");
    let count = stage.shop.dir().join("work/count");
    let content =
        format!("#!/bin/sh\necho x >> {}\nid -u\necho $WORD $CATALINA_BASE $PASSWORD\ncat\nexit 3\n", count.display());
    stage.manager.offer(&hash(&content), content.as_bytes());
    let told = stage.announce(vec![program(&content)], 1, 0);
    assert_eq!(told.secrets, Some(vec![ToldSecret { name: "PASSWORD".to_owned(), why: None }]), "their names only");
    let run = HookRun { secrets: vec!["PASSWORD".to_owned()], ..stage.run_of(&hash(&content)) };
    let end = stage.run(&run);
    assert_eq!(end.fate, HookFate::Ran { exit_code: 3 }, "{end:?}");
    let base = run.base.clone().expect("a base");
    assert!(end.output.starts_with("1\n") && end.output.contains(&format!("said {base}")), "{end:?}");
    assert!(end.output.contains("{\"a\":1}") && !end.output.contains("hunter2"), "{end:?}");
    stage.manager.forget();
    assert_eq!(stage.run(&run), end, "asked again, it is remembered");
    assert_eq!(fs::read_to_string(count).expect("a count"), "x\n");
}

#[test]
fn what_it_writes_is_told_while_it_runs_and_it_can_be_abandoned() {
    let stage = Stage::new("");
    let run = stage.run_of(&stage.with_program("#!/bin/sh\necho begun\nsleep 60\n"));
    stage.send(&run);
    stage.manager.wait_message("its output", |message| match message {
        FromAgent::HookOutput { run: id, text } => (*id == run.id && text.contains("begun")).then_some(()),
        _ => None,
    });
    // Asked again, it is waited for.
    stage.send(&run);
    stage.manager.send(ToAgent::AbandonHook { run: run.id });
    assert_eq!(stage.wait_end(&run).fate, HookFate::Abandoned {});
}

#[test]
fn the_longest_output_comes_through() {
    let stage = Stage::new("");
    let run = stage.run_of(&stage.with_program("#!/bin/sh\nhead -c 100000 /dev/zero | tr '\\0' '\\001'\n"));
    let end = stage.run(&run);
    assert_eq!(end.fate, HookFate::Ran { exit_code: 0 }, "{end:?}");
    assert!(end.output.len() <= MAX_OUTPUT && end.dropped > 0, "{} {}", end.output.len(), end.dropped);
    assert_eq!(stage.manager.links(), 1);
}

#[test]
fn a_hook_that_ran_when_the_agent_was_killed_is_not_run_again() {
    let mut stage = Stage::new("");
    let count = stage.shop.dir().join("work/count");
    let hash = stage.with_program(&format!("#!/bin/sh\necho $$ >> {}\nsleep 60\n", count.display()));
    let run = stage.run_of(&hash);
    stage.send(&run);
    let pid = wait::until("the hook", PATIENCE, || fs::read_to_string(&count).ok()?.trim().parse::<u32>().ok());
    stage.agent.kill();
    stage.agent.run();
    stage.manager.wait_link(2);
    assert!(matches!(stage.run(&run).fate, HookFate::Unknown { .. }));
    wait::until("its end", PATIENCE, || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    assert_eq!(fs::read_to_string(count).expect("a count").lines().count(), 1);
}

#[test]
fn a_hook_that_was_noted_and_not_begun_is_not_run_again_either() {
    let mut stage = Stage::new("");
    let count = stage.shop.dir().join("work/count");
    let hash = stage.with_program(&format!("#!/bin/sh\necho x >> {}\n", count.display()));
    stage.agent.kill();
    stage.agent.run_with(&[("FAILPOINTS", "hook_noted=return")]);
    stage.manager.wait_link(2);
    let run = stage.run_of(&hash);
    stage.send(&run);
    assert_eq!(stage.agent.wait_ended(), None);
    stage.agent.run();
    stage.manager.wait_link(3);
    assert!(matches!(stage.run(&run).fate, HookFate::Unknown { .. }));
    assert!(!count.exists());
}

#[test]
fn a_program_that_is_not_what_it_should_be_never_gets_there() {
    let stage = Stage::new("");
    let (good, wrong, large) = ("#!/bin/sh\ntrue\n", "#!/bin/sh\nwrong\n", "#!/bin/sh\nlarge\n");
    stage.manager.offer(&hash(wrong), b"#!/bin/sh\nother\n");
    stage.manager.offer(&hash(large), &vec![b'x'; 1024 * 1024]);
    let tricky = Program { hash: "../../../tmp/x".to_owned(), ..program(good) };
    let told = stage.announce(vec![tricky, program(wrong), program(large), program(good)], 0, 3);
    assert!(told.missing.iter().all(|missing| missing.hash.len() == 64), "{told:?}");
    stage.manager.offer(&hash(good), good.as_bytes());
    let told = stage.manager.wait_message("the good one", |message| match message {
        FromAgent::Programs(told) if told.ready == [hash(good)] && told.missing.len() == 2 => {
            let tried = told.missing.iter().all(|missing| missing.why.contains("the manager sen"));
            tried.then(|| told.clone())
        }
        _ => None,
    });
    let why =
        |content: &str| told.missing.iter().find(|missing| missing.hash == hash(content)).expect("it").why.clone();
    assert!(why(wrong).contains("is not the program"), "{}", why(wrong));
    assert!(why(large).contains("more than the 16 bytes"), "{}", why(large));
    assert!(stage.why_not(&stage.run_of(&hash(wrong))).contains("not there"));
    assert!(stage.why_not(&stage.run_of("../../../bin/sh")).contains("no SHA-256"));
    // What is not wanted any more goes.
    stage.announce(vec![], 0, 0);
    let programs = stage.agent.state().join("programs");
    wait::until("an empty directory", PATIENCE, || (fs::read_dir(&programs).ok()?.count() == 0).then_some(()));
}

#[test]
fn a_program_that_was_changed_on_the_machine_does_not_run() {
    let stage = Stage::new("");
    let hash = stage.with_program("#!/bin/sh\ntrue\n");
    fs::write(stage.agent.state().join("programs").join(&hash), "#!/bin/sh\nfalse\n").expect("a change");
    assert!(stage.why_not(&stage.run_of(&hash)).contains("was changed"));
    // It is told as missing, fetched again, and then it runs.
    stage.manager.wait_message("that it is missing", |message| match message {
        FromAgent::Programs(told) => (!told.missing.is_empty()).then_some(()),
        _ => None,
    });
    wait::until("the program to be there again", PATIENCE, || {
        (stage.run(&stage.run_of(&hash)).fate == HookFate::Ran { exit_code: 0 }).then_some(())
    });
}

#[test]
fn the_machines_own_file_has_the_last_word() {
    let good = "#!/bin/sh\nid -u\n";
    let stage = Stage::new(&format!(
        "hook_programs = [\"{}\"]\nhook_users = [\"2\"]\nhook_environment = [\"WORD\"]",
        hash(good)
    ));
    stage.manager.offer(&hash(good), good.as_bytes());
    stage.manager.offer(&hash("other"), b"other");
    let told = stage.announce(vec![program(good), program("other")], 1, 1);
    assert!(told.missing[0].why.contains("`hook_programs`"), "{told:?}");
    assert_eq!(stage.manager.asked(), [hash(good)], "what may not be there is not fetched");
    let run = || stage.run_of(&hash(good));
    let as_user = |user: &str| HookRun { user: Some(user.to_owned()), ..run() };
    assert!(stage.run(&as_user("2")).output.starts_with("2\n"));
    assert!(stage.why_not(&as_user("root")).contains("hook_users = [\"root\"]"));
    assert!(stage.why_not(&as_user("no-such-user")).contains("no user `no-such-user`"));
    assert!(stage.why_not(&HookRun { base: None, ..run() }).contains("hook_users = [\"root\"]"));
    let about = Some(HookAbout::Instance);
    assert!(stage.why_not(&HookRun { about, base: None, ..run() }).contains("does not say which"));
    for (variable, why) in [
        ("LD_PRELOAD", "cannot be given"),
        ("OTHER", "hook_environment = [\"OTHER\"]"),
        ("CATALINA_OPTS", "hook_environment = [\"CATALINA_OPTS\"]"),
    ] {
        let environment = BTreeMap::from([(variable.to_owned(), "x".to_owned())]);
        assert!(stage.why_not(&HookRun { environment, ..run() }).contains(why), "{variable}");
    }
    assert!(stage.why_not(&HookRun { base: Some("/nowhere".to_owned()), ..run() }).contains("no instance at /nowhere"));
    assert!(stage.why_not(&HookRun { ttl_ms: 0, ..run() }).contains("too late"));
    for secret in ["NONE", "../key.pem"] {
        assert!(stage.why_not(&HookRun { secrets: vec![secret.to_owned()], ..run() }).contains("secret"));
    }
}

#[test]
fn where_hooks_are_not_allowed_none_runs_and_none_is_fetched() {
    let stage = Stage::new("allow = [\"start\"]");
    stage.manager.offer(&hash("x"), b"x");
    let told = stage.announce(vec![program("x")], 0, 1);
    assert!(told.missing[0].why.contains("does not allow `hooks`"), "{told:?}");
    assert!(stage.why_not(&stage.run_of(&hash("x"))).contains("does not allow `hooks`"));
    assert!(stage.manager.asked().is_empty());
}

#[test]
fn no_more_hooks_run_at_a_time_than_may() {
    let stage = Stage::new("");
    let hash = stage.with_program("#!/bin/sh\necho begun\nexec sleep 60\n");
    let runs: Vec<_> = (0..17).map(|_| stage.run_of(&hash)).collect();
    let begun = || runs.iter().filter(|run| stage.has_begun(run)).count();
    runs.iter().for_each(|run| stage.send(run));
    wait::until("all that may", PATIENCE, || (begun() >= 16).then_some(()));
    // Who waits gets the place of one that ended, and not before.
    let first = runs.iter().find(|run| stage.has_begun(run)).expect("one that runs");
    assert_eq!(begun(), 16);
    stage.manager.send(ToAgent::AbandonHook { run: first.id });
    assert_eq!(stage.wait_end(first).fate, HookFate::Abandoned {});
    wait::until("the last", PATIENCE, || (begun() == 17).then_some(()));
    for run in runs.iter().filter(|run| run.id != first.id) {
        stage.manager.send(ToAgent::AbandonHook { run: run.id });
        assert_eq!(stage.wait_end(run).fate, HookFate::Abandoned {});
    }
}

#[test]
fn the_time_of_a_hook_counts_from_when_it_has_a_place() {
    let stage = Stage::new("");
    let hash = stage.with_program("#!/bin/sh\necho begun\nexec sleep $WORD\n");
    let sleep = |seconds: &str| {
        let environment = BTreeMap::from([("WORD".to_owned(), seconds.to_owned())]);
        HookRun { environment, ..stage.run_of(&hash) }
    };
    let mut runs: Vec<_> = (0..16).map(|_| sleep("60")).collect();
    runs.iter().for_each(|run| stage.send(run));
    wait::until("all that may", PATIENCE, || runs.iter().all(|run| stage.has_begun(run)).then_some(()));
    let late = HookRun { timeout_ms: 4000, ..sleep("0") };
    stage.send(&late);
    let sent = Instant::now();
    wait::until("more than its time", PATIENCE, || (sent.elapsed() > Duration::from_secs(5)).then_some(()));
    assert!(!stage.has_begun(&late));
    let first = runs.swap_remove(0);
    end_all(&stage, &[first]);
    assert_eq!(stage.wait_end(&late).fate, HookFate::Ran { exit_code: 0 });
    // But it waits only as long as it is worth beginning.
    let last = sleep("60");
    stage.send(&last);
    wait::until("the last", PATIENCE, || stage.has_begun(&last).then_some(()));
    runs.push(last);
    let why = stage.why_not(&HookRun { ttl_ms: 500, ..sleep("60") });
    assert!(why.contains("16 other hooks run"), "{why}");
    end_all(&stage, &runs);
}

/// Abandons runs, and waits until they have ended.
fn end_all(stage: &Stage, runs: &[HookRun]) {
    runs.iter().for_each(|run| stage.manager.send(ToAgent::AbandonHook { run: run.id }));
    for run in runs {
        let fate = stage.wait_end(run).fate;
        assert!(matches!(fate, HookFate::Abandoned {} | HookFate::NotRun { .. }), "{fate:?}");
    }
}

#[test]
fn what_became_of_a_hook_is_told_however_many_are_in_hand() {
    let stage = Stage::new("");
    let hash = stage.with_program("#!/bin/sh\n[ $WORD = said ] || exit 3\nexec sleep 60\n");
    let environment = BTreeMap::from([("WORD".to_owned(), "other".to_owned())]);
    let known = HookRun { environment, ..stage.run_of(&hash) };
    let end = stage.run(&known);
    assert_eq!(end.fate, HookFate::Ran { exit_code: 3 });
    let runs: Vec<_> = (0..256).map(|_| HookRun { ttl_ms: 60_000, ..stage.run_of(&hash) }).collect();
    for in_hand in [&runs[..20], &runs[20..]] {
        in_hand.iter().for_each(|run| stage.send(run));
        stage.manager.forget();
        // It is none of those that run, and waits for none of them.
        assert_eq!(stage.run(&known), end);
    }
    assert!(stage.why_not(&stage.run_of(&hash)).contains("ask again later"));
    end_all(&stage, &runs);
}

#[test]
fn home_and_base_are_those_of_the_machine_itself() {
    let stage = Stage::new("");
    let hash = stage.with_program("#!/bin/sh\necho $CATALINA_BASE $CATALINA_HOME $CATALINA_OPTS\n");
    let names = ["CATALINA_BASE", "CATALINA_HOME", "CATALINA_OPTS"];
    let run = HookRun {
        environment: names.into_iter().map(|name| (name.to_owned(), "/evil".to_owned())).collect(),
        ..stage.run_of(&hash)
    };
    let base = run.base.clone().expect("a base");
    let expected = format!("{base} {} /evil\n", stage.shop.home().canonicalize().expect("a home").display());
    assert_eq!(stage.run(&run).output, expected);
}

#[test]
fn what_is_set_for_an_instance_is_in_force_at_once_and_after_a_restart() {
    let mut stage = Stage::new("");
    stage.shop.start_by_hand();
    let base = stage.shop.dir().canonicalize().expect("a base").display().to_string();
    let state = |stage: &Stage, wanted: &str| {
        stage.manager.wait_message(wanted, |message| {
            let of = |instance: &protocol::report::InstanceReport| instance.state.to_string() == wanted;
            match message {
                FromAgent::Status { instance } => of(instance).then_some(()),
                FromAgent::Hello(hello) => hello.instances.iter().any(of).then_some(()),
                _ => None,
            }
        });
    };
    state(&stage, "active");
    // No page of the fake answers with 503.
    let health = Some(Health { path: "/page".to_owned(), expect: "503".parse::<Expected>().expect("a range") });
    let settings = InstanceSettings { base, health, start_timeout_ms: Some(1000) };
    stage.manager.send(ToAgent::Desired(Box::new(Desired { instances: vec![settings], programs: vec![] })));
    state(&stage, "unresponsive");
    stage.agent.kill();
    stage.manager.forget();
    stage.agent.run();
    stage.manager.wait_link(2);
    state(&stage, "unresponsive");
    stage.manager.forget();
    stage.manager.send(ToAgent::Desired(Box::default()));
    state(&stage, "active");
    assert!(stage.dir.path().exists() && Duration::ZERO < PATIENCE);
}
