//! The log file that each execution of the command line leaves: its name, its content, and how long it stays.

use std::{
    fs::{self, File},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tests::{manager::TestManager, programs};

/// The log files: their names and contents, oldest first.
fn logs(manager: &TestManager) -> Vec<(String, String)> {
    let entries = fs::read_dir(manager.dir().join("log")).expect("the directory of the logs");
    let mut logs: Vec<(String, String)> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    logs.sort();
    logs
}

#[test]
fn each_execution_leaves_a_log_file_that_tells_everything_but_secrets() {
    let manager = TestManager::start();
    let (join, api) = (manager.token(), manager.token_with(&["--api", "--role", "viewer", "-o", "json"]));
    let api = serde_json::from_str::<Value>(&api).unwrap()["secret"].as_str().unwrap().to_owned();
    let shown = manager.cli(&["status"]).out;
    assert_eq!(manager.cli(&["status", "nobody@nowhere"]).code, 9);
    for secret in [&join, &api] {
        assert_eq!(manager.cli(&["token", "revoke", secret]).code, 2);
    }
    let logs = logs(&manager);
    let find = |end: &str| &logs.iter().find(|(name, _)| name.ends_with(end)).unwrap_or_else(|| panic!("{logs:#?}")).1;
    let (name, _) = logs.last().unwrap();
    let stamp = name.split('_').next().unwrap();
    let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "00000000T000000.000Z", "{name}");

    let log = find("Z_status.log");
    assert!(log.starts_with("$ tomcat-grid status\n") && log.contains(&shown), "{log}");
    assert!(log.contains("\nresult: done (0) at 20"), "{log}");
    let log = find("Z_status_nobody@nowhere.log");
    assert!(log.contains("there is no service `nobody@nowhere`") && log.contains("(9) at"), "{log}");
    for (name, content) in &logs {
        for secret in [&join, &api] {
            let middle = &secret[5..30];
            assert!(!name.contains(middle) && !content.contains(middle), "{name}: {content}");
        }
    }
}

#[test]
fn old_log_files_go_and_other_files_stay() {
    let manager = TestManager::start();
    manager.cli(&["whoami"]);
    let dir = manager.dir().join("log");
    let aged = |name: &str, days: u64| {
        let file = File::create(dir.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
    };
    aged("20200101T000000.000Z_status.log", 91);
    aged("20200102T000000.000Z_status.log", 89);
    aged("notes.log", 400);
    manager.cli(&["whoami"]);
    let names = || logs(&manager).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert!(!names().contains(&"20200101T000000.000Z_status.log".to_owned()), "{:?}", names());
    assert!(names().contains(&"20200102T000000.000Z_status.log".to_owned()), "{:?}", names());
    programs::run(manager.command(&["whoami"]).env("TOMCAT_GRID_LOG_KEEP_DAYS", "7"));
    assert!(!names().contains(&"20200102T000000.000Z_status.log".to_owned()), "{:?}", names());
    assert!(names().contains(&"notes.log".to_owned()), "{:?}", names());
}
