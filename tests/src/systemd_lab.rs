//! A systemd of a test's own, run for real by the script `tests/systemd-lab`, whatever runs the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    processes::{self, Signal},
    programs::{self, Ran},
    wait,
};

/// How long systemd may take to boot, and a unit to come to a state.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running systemd; everything in it ends with it.
pub struct SystemdLab {
    dir: TempDir,
    process: Child,
    units: Vec<String>,
}

impl SystemdLab {
    /// Boots.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let process = Command::new(script()).arg("run").arg(dir.path()).spawn().expect("the script runs");
        let lab = Self { dir, process, units: Vec::new() };
        let booted = wait::within(DEADLINE, || {
            let state = lab.run(&["systemctl", "is-system-running"]);
            (state.out.trim() == "running").then_some(())
        });
        let console = fs::read_to_string(lab.dir.path().join("console.log")).unwrap_or_default();
        assert!(booted.is_some(), "systemd has not booted:\n{console}");
        lab
    }

    /// Runs a command inside to its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        programs::run(Command::new(script()).arg("exec").arg(self.dir.path()).args(words))
    }

    /// Runs `systemctl`, which must succeed, and returns what it prints.
    #[track_caller]
    pub fn systemctl(&self, words: &[&str]) -> String {
        let ran = self.run(&[&["systemctl"], words].concat());
        assert_eq!(ran.code, 0, "systemctl {words:?}: {}", ran.err);
        ran.out.trim().to_owned()
    }

    /// Adds a unit, and what overrides it.
    pub fn add_unit(&mut self, name: &str, unit: &str, override_with: &str) {
        let units = self.root().join("run/systemd/system");
        let overrides = units.join(format!("{name}.d"));
        fs::write(units.join(name), unit).expect("a unit");
        fs::create_dir(&overrides).expect("a directory");
        fs::write(overrides.join("test.conf"), override_with).expect("a file");
        self.systemctl(&["daemon-reload"]);
        self.units.push(name.to_owned());
    }

    /// Overrides a unit further.
    pub fn add_override(&self, name: &str, override_with: &str) {
        let overrides = self.root().join(format!("run/systemd/system/{name}.d"));
        fs::write(overrides.join("test-further.conf"), override_with).expect("a file");
        self.systemctl(&["daemon-reload"]);
    }

    /// Lets the boot target want a unit, as `systemctl enable` does. Until then systemd forgets it when it has ended.
    pub fn enable(&self, name: &str) {
        let wants = self.root().join("run/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).expect("a directory");
        std::os::unix::fs::symlink(format!("../{name}"), wants.join(name)).expect("a link");
        self.systemctl(&["daemon-reload"]);
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.systemctl(&["show", "--value", "--property", name, unit])
    }

    /// Waits until a property of a unit has a value.
    #[track_caller]
    pub fn wait_property(&self, unit: &str, name: &str, value: &str) {
        let found = wait::within(DEADLINE, || (self.property(unit, name) == value).then_some(()));
        assert!(found.is_some(), "{name} of {unit} should be {value}, and is {}", self.property(unit, name));
    }

    /// What a unit has said.
    pub fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--no-pager", "--output=cat", "--unit", unit]).out
    }

    /// The files as the inside sees them.
    fn root(&self) -> PathBuf {
        let pid = fs::read_to_string(self.dir.path().join("init.pid")).expect("the inner pid 1");
        Path::new("/proc").join(pid.trim()).join("root")
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd-lab")
}

impl Drop for SystemdLab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for unit in &self.units {
                eprintln!("--- what {unit} has said ---\n{}", self.journal(unit));
            }
        }
        processes::send(self.process.id(), Signal::TERM);
        if let Err(error) = self.process.wait() {
            eprintln!("the lab has not ended: {error}");
        }
    }
}
