//! Agents and managers are killed and come back: Tomcats live on, and the answers are the same as before.

use std::{
    thread,
    time::{Duration, Instant},
};

use protocol::time::Timestamp;
use serde_json::{Value, json};
use tests::{
    agent::TestAgent,
    fake::FakeTomcat,
    manager::{PATIENCE, TestManager},
    processes::{self, Signal},
    storm::Storm,
    tomcat::TomcatBase,
    wait,
    watcher::Watcher,
};

/// Who owns the bases that the grid starts: as root it would not start them.
const DAEMON: (u32, u32) = (1, 1);

/// A user whose Tomcats no other test starts: a JVM that starts tidies up behind the dead ones of its user, and so
/// takes away what tells a crash from a stop when nobody was there to see it.
const NEWS: (u32, u32) = (9, 9);

/// How far a moment may be off after a restart, in milliseconds.
const SAME_MOMENT: u64 = 2000;

/// The instances of [`Quartet`], each in another state.
const QUARTET: [&str; 4] = ["active@web-1", "crashed@web-1", "frozen@web-1", "stopped@web-1"];

/// Four instances in four states, which the grid has seen come about.
struct Quartet {
    manager: TestManager,
    agent: TestAgent,
    bases: [TomcatBase; 4],
}

impl Quartet {
    fn begin() -> Self {
        let manager = TestManager::start();
        let base = |name| TomcatBase::builder(manager.dir(), name).owner(DAEMON.0, DAEMON.1).build();
        let bases = ["active", "crashed", "frozen", "stopped"].map(base);
        let agent = TestAgent::start(&manager, "web-1", manager.dir());
        for name in QUARTET {
            manager.wait_state(name, "stopped");
            let started = manager.trigger("start", name);
            assert_eq!(started["outcome"], "done", "{started}");
        }
        for name in QUARTET {
            manager.wait_state(name, "active");
        }
        processes::send(bases[1].pid().unwrap(), Signal::KILL);
        processes::send(bases[2].pid().unwrap(), Signal::STOP);
        assert_eq!(manager.trigger("stop", QUARTET[3])["outcome"], "done");
        for (name, state) in QUARTET.into_iter().zip(["active", "stopped", "unresponsive", "stopped"]) {
            manager.wait_state(name, state);
        }
        assert_eq!(manager.service(QUARTET[1]).unwrap()["last_exit"]["wanted"], false);
        Self { manager, agent, bases }
    }

    fn services(&self) -> [Value; 4] {
        QUARTET.map(|name| self.manager.service(name).unwrap())
    }

    fn pids(&self) -> [Option<u32>; 4] {
        self.bases.each_ref().map(TomcatBase::pid)
    }

    /// Waits until nothing is known, and the last known states are shown instead.
    fn wait_unknown(&self, before: &[Value; 4], reason: &str) {
        for (name, before) in QUARTET.iter().zip(before) {
            let unknown = self.manager.wait_state(name, "not_available");
            assert_eq!(unknown["last_state"], before["state"], "{unknown:#}");
            assert_eq!(unknown["pid"], Value::Null, "{unknown:#}");
            assert!(unknown["reason"].as_str().unwrap().contains(reason), "{unknown:#}");
            assert_same_exit(&unknown["last_exit"], &before["last_exit"]);
        }
    }

    /// Waits until something is known again, and asserts that it is what was known before.
    fn wait_same_as(&self, before: &[Value; 4]) {
        for (name, before) in QUARTET.iter().zip(before) {
            assert_same(&self.manager.wait_service(name, "known again", is_known), before);
        }
    }
}

fn is_known(service: &Value) -> bool {
    service["state"] != "not_available"
}

fn moment(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no moment"))
}

fn assert_same_moment(one: &Value, other: &Value) {
    let apart = moment(one).as_millis().abs_diff(moment(other).as_millis());
    assert!(apart <= SAME_MOMENT, "{one} and {other} are {apart} ms apart");
}

