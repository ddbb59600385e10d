//! Clocks that are wrong or jump under an agent: nothing depends on them. libfaketime shows the agent, and nobody else,
//! another time of day; how long something took is still measured truly, as by any kernel.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use protocol::time::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    agent::{Builder, TestAgent},
    fake::{FakeTomcat, fake_home},
    manager::{PATIENCE, TestManager},
    processes::{self, Signal},
    wait,
};

/// The library, where Debian puts it (package `libfaketime`), for every architecture.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// How far a moment may be off that was told as an age.
const TOLERANCE: Duration = Duration::from_secs(2);

/// What the agent's clock shows. The file is replaced, so that no half of it is ever read.
struct Clock {
    dir: TempDir,
}

impl Clock {
    /// A clock that is off, by `+5y` for example.
    fn off_by(offset: &str) -> Self {
        let clock = Self { dir: tempfile::tempdir().expect("a directory") };
        clock.jump_to(offset);
        clock
    }

    fn jump_to(&self, offset: &str) {
        let new = self.dir.path().join("new");
        fs::write(&new, offset).expect("a file");
        fs::rename(new, self.file()).expect("the file is replaced");
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    /// An agent of the machine `web-1` that lives by this clock.
    fn builder(&self, manager: &TestManager) -> Builder {
        TestAgent::builder(manager, "web-1", manager.dir())
            .env("LD_PRELOAD", LIBRARY)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file().display().to_string())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .config(&format!("[tomcat]\nhome = \"{}\"", fake_home(manager.dir()).display()))
    }
}

fn fake(root: &Path, name: &str) -> FakeTomcat {
    FakeTomcat::builder(root, name).owner(1, 1).build()
}

/// A moment of the status, in the time of the manager, which is that of the test.
fn moment(text: &Value) -> Timestamp {
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{text} is no moment"))
}

fn assert_between(from: Timestamp, text: &Value, to: Timestamp) {
    let at = moment(text);
    assert!(at >= from.before(TOLERANCE) && at <= to.after(TOLERANCE), "{at} is not between {from} and {to}");
}

/// The year that the agent writes into its log.
fn years_in(log: &str) -> Vec<i64> {
    log.lines().filter_map(|line| line.get(..4)?.parse().ok()).collect()
}

fn this_year() -> i64 {
    Timestamp::now().to_string()[..4].parse().expect("a year")
}

fn an_agent_whose_clock_is_off(offset: &str, years: i64) {
    let manager = TestManager::start();
    let shop = fake(manager.dir(), "shop");
    let begin = Timestamp::now();
    let pid = shop.start_by_hand();
    let clock = Clock::off_by(offset);
    let mut agent = clock.builder(&manager).start(&manager);
    let active = manager.wait_state("shop@web-1", "active");
    assert_between(begin, &active["since"], Timestamp::now());
    assert!(years_in(&agent.log()).iter().all(|year| (year - this_year() - years).abs() <= 1), "{}", agent.log());

    let killed = Timestamp::now();
    processes::send(pid, Signal::KILL);
    let stopped = manager.wait_state("shop@web-1", "stopped");
    assert_between(killed, &stopped["since"], Timestamp::now());
    assert_between(killed, &stopped["last_exit"]["at"], Timestamp::now());

    // Then somebody sets the clock, and the agent is restarted: it remembers ages, not times of day.
    agent.stop();
    manager.wait_state("agent@web-1", "stopped");
    clock.jump_to("+0");
    agent.run();
    let back = manager.wait_state("shop@web-1", "stopped");
    assert_between(moment(&stopped["since"]), &back["since"], moment(&stopped["since"]));
    assert_between(killed, &back["last_exit"]["at"], moment(&stopped["last_exit"]["at"]));
}

#[test]
fn a_clock_five_years_behind_at_boot_does_no_harm() {
    an_agent_whose_clock_is_off("-5y", -5);
}

#[test]
fn a_clock_five_years_ahead_at_boot_does_no_harm() {
    an_agent_whose_clock_is_off("+5y", 5);
}

#[test]
fn a_clock_that_jumps_changes_neither_states_nor_moments() {
    let mut manager = TestManager::start();
    let shop = fake(manager.dir(), "shop");
    let _other = fake(manager.dir(), "other");
    shop.start_by_hand();
    let clock = Clock::off_by("+0");
    let agent = clock.builder(&manager).start(&manager);
    let since = moment(&manager.wait_state("shop@web-1", "active")["since"]);

    for (offset, years) in [("+3y", 3), ("-4y", -4)] {
        let watcher = manager.watch();
        clock.jump_to(offset);
        // The agent's log shows when it lives in the new time.
        manager.trigger("start", "other@web-1");
        manager.wait_state("other@web-1", "active");
        manager.trigger("kill", "other@web-1");
        manager.wait_state("other@web-1", "stopped");
        let arrived = |year: &i64| (year - this_year() - years).abs() <= 1;
        wait::until("the jump", PATIENCE, || years_in(&agent.log()).iter().any(arrived).then_some(()));
        for service in ["shop@web-1", "agent@web-1"] {
            // The event of the last restart may come late.
            let states = watcher.states_of(service);
            assert!(states.iter().all(|state| state == "active"), "{service} was {states:?}");
        }

        // A manager that begins anew learns every age again.
        manager.kill();
        manager.start_again();
        manager.wait_state("agent@web-1", "active");
        assert_between(since, &manager.wait_state("shop@web-1", "active")["since"], since);
    }
}
