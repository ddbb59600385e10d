//! Every kind of mistake, with its line and column.

use std::time::Duration;

use super::{
    Budget, HookTarget, Mode, OnFailure,
    check::{Checked, Known, check},
    mistake::Mistake,
};
use crate::grid::{command::Command, target::Target};

/// A grid with two machines, three instances, a tag and a program.
fn known() -> Known {
    let set = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    Known {
        instances: set(&["a@web-1", "b@web-1", "shop"]),
        machines: ["web-1", "web-2"].map(|name| name.parse().unwrap()).into(),
        tags: ["blue".parse().unwrap()].into(),
        programs: ["warm.sh".to_owned()].into(),
        ..Known::default()
    }
}

#[track_caller]
fn good(text: &str) -> Checked {
    check(text, &known()).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// What is wrong, as the command line shows it.
fn wrong(text: &str) -> Vec<String> {
    let Err(mistakes) = check(text, &known()) else { return Vec::new() };
    mistakes.into_iter().map(|Mistake { line, column, what }| format!("{line}:{column} {what}")).collect()
}

const WHOLE: &str = r##"
[grid]
progress_interval = "20s"
[defaults]
start_timeout = "180s"
auto_kill = true
restart_delay = "0s"
[service."a@web-1"]
stop_timeout = "1m 30s"
health = { path = "/shop/health?x=1", expect = "200-399" }
[service."agent@web-2"]
stop_timeout = "30s"
[collection.front]
mode = "parallel"
max_parallel = 2
on_failure = "continue"
failure_budget = "10%"
kill_timeout = "5s"
members = ["shop", "back"]
[collection.back]
failure_budget = 3
members = ["b@web-1"]
[collection.none]
members = []
[[hook]]
event = "pre-start"
targets = ["front", "grid", "#blue", "@web-1", "all", "agents", "shop"]
program = "warm.sh"
timeout = "10s"
on_failure = "warn"
user = "tomcat"
environment = { MODE = "fast" }
secrets = ["DB_PASSWORD"]
[[hook]]
event = "post-trigger-stop"
targets = ["shop"]
program = "warm.sh"
[schedule.weekly]
cron = "0 3 * * SUN"
timezone = "Europe/Berlin"
command = "restart front b@web-1 #blue"
[schedule.off]
cron = "0 3 * * SUN"
command = "stop all"
enabled = false
"##;

#[test]
fn everything_that_can_be_set_is_read() {
    let Checked { config, warnings } = good(WHOLE);
    assert_eq!(warnings, []);
    assert_eq!(config.progress_interval, Some(Duration::from_secs(20)));
    assert_eq!((config.defaults.auto_kill, config.defaults.restart_delay), (Some(true), Some(Duration::ZERO)));
    let service = &config.services[&"a@web-1".parse().unwrap()];
    assert_eq!(service.limits.stop_timeout, Some(Duration::from_secs(90)));
    assert_eq!(service.health.as_ref().unwrap().path, "/shop/health?x=1");
    let front = &config.collections[&"front".parse().unwrap()];
    assert_eq!(
        (front.mode, front.on_failure, front.max_parallel.unwrap().get()),
        (Mode::Parallel, OnFailure::Continue, 2)
    );
    assert_eq!((front.failure_budget, front.members.len()), (Some(Budget::Percent(10)), 2));
    assert_eq!(config.collections[&"back".parse().unwrap()].failure_budget, Some(Budget::Count(3)));
    let [first, second] = &config.hooks[..] else { panic!("{:?}", config.hooks) };
    assert_eq!((first.targets.len(), &first.targets[1]), (7, &HookTarget::Grid));
    assert_eq!((first.environment["MODE"].as_str(), first.secrets[0].as_str()), ("fast", "DB_PASSWORD"));
    assert_eq!((second.timeout, second.user.as_deref()), (Duration::from_secs(30), None));
    let weekly = &config.schedules["weekly"];
    assert_eq!((weekly.command, weekly.targets.len(), weekly.enabled), (Command::Restart, 3, true));
    assert_eq!(
        (&config.schedules["off"].targets[..], config.schedules["off"].timezone.as_str()),
        (&[Target::All][..], "UTC")
    );
    assert_eq!(good("").config, super::GridConfig::default());
}

#[test]
fn the_table_of_mistakes() {
    let mut unexpected = Vec::new();
    for (text, expected) in [
        // Syntax.
        ("[grid\n", "1:"),
        ("[grid]\nx = \n", "2:"),
        ("[defaults]\nauto_kill = true\nauto_kill = true\n", "3:1 duplicate key"),
        // Keys and types.
        ("[gird]\n", "1:2 the configuration has no key `gird`: it has `grid`, `defaults`, `service`, `collection`"),
        ("[grid]\nprogress = \"1s\"\n", "2:1 `grid` has no key `progress`: it has `progress_interval`"),
        ("grid = 3\n", "1:1 `grid`: it is a table, and this is a number"),
        ("[collection]\nfront = 1\n", "2:1 collection `front`: it is a table, and this is a number"),
        ("[defaults]\nauto_kill = \"yes\"\n", "2:13 `auto_kill`: it is true or false, and this is a text"),
        ("[hook]\nevent = \"pre-start\"\n", "1:1 `hook` is a list of tables: write [[hook]]"),
        // Times.
        ("[defaults]\nstop_timeout = 30\n", "2:16 `stop_timeout`: it is a time, and this is a number: write one like"),
        ("[defaults]\nstop_timeout = \"soon\"\n", "2:16 `stop_timeout`: `soon` is no time: write one like \"30s\""),
        ("[defaults]\nstop_timeout = \"0s\"\n", "2:16 `stop_timeout`: 0s is not from 1s to 24h"),
        ("[defaults]\nstop_timeout = \"25h\"\n", "2:16 `stop_timeout`: 25h is not from 1s to 24h"),
        ("[defaults]\nrestart_delay = \"61m\"\n", "2:17 `restart_delay`: 61m is not from 0s to 1h"),
        ("[defaults]\nrestart_delay = \"-1s\"\n", "2:17 `restart_delay`: `-1s` is no time"),
        // Services.
        ("[service.\"c@web-1\"]\n", "1:10 there is no service `c@web-1`"),
        ("[service.\"a b\"]\n", "1:10 `a b` holds ' '"),
        ("[service.shop]\nhealth = { path = \"x\" }\n", "2:19 `path`: `x` is no path to get"),
        ("[service.shop]\nhealth = {}\n", "2:1 `health`: `path` is missing"),
        (
            "[service.shop]\nhealth = { path = \"/\", expect = \"ok\" }\n",
            "2:33 `expect`: `ok` is no range of status codes",
        ),
        ("[service.\"agent@web-1\"]\nhealth = { path = \"/\" }\n", "2:1 `health`: it is for instances"),
        ("[service.front]\n[collection.front]\nmembers = []\n", "1:10 `front` is a collection"),
        // Collections.
        ("[collection.front]\n", "1:13 collection `front`: `members` is missing"),
        ("[collection.front]\nmembers = [\"shop\", 1]\n", "2:20 `members`: it is a text, and this is a number"),
        ("[collection.front]\nmembers = [\"c@web-1\"]\n", "2:12 there is no service or collection `c@web-1`"),
        (
            "[collection.front]\nmembers = [\"a\"]\n",
            "2:12 there is no service or collection `a`; did you mean `a@web-1`?",
        ),
        ("[collection.front]\nmembers = [\"agent@web-1\"]\n", "2:12 `agent@web-1` is an agent"),
        ("[collection.front]\nmembers = [\"all\"]\n", "2:12 `members`: `all` is taken"),
        ("[collection.shop]\nmembers = []\n", "1:13 `shop` is the name of a service"),
        ("[collection.\"agent@x\"]\nmembers = []\n", "1:13 `agent@x`: the name of a collection holds no `@`"),
        ("[collection.grid]\nmembers = []\n", "1:13 `grid` is taken"),
        ("[collection.all]\nmembers = []\n", "1:13 `all` is taken"),
        (
            "[collection.front]\nmode = \"serial\"\nmembers = []\n",
            "2:8 `mode`: `serial` is not among \"sequential\", \"parallel\"",
        ),
        ("[collection.front]\nmax_parallel = 2\nmembers = []\n", "2:16 `max_parallel`: it takes `mode = \"parallel\"`"),
        (
            "[collection.front]\nmode = \"parallel\"\nmax_parallel = 0\nmembers = []\n",
            "3:16 `max_parallel`: 0 is not from 1 to 1000",
        ),
        ("[collection.front]\nfailure_budget = \"110%\"\nmembers = []\n", "2:18 `failure_budget`: `110%` is no budget"),
        ("[collection.front]\nfailure_budget = -1\nmembers = []\n", "2:18 `failure_budget`: -1 is not from 0"),
        (
            "[collection.a]\nmembers = [\"b\"]\n[collection.b]\nmembers = [\"shop\", \"a\"]\n",
            "4:20 a→b→a: a collection cannot hold itself",
        ),
        (
            "[collection.a]\nmembers = [\"shop\", \"b\"]\n[collection.b]\nmembers = [\"shop\"]\n",
            "2:20 `shop` is in `a` twice: by itself and through `b`",
        ),
        // Hooks.
        ("[[hook]]\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\n", "1:1 `hook`: `event` is missing"),
        (
            "[[hook]]\nevent = \"pre-lunch\"\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\n",
            "2:9 `event`: `pre-lunch` is no event",
        ),
        ("[[hook]]\nevent = \"pre-stop\"\ntargets = []\nprogram = \"warm.sh\"\n", "3:11 `targets`: there are 0"),
        (
            "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"shop\"]\nprogram = \"cold.sh\"\n",
            "4:11 there is no hook program `cold.sh`",
        ),
        (
            "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"shop\", \"#red\"]\nprogram = \"warm.sh\"\n",
            "3:20 there is no tag `red`",
        ),
        (
            "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"@db\"]\nprogram = \"warm.sh\"\n",
            "3:12 there is no machine `db`",
        ),
        (
            "[[hook]]\nevent = \"pre-trigger-stop\"\ntargets = [\"grid\"]\nprogram = \"warm.sh\"\n",
            "3:12 `pre-trigger-stop` is an event of services",
        ),
        (
            "[[hook]]\nevent = \"pre-trigger-stop\"\ntargets = [\"front\"]\nprogram = \"warm.sh\"\n[collection.front]\nmembers = []\n",
            "3:12 `pre-trigger-stop` is an event of services",
        ),
        (
            "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\nuser = \"a b\"\n",
            "5:8 `user`: `a b` is no name of a user",
        ),
        (
            "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\nenvironment = { A-B = \"x\" }\n",
            "5:17 `A-B` is no name of a variable",
        ),
        (
            "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\nenvironment = { LD_PRELOAD = \"x\" }\n",
            "5:17 `LD_PRELOAD`: no hook can be given that",
        ),
        (
            "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\nenvironment.TOMCAT_GRID_RUN = \"x\"\n",
            "5:13 `TOMCAT_GRID_RUN`: what begins with TOMCAT_GRID_",
        ),
        (
            "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\nenvironment.A = \"x\"\nsecrets = [\"A\"]\n",
            "6:12 `secrets`: `A` is in `environment`, too",
        ),
        // Schedules.
        ("[schedule.x]\ncommand = \"stop all\"\n", "1:11 schedule `x`: `cron` is missing"),
        ("[schedule.\"a b\"]\ncron = \"0 3 * * *\"\ncommand = \"stop all\"\n", "1:11 `a b` holds ' '"),
        ("[schedule.x]\ncron = \"0 3 * *\"\ncommand = \"stop all\"\n", "2:8 `cron`: `0 3 * *` is no cron expression"),
        (
            "[schedule.x]\ncron = \"0 3 * * *\"\ntimezone = \"Mars\"\ncommand = \"stop all\"\n",
            "3:12 `timezone`: `Mars` is no time zone",
        ),
        ("[schedule.x]\ncron = \"0 3 * * *\"\ncommand = \"reboot all\"\n", "3:11 `command`: `reboot` is no command"),
        ("[schedule.x]\ncron = \"0 3 * * *\"\ncommand = \"stop\"\n", "3:11 `command`: on what?"),
        (
            "[schedule.x]\ncron = \"0 3 * * *\"\ncommand = \"stop nobody\"\n",
            "3:11 there is no service or collection `nobody`",
        ),
        ("[schedule.x]\ncron = \"0 3 * * *\"\ncommand = \"stop #\"\n", "3:11 `command`: `` is no tag"),
    ] {
        let found = wrong(text);
        if !matches!(&found[..], [one] if one.starts_with(expected)) {
            unexpected.push(format!("{text}\nexpected {expected}\nfound {found:#?}"));
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n\n"));
}

#[test]
fn all_mistakes_are_told_in_the_order_of_the_text() {
    let text = "[defaults]\nstop_timeout = 1\n[grid]\nx = 1\n[collection.front]\nmode = \"x\"\nmembers = [\"nobody\", \"shop\", \"shop\"]\n";
    let places: Vec<String> = wrong(text).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(places, ["2:16", "4:1", "6:8", "7:12", "7:30"]);
}

#[test]
fn no_mistake_hides_another() {
    for (text, expected) in [
        (
            "[collection.a]\nmembers = [\"a\"]\n[collection.c]\nmembers = [\"shop\", \"shop\"]\n",
            &["2:12 a→a: a collection cannot hold itself", "4:20 `shop` is in `c` twice: its `members` name it twice"]
                [..],
        ),
        (
            "[schedule.x]\ncron = \"0 3\"\ntimezone = \"Mars\"\ncommand = \"stop all\"\n",
            &["2:8 `cron`: `0 3` is no cron expression: it has 2 fields", "3:12 `timezone`: `Mars` is no time zone"],
        ),
        (
            "[schedule.x]\ntimezone = \"Mars\"\ncommand = \"stop all\"\n",
            &["1:11 schedule `x`: `cron` is missing", "2:12 `timezone`: `Mars` is no time zone"],
        ),
        (
            "[schedule.x]\ncron = \"3\"\ncommand = \"stop all\"\n",
            &["2:8 `cron`: `3` is no cron expression: it has 1 field,"],
        ),
    ] {
        let found = wrong(text);
        let fits = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| a.starts_with(b));
        assert!(fits, "{text}\n{found:#?}");
    }
    let all = wrong("[[hook]]\nevent = \"pre-lunch\"\ntargets = [\"@db\"]\nprogram = \"cold.sh\"\n");
    assert!(all.len() == 3 && all[0].starts_with("2:9 ") && all[1].starts_with("3:12 "), "{all:?}");
    let event = wrong("[[hook]]\nevent = \"pre-lunch\"\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\n");
    assert!(!event[0].contains('…') && event[0].len() > 100, "{event:?}");
}

#[test]
fn what_was_named_before_may_have_vanished() {
    let text = "[service.old]\n[collection.front]\nmembers = [\"gone@web-9\", \"shop\"]\n[schedule.x]\ncron = \"0 3 * * *\"\ncommand = \"stop @web-9 #red\"\n";
    assert_eq!(wrong(text).len(), 4);
    let before = super::parse::parse(text).config;
    let Checked { warnings, .. } = check(text, &known().and_named_by(&before)).unwrap();
    let places: Vec<(usize, usize)> = warnings.iter().map(|warning| (warning.line, warning.column)).collect();
    assert_eq!(places, [(1, 10), (3, 12), (6, 11), (6, 11)]);
    // A collection that is taken away is not a service that vanished.
    let text = "[collection.front]\nmembers = [\"back\"]\n[collection.back]\nmembers = []\n";
    let before = super::parse::parse(text).config;
    let now = "[collection.front]\nmembers = [\"back\"]\n";
    assert!(check(now, &known().and_named_by(&before)).is_err());
}

#[test]
fn so_much_and_no_more() {
    let large = format!("# {}", "x".repeat(super::parse::MAX_TEXT));
    assert!(wrong(&large)[0].starts_with("1:1 it has 262146 bytes"));
    let many: String = (0..1002).map(|n| format!("[collection.c{n:04}]\nmembers = []\n")).collect();
    assert_eq!(wrong(&many), ["2001:13 there are 1002 collections: at most 1000"]);
    let hooks = "[[hook]]\nevent = \"pre-stop\"\ntargets = [\"shop\"]\nprogram = \"warm.sh\"\n".repeat(501);
    assert_eq!(wrong(&hooks), ["2001:1 there are 501 hooks: at most 500"]);
}