fn assert_same_exit(one: &Value, other: &Value) {
    for key in ["code", "signal", "wanted", "how"] {
        assert_eq!(one[key], other[key], "{key}");
    }
    if !other.is_null() {
        assert_same_moment(&one["at"], &other["at"]);
    }
}

fn assert_same(one: &Value, other: &Value) {
    for key in ["name", "state", "last_state", "reason", "pid", "ports", "user", "notes"] {
        assert_eq!(one[key], other[key], "{key} of {one:#}\nand {other:#}");
    }
    assert_same_moment(&one["since"], &other["since"]);
    assert_same_exit(&one["last_exit"], &other["last_exit"]);
}

#[test]
fn an_agent_that_was_killed_comes_back_to_the_same_answers() {
    let mut quartet = Quartet::begin();
    let (before, pids) = (quartet.services(), quartet.pids());
    let watcher = quartet.manager.watch();
    quartet.agent.kill();
    quartet.wait_unknown(&before, "its agent is away: its link broke");
    assert_eq!(quartet.manager.wait_state("agent@web-1", "not_available")["last_state"], Value::Null);
    assert_eq!(quartet.pids(), pids);
    assert_eq!(quartet.bases[0].get("/p/"), Some((200, "ok".to_owned())));

    quartet.agent.run();
    quartet.wait_same_as(&before);
    quartet.manager.wait_state("agent@web-1", "active");
    // Nothing else was told meanwhile: no instance came and went, or was for a moment what it is not.
    for (name, before) in QUARTET.iter().zip(&before) {
        watcher
            .wait_for("the end of it", |event| event["service"] == *name && event["data"]["state"] == before["state"]);
        assert_eq!(watcher.states_of(name), ["not_available", before["state"].as_str().unwrap()], "{name}");
    }
    assert!(watcher.seen().iter().all(|seen| seen.event["kind"] != "service.gone"));
}

#[test]
fn an_agent_that_ends_in_order_is_stopped_and_its_tomcats_live_on() {
    let manager = TestManager::start();
    let base = TomcatBase::builder(manager.dir(), "shop").build();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    let pid = base.start_by_hand();
    let before = manager.wait_state("shop@web-1", "active");
    agent.stop();
    let agent_service = manager.wait_state("agent@web-1", "stopped");
    assert_eq!(agent_service["reason"], "the agent was told to end");
    let unknown = manager.wait_state("shop@web-1", "not_available");
    assert_eq!(unknown["last_state"], "active");
    assert_eq!((base.pid(), base.get("/p/").is_some()), (Some(pid), true));
    assert_eq!(manager.trigger("stop", "shop@web-1")["outcome"], "not_available");
    agent.run();
    assert_same(&manager.wait_state("shop@web-1", "active"), &before);
}

#[test]
fn an_agent_that_is_killed_while_an_instance_stops_remembers_the_stop() {
    let manager = TestManager::start();
    let base =
        TomcatBase::builder(manager.dir(), "shop").owner(DAEMON.0, DAEMON.1).graceful(Duration::from_secs(60)).build();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    manager.wait_state("shop@web-1", "stopped");
    manager.trigger("start", "shop@web-1");
    manager.wait_state("shop@web-1", "active");
    thread::scope(|scope| {
        let request = scope.spawn(|| base.get_within("/p/sleep?ms=12000", Duration::from_secs(60)));
        base.wait_sleepers(1);
        assert_eq!(manager.trigger("stop", "shop@web-1")["outcome"], "done");
        let before = manager.wait_state("shop@web-1", "stopping");
        agent.kill();
        assert_eq!(manager.wait_state("shop@web-1", "not_available")["last_state"], "stopping");
        agent.run();
        assert_same(&manager.wait_service("shop@web-1", "known again", is_known), &before);
        assert!(!request.is_finished());
        assert_eq!(manager.trigger("stop", "shop@web-1")["outcome"], "ignored");
        assert_eq!(request.join().unwrap(), Some((200, "slept".to_owned())));
    });
    let stopped = manager.wait_state("shop@web-1", "stopped");
    assert_eq!((&stopped["reason"], &stopped["last_exit"]["wanted"]), (&json!("stopped by the grid"), &json!(true)));
}

