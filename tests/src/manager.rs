//! A manager of its own for a test: a process on a free port with a data directory that goes with it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    http::{self, Answer},
    processes::{self, Signal},
    programs::{self, Ran},
    wait,
    watcher::Watcher,
};

/// How long a state may take to come, unless a test says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A manager, and what belongs to it.
pub struct TestManager {
    dir: TempDir,
    data: PathBuf,
    process: Option<Child>,
    listen: String,
    environment: Vec<(String, String)>,
}

impl TestManager {
    /// Starts a manager; returns when it serves.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a manager with environment variables.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("m");
        Self::start_in(dir, data, environment)
    }

    /// Starts a manager on a free port of another address than 127.0.0.1.
    pub fn start_at(address: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("m");
        Self::put_together(dir, data, &format!("{address}:0"), &[])
    }

    /// Starts a manager with a data directory in another place; `dir` goes with it.
    pub fn start_in(dir: TempDir, data: PathBuf, environment: &[(&str, &str)]) -> Self {
        Self::put_together(dir, data, "127.0.0.1:0", environment)
    }

    fn put_together(dir: TempDir, data: PathBuf, listen: &str, environment: &[(&str, &str)]) -> Self {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut manager = Self { dir, data, process: None, listen: listen.to_owned(), environment };
        manager.run(&[]);
        manager.wait_ready();
        // After a restart agents look for it where it was.
        manager.listen = manager.address();
        manager
    }

    /// Runs the manager's program, without waiting for it.
    pub fn run(&mut self, environment: &[(&str, &str)]) {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log");
        let mut command = Command::new(programs::path("tomcat-grid"));
        command
            .args(["serve", "--listen", &self.listen, "--name", "test"])
            .arg("--data")
            .arg(&self.data)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(environment.iter().copied())
            .env("TOMCAT_GRID_ADMIN_PASSWORD", PASSWORD)
            .stderr(log);
        self.process = Some(command.spawn().expect("the manager runs"));
    }

    /// Waits until the manager serves.
    pub fn wait_ready(&mut self) {
        let process = self.process.as_mut().expect("a manager runs");
        let ready = self.data.join("ready.json");
        let pid = process.id();
        let served = wait::within(PATIENCE, || {
            if let Ok(Some(status)) = process.try_wait() {
                return Some(Err(status));
            }
            let text = fs::read_to_string(&ready).ok()?;
            (serde_json::from_str::<Value>(&text).ok()?["pid"] == pid).then_some(Ok(()))
        });
        assert!(matches!(served, Some(Ok(()))), "the manager does not serve ({served:?}):\n{}", self.log());
    }

    /// Waits until the manager's process has ended, and returns its exit code.
    pub fn wait_ended(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("a manager runs");
        let status = wait::until("the manager to end", PATIENCE, || process.try_wait().expect("its status"));
        status.code()
    }

    /// Kills the manager, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the manager can be killed");
            process.wait().expect("the manager has ended");
        }
    }

    /// Ends the manager in order.
    pub fn stop(&mut self) {
        if let Some(process) = &self.process {
            processes::send(process.id(), Signal::TERM);
            assert_eq!(self.wait_ended(), Some(0), "{}", self.log());
        }
    }

    /// Starts the manager again, at the same address with the same data.
    pub fn start_again(&mut self) {
        self.run(&[]);
        self.wait_ready();
    }

    /// A directory that goes with the manager.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The manager's data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The manager's process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a manager runs").id()
    }

    /// The manager's socket.
    pub fn socket(&self) -> PathBuf {
        let elsewhere = self.environment.iter().find(|(name, _)| name == "TOMCAT_GRID_SOCKET");
        elsewhere.map_or_else(|| self.data.join("manager.sock"), |(_, path)| PathBuf::from(path))
    }

    /// The address of the TLS port.
    pub fn address(&self) -> String {
        let text = fs::read_to_string(self.data.join("ready.json")).expect("ready.json");
        let ready: Value = serde_json::from_str(&text).expect("JSON");
        ready["url"].as_str().expect("a URL").trim_start_matches("https://").to_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("manager.log")
    }

    /// What the manager has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The command line, ready for this manager.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs::path("tomcat-grid"));
        command
            .args(arguments)
            .env("TOMCAT_GRID_ADDR", format!("unix://{}", self.socket().display()))
            .env("TOMCAT_GRID_LOG_DIR", self.dir.path().join("log"));
        command
    }

    /// Runs a command of the command line.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        programs::run(&mut self.command(arguments))
    }

    /// Makes a join token.
    pub fn token(&self) -> String {
        self.token_with(&[])
    }

    /// Makes a join token with options.
    pub fn token_with(&self, options: &[&str]) -> String {
        let ran = self.cli(&[&["token", "create"], options].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out.trim().to_owned()
    }

    /// Calls the API over the socket; `None` if nobody answers.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        http::request(&self.socket(), method, &format!("/api/v1{path}"), body)
    }

    /// A figure of `/metrics`, by its name and labels as they are written there.
    pub fn figure(&self, sample: &str) -> Option<f64> {
        let text = http::request(&self.socket(), "GET", "/metrics", None)?.body;
        text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until a figure is as it should be.
    #[track_caller]
    pub fn wait_figure(&self, sample: &str, expected: f64) {
        let mut last = None;
        let found = wait::within(2 * PATIENCE, || {
            last = self.figure(sample);
            (last == Some(expected)).then_some(())
        });
        assert!(found.is_some(), "{sample} should be {expected}, and is {last:?}");
    }

    /// The status of everything.
    pub fn status(&self) -> Value {
        self.api("GET", "/status", None).expect("an answer").json()
    }

    /// A service as the status shows it.
    pub fn service(&self, name: &str) -> Option<Value> {
        let status = self.api("GET", "/status", None)?.json();
        status["services"].as_array()?.iter().find(|service| service["name"] == name).cloned()
    }

    /// Waits until a service is as it should be, and returns it.
    pub fn wait_service(&self, name: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = wait::within(PATIENCE, || {
            last = self.service(name)?;
            fits(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("{name} should be {what}, and is {last:#}\n{}", self.log()))
    }

    /// Waits until a service is in a state, and returns it.
    pub fn wait_state(&self, name: &str, state: &str) -> Value {
        self.wait_service(name, state, |service| service["state"] == state)
    }

    /// Triggers a service and returns what became of it: `outcome` and `message`.
    pub fn trigger(&self, action: &str, target: &str) -> Value {
        let body = json!({"action": action, "targets": [target]});
        let answer = self.api("POST", "/trigger", Some(&body)).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["results"][0].clone()
    }

    /// Watches the events.
    pub fn watch(&self) -> Watcher {
        let watcher = Watcher::open(&self.socket());
        // The status is ahead of the stream, on which earlier events may still be coming: one that comes after all of
        // them is made, and what is seen until then is none of the watch's.
        let number = |id: &Value| id.as_str().and_then(|id| id.split_once('-')?.1.parse::<u64>().ok()).expect("an id");
        let last = number(&self.status()["seq"]);
        // Each a user of its own, so that none of them is throttled.
        let login = json!({"name": format!("mark-{last}"), "password": "wrong"});
        assert_eq!(self.api("POST", "/session", Some(&login)).expect("an answer").status, 401);
        watcher.wait_for("the mark", |event| event["kind"] == "login.failed" && number(&event["id"]) > last);
        watcher.forget();
        watcher
    }
}

/// The password of the user `admin`.
pub const PASSWORD: &str = "correct horse";

impl Drop for TestManager {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the manager's log ---\n{}", self.log());
        }
    }
}
