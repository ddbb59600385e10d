//! An agent of its own for a test: a process with a state directory that goes with it.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use tempfile::TempDir;

use crate::{
    manager::{PATIENCE, TestManager},
    processes::{self, Signal},
    programs, wait,
};

/// An agent, and what belongs to it.
pub struct TestAgent {
    dir: TempDir,
    process: Option<Child>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    user: Option<(u32, u32)>,
    wrapper: Vec<String>,
}

/// How an agent is to be.
pub struct Builder {
    agent: TestAgent,
    token: Option<String>,
    config: String,
}

impl TestAgent {
    /// An agent of a manager, for the machine `name`, that looks for instances in `root` and nowhere else.
    pub fn builder(manager: &TestManager, name: &str, root: &Path) -> Builder {
        let builder = Self::of_url(&format!("https://{}", manager.address()), name, root);
        Builder { token: Some(manager.token()), ..builder }
    }

    /// An agent of whatever manager is at an address, without a token.
    pub fn of_url(url: &str, name: &str, root: &Path) -> Builder {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state").display().to_string();
        let arguments = ["run", "--manager", url, "--name", name, "--state", &state, "--root"];
        let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
        arguments.push(root.display().to_string());
        let agent = Self { dir, process: None, arguments, environment: Vec::new(), user: None, wrapper: Vec::new() };
        // Tests run beside each other, and each agent must leave the others' Tomcats alone.
        Builder { agent, token: None, config: "discover_processes = false\n".to_owned() }
    }

    /// Starts an agent, and waits until it is linked.
    pub fn start(manager: &TestManager, name: &str, root: &Path) -> Self {
        Self::builder(manager, name, root).start(manager)
    }

    /// Runs the agent's program.
    pub fn run(&mut self) {
        self.run_with(&[]);
    }

    /// Runs the agent's program with further environment variables.
    pub fn run_with(&mut self, environment: &[(&str, &str)]) {
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log");
        let program = programs::path("tomcat-grid-agent");
        let mut command = match self.wrapper.split_first() {
            Some((wrapper, rest)) => {
                let mut command = Command::new(wrapper);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(environment.iter().copied())
            .stderr(log);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        self.process = Some(command.spawn().expect("the agent runs"));
    }

    /// Kills the agent, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the agent can be killed");
            process.wait().expect("the agent has ended");
        }
    }

    /// Ends the agent in order.
    pub fn stop(&mut self) {
        processes::send(self.pid(), Signal::TERM);
        assert_eq!(self.wait_ended(), Some(0), "{}", self.log());
    }

    /// Waits until the agent's process has ended, and returns its exit code.
    pub fn wait_ended(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("an agent runs");
        let status = wait::until("the agent to end", PATIENCE, || process.try_wait().expect("its status"));
        status.code()
    }

    /// The agent's process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("an agent runs").id()
    }

    /// The agent's state directory.
    pub fn state(&self) -> PathBuf {
        PathBuf::from(&self.arguments[6])
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("agent.log")
    }

    /// What the agent has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until the agent has logged something.
    pub fn wait_log(&self, text: &str) {
        let found = wait::within(PATIENCE, || self.log().contains(text).then_some(()));
        assert!(found.is_some(), "the agent should log `{text}`, and has logged:\n{}", self.log());
    }
}

impl Builder {
    /// With a join token of its own; the manager's usual one otherwise.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// With lines of the settings file; tables must come last.
    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// With a further argument.
    pub fn argument(mut self, name: &str, value: &str) -> Self {
        self.agent.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// With another address of the manager.
    pub fn manager(mut self, url: &str) -> Self {
        self.agent.arguments[2] = url.to_owned();
        self
    }

    /// With a state directory in another place.
    pub fn state_in(mut self, dir: &Path) -> Self {
        self.agent.arguments[6] = dir.display().to_string();
        self
    }

    /// As a user.
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.agent.user = Some((uid, gid));
        self
    }

    /// With a program before it, such as `ip netns exec NAME`.
    pub fn wrapper(mut self, words: &[&str]) -> Self {
        self.agent.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.agent.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts it together, without running it.
    pub fn build(mut self) -> TestAgent {
        let config = self.agent.dir.path().join("agent.toml");
        fs::write(&config, &self.config).expect("a file");
        self.agent.arguments.extend(["--config".to_owned(), config.display().to_string()]);
        if let Some(token) = self.token {
            self.agent.environment.push(("TOMCAT_GRID_AGENT_TOKEN".to_owned(), token));
        }
        if let Some((uid, gid)) = self.agent.user {
            for path in [self.agent.dir.path(), &config] {
                std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("chown");
            }
        }
        self.agent
    }

    /// Runs it, without waiting for anything.
    pub fn run(self) -> TestAgent {
        let mut agent = self.build();
        agent.run();
        agent
    }

    /// Runs it, and waits until it is linked.
    pub fn start(self, manager: &TestManager) -> TestAgent {
        let name = format!("agent@{}", self.agent.arguments[4]);
        let agent = self.run();
        let linked = wait::within(PATIENCE, || (manager.service(&name)?["state"] == "active").then_some(()));
        assert!(linked.is_some(), "the agent is not linked:\n{}", agent.log());
        agent
    }
}

impl Drop for TestAgent {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the agent's log ---\n{}", self.log());
        }
    }
}