#[test]
fn an_agent_that_is_killed_while_an_instance_starts_knows_since_when() {
    let manager = TestManager::start();
    let slow = Duration::from_secs(12);
    let base = TomcatBase::builder(manager.dir(), "shop").owner(DAEMON.0, DAEMON.1).slow_start(slow).build();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    manager.wait_state("shop@web-1", "stopped");
    manager.trigger("start", "shop@web-1");
    let before = manager.wait_service("shop@web-1", "starting", |service| service["pid"].is_u64());
    agent.kill();
    assert_eq!(manager.wait_state("shop@web-1", "not_available")["last_state"], "starting");
    agent.run();
    let after = manager.wait_service("shop@web-1", "known again", is_known);
    assert_eq!((&after["state"], &after["pid"]), (&json!("starting"), &before["pid"]));
    assert_same_moment(&after["since"], &before["since"]);
    manager.wait_state("shop@web-1", "active");
    processes::send(base.pid().unwrap(), Signal::KILL);
    assert_eq!(manager.wait_state("shop@web-1", "stopped")["last_exit"]["wanted"], false);
}

#[test]
fn an_agent_that_hangs_is_not_available_until_it_goes_on() {
    let manager = TestManager::start();
    let base = TomcatBase::builder(manager.dir(), "shop").build();
    let agent = TestAgent::start(&manager, "web-1", manager.dir());
    base.start_by_hand();
    let before = manager.wait_state("shop@web-1", "active");
    processes::send(agent.pid(), Signal::STOP);
    let unknown = manager.wait_state("shop@web-1", "not_available");
    assert_eq!(unknown["last_state"], "active");
    assert_eq!(unknown["reason"], "its agent is away: nothing was heard from it for 10 s");
    processes::send(agent.pid(), Signal::CONT);
    assert_same(&manager.wait_state("shop@web-1", "active"), &before);
}

#[test]
fn an_agent_of_many_instances_forgets_none_when_it_comes_back() {
    const MANY: usize = 40;
    let manager = TestManager::start();
    let fakes: Vec<_> = (0..MANY).map(|n| FakeTomcat::builder(manager.dir(), &format!("fake-{n}")).build()).collect();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    for fake in &fakes {
        fake.start_by_hand();
    }
    let names: Vec<String> = (0..MANY).map(|n| format!("fake-{n}@web-1")).collect();
    let before: Vec<Value> = names.iter().map(|name| manager.wait_state(name, "active")).collect();
    let watcher = manager.watch();
    agent.kill();
    manager.wait_state(&names[0], "not_available");
    agent.run();
    for (name, before) in names.iter().zip(&before) {
        assert_same(&manager.wait_service(name, "known again", is_known), before);
        watcher.wait_for("the end of it", |event| event["service"] == *name && event["data"]["state"] == "active");
        assert_eq!(watcher.states_of(name), ["not_available", "active"], "{name}");
    }
    assert!(watcher.seen().iter().all(|seen| seen.event["kind"] != "service.gone"));
}

/// Has two Tomcats end while the agent is away, one of them started by the grid, and returns what it says of them.
fn ended_while_the_agent_was_away(owner: (u32, u32), signal: Signal) -> Vec<Value> {
    let manager = TestManager::start();
    let bases = ["by-grid", "by-hand"].map(|n| TomcatBase::builder(manager.dir(), n).owner(owner.0, owner.1).build());
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    let names = ["by-grid@web-1", "by-hand@web-1"];
    manager.wait_state(names[0], "stopped");
    manager.trigger("start", names[0]);
    bases[1].start_by_hand();
    for name in names {
        manager.wait_state(name, "active");
    }
    agent.kill();
    for base in &bases {
        processes::send(base.pid().unwrap(), signal);
        base.wait_gone();
    }
    agent.run();
    names.map(|name| manager.wait_state(name, "stopped")).to_vec()
}

#[test]
fn a_crash_while_the_agent_was_away_is_seen_as_one() {
    for crashed in ended_while_the_agent_was_away(NEWS, Signal::KILL) {
        assert_eq!(crashed["last_exit"]["wanted"], false, "{crashed:#}");
        assert_eq!(crashed["reason"], "killed or crashed: it ended without tidying up");
    }
}

#[test]
fn a_stop_while_the_agent_was_away_is_not_told_from_a_crash_without_evidence() {
    // That it has tidied up proves nothing: a JVM of that user that starts tidies up for the others.
    for stopped in ended_while_the_agent_was_away(DAEMON, Signal::TERM) {
        assert_eq!(stopped["last_exit"]["wanted"], false, "{stopped:#}");
        assert_eq!(stopped["reason"], "ended while the agent was away; how could not be known");
    }
}

#[test]
fn what_ended_with_the_machine_has_not_crashed() {
    let manager = TestManager::start();
    let shop = FakeTomcat::builder(manager.dir(), "shop").build();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    shop.start_by_hand();
    manager.wait_state("shop@web-1", "active");
    agent.kill();
    processes::send(shop.pid().unwrap(), Signal::KILL);
    shop.wait_gone();
    // As if it had been written before the machine booted.
    let files = std::fs::read_dir(agent.state().join("instances")).unwrap().map(|entry| entry.unwrap().path());
    // One that the agent was writing when it was killed is there, too.
    let is_memory = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let memory = files.into_iter().find(is_memory).expect("what is remembered of it");
    let mut remembered: Value = serde_json::from_slice(&std::fs::read(&memory).unwrap()).unwrap();
    remembered["boot_id"] = json!("another");
    std::fs::write(&memory, remembered.to_string()).unwrap();
    agent.run();
    let stopped = manager.wait_state("shop@web-1", "stopped");
    assert_eq!(stopped["reason"], "ended with the machine's restart");
    assert_eq!(stopped["last_exit"]["wanted"], true, "{stopped:#}");
}

#[test]
fn a_start_while_the_agent_was_away_is_seen() {
    let manager = TestManager::start();
    let base = TomcatBase::builder(manager.dir(), "shop").build();
    let mut agent = TestAgent::start(&manager, "web-1", manager.dir());
    base.start_by_hand();
    let before = manager.wait_state("shop@web-1", "active");
    agent.kill();
    processes::send(base.pid().unwrap(), Signal::TERM);
    base.wait_gone();
    let pid = base.start_by_hand();
    base.wait_answering();
    agent.run();
    let after = manager.wait_service("shop@web-1", "another process", |service| service["pid"] == pid);
    manager.wait_state("shop@web-1", "active");
    assert!(moment(&after["since"]) > moment(&before["since"]), "{after:#}");
    assert!(after["last_exit"].is_object(), "{after:#}");
}

#[test]
fn a_manager_that_was_killed_knows_the_same_by_itself() {
    let mut quartet = Quartet::begin();
    let (before, pids) = (quartet.services(), quartet.pids());
    quartet.manager.kill();
    quartet.manager.start_again();
    let ready = Instant::now();
    quartet.manager.wait_state("agent@web-1", "active");
    let taken = ready.elapsed();
    eprintln!("the agent is back after {taken:.2?}");
    assert!(taken <= Duration::from_secs(10), "{taken:?}");
    quartet.wait_same_as(&before);
    assert_eq!(quartet.pids(), pids);
}

#[test]
fn a_manager_that_comes_back_alone_shows_what_was_last_known() {
    let mut quartet = Quartet::begin();
    let before = quartet.services();
    quartet.manager.kill();
    quartet.agent.kill();
    quartet.manager.start_again();
    quartet.wait_unknown(&before, "the manager has just started and waits for this agent");
    quartet.manager.wait_state("agent@web-1", "not_available");
    quartet.agent.run();
    quartet.wait_same_as(&before);
}

/// Waits until a number of triggers has been carried out since an event.
fn wait_load(manager: &TestManager, since: &str, count: usize) {
    wait::until("load", PATIENCE, || {
        let events = journal_after(manager, since);
        let done = |event: &&Value| event["kind"] == "trigger" && event["data"]["outcome"] == "done";
        (events.iter().filter(done).count() >= count).then_some(())
    });
}

fn now(manager: &TestManager) -> String {
    manager.status()["seq"].as_str().expect("an id").to_owned()
}

#[test]
fn a_manager_that_is_killed_under_load_agrees_with_the_machine_afterwards() {
    let mut manager = TestManager::start();
    let storm = Storm::begin(&manager);
    Storm::rage(&manager.socket(), || {
        for _ in 0..3 {
            wait_load(&manager, &now(&manager), 6);
            manager.kill();
            manager.start_again();
            manager.wait_state("agent@web-1", "active");
        }
    });
    storm.wait_agreement(&manager);
}

/// The ids of events.
fn ids<'a>(events: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    events.into_iter().map(|event| event["id"].as_str().expect("an id, and no reset").to_owned()).collect()
}

/// The ids of what a watcher has seen.
fn seen_by(watcher: &Watcher) -> Vec<String> {
    watcher.seen().iter().flat_map(|seen| ids([&seen.event])).collect()
}

/// The number within an id, `EPOCH-SEQ`.
fn number(id: &str) -> u64 {
    id.split_once('-').and_then(|(_, number)| number.parse().ok()).expect("an id")
}

/// Every event in the journal after one, however many pages that takes.
fn journal_after(manager: &TestManager, since: &str) -> Vec<Value> {
    const PAGE: usize = 1000;
    let mut events: Vec<Value> = Vec::new();
    loop {
        let last = events.last().map_or(since, |event| event["id"].as_str().unwrap());
        let page = manager.api("GET", &format!("/journal?limit={PAGE}&since={last}"), None).unwrap().json();
        let page = page["items"].as_array().unwrap();
        events.extend(page.iter().cloned());
        if page.len() < PAGE {
            return events;
        }
    }
}

#[test]
fn a_watcher_that_reconnects_misses_nothing() {
    let mut manager = TestManager::start();
    let storm = Storm::begin(&manager);
    let watcher = manager.watch();
    let from = now(&manager);
    let (mut first, mut middle, mut second) = (Vec::new(), None, None);
    Storm::rage(&manager.socket(), || {
        wait_load(&manager, &from, 10);
        middle = Some(Watcher::open_after(&manager.socket(), Some(&from)));
        wait_load(&manager, &now(&manager), 10);
        manager.kill();
        manager.start_again();
        first = seen_by(&watcher);
        second = Some(Watcher::open_after(&manager.socket(), first.last().map(String::as_str)));
        wait_load(&manager, &now(&manager), 10);
    });
    storm.wait_agreement(&manager);

    let (middle, second) = (seen_by(&middle.unwrap()), second.unwrap());
    let whole = wait::until("the end of the stream", PATIENCE, || {
        let whole = ids(&journal_after(&manager, &from));
        (seen_by(&second).last() == whole.last()).then_some(whole)
    });
    first.retain(|id| number(id) > number(&from));
    assert!(whole.is_sorted_by(|one, other| number(one) < number(other)), "{whole:?}");
    assert_eq!([first, seen_by(&second)].concat(), whole);
    // Who came in the middle of the load has seen the beginning of the same, without a gap.
    assert!(middle.len() >= 10 && whole.starts_with(&middle), "{middle:?}\n{whole:?}");
}
