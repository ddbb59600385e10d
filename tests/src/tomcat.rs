//! A real Tomcat base for one test: laid out below the test's directory, on a port of its own,
//! started by hand or by whoever the story is about, and killed with everything in it on drop.

mod cache;
pub(crate) mod files;
mod http;
mod port;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::fchown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

pub use port::Port;

use crate::{processes, wait};
use cache::Cache;

/// CATALINA_HOME of the packages of Debian.
pub(crate) const HOME: &str = "/usr/share/tomcat10";

/// Time for one small request; a hung Tomcat must not hang the test.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);

/// Time to start or to end: far more than needed, as the machine may be busy with other tests.
const CHANGE_DEADLINE: Duration = Duration::from_secs(60);

/// Chooses how a base is laid out; see [`TomcatBase::builder`].
#[derive(Debug)]
pub struct TomcatBuilder {
    dir: PathBuf,
    slow_start: Option<Duration>,
    graceful: Option<Duration>,
    bind_on_init: bool,
    owner: Option<(u32, u32)>,
    port: Option<u16>,
    extra_connectors: Vec<String>,
}

impl TomcatBuilder {
    /// The application takes this long to start.
    pub fn slow_start(mut self, time: Duration) -> Self {
        self.slow_start = Some(time);
        self
    }

    /// On a stop, Tomcat waits up to this long for running requests (`gracefulStopAwaitMillis`).
    pub fn graceful(mut self, time: Duration) -> Self {
        self.graceful = Some(time);
        self
    }

    /// Whether the port is open before the application is up; `true`, as in Tomcat, unless set.
    pub fn bind_on_init(mut self, yes: bool) -> Self {
        self.bind_on_init = yes;
        self
    }

    /// The tree belongs to this user, who also runs what the fixture starts. Needs root.
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.owner = Some((uid, gid));
        self
    }

    /// A certain port, which nothing reserves; a leased one unless set.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// One more `<Connector …/>` of the service; may be called again.
    pub fn extra_connector(mut self, xml: &str) -> Self {
        self.extra_connectors.push(xml.to_owned());
        self
    }

    /// Writes the tree.
    ///
    /// # Panics
    /// When Tomcat or a JDK is not installed, or the tree cannot be written.
    pub fn build(self) -> TomcatBase {
        self.build_with(&Cache::ready())
    }

    fn build_with(self, cache: &Cache) -> TomcatBase {
        let port = self.port.map_or_else(Port::lease, Port::fixed);
        files::write_base(&self.dir, port.number(), &self, cache);
        TomcatBase::adopt(self.dir, PathBuf::from(HOME), port, self.owner)
    }
}

/// A Tomcat base and, while it runs, its process. Dropping it kills every process of the base.
#[derive(Debug)]
pub struct TomcatBase {
    dir: PathBuf,
    home: PathBuf,
    port: Port,
    owner: Option<(u32, u32)>,
}

impl TomcatBase {
    /// A base in `parent/name`.
    pub fn builder(parent: &Path, name: &str) -> TomcatBuilder {
        TomcatBuilder {
            dir: parent.join(name),
            slow_start: None,
            graceful: None,
            bind_on_init: true,
            owner: None,
            port: None,
            extra_connectors: Vec::new(),
        }
    }

    /// Takes over a tree that is already written.
    pub(crate) fn adopt(dir: PathBuf, home: PathBuf, port: Port, owner: Option<(u32, u32)>) -> Self {
        if let Some(owner) = owner {
            files::give_to(&dir, owner);
        }
        Self { dir, home, port, owner }
    }

    /// CATALINA_BASE.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// CATALINA_HOME.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The port of the first connector, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The process that runs this base, whoever started it.
    pub fn pid(&self) -> Option<u32> {
        processes::tomcat_pid(&self.dir)
    }

    /// Starts as an operator would in a terminal that is closed afterwards: `catalina.sh run` in its
    /// own session, output in `logs/catalina.out`. The returned pid stays when the script becomes Java.
    pub fn start_by_hand(&self) -> u32 {
        let mut command = self.command("setsid");
        command.arg(self.script()).arg("run");
        processes::spawn_reaped(&mut command)
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.dir.display()))
    }

    /// Runs `catalina.sh start` with a pid file. Success means little: Tomcat may still fail.
    pub fn catalina_start(&self) -> ExitStatus {
        self.run_script("start")
    }

    /// Runs `catalina.sh stop` with the pid file of [`catalina_start`](Self::catalina_start).
    /// A real one takes more than two seconds.
    pub fn catalina_stop(&self) -> ExitStatus {
        self.run_script("stop")
    }

    /// The pid file of `catalina.sh start`.
    pub fn pid_file(&self) -> PathBuf {
        self.dir.join("temp/catalina.pid")
    }

    /// Status and body of a GET, or `None` without an answer in two seconds.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.get_within(path, REQUEST_LIMIT)
    }

    /// Status and body of a GET, or `None` without an answer in `limit`.
    pub fn get_within(&self, path: &str, limit: Duration) -> Option<(u16, String)> {
        http::get(self.port(), path, limit)
    }

    /// Waits until the application answers with 200.
    ///
    /// # Panics
    /// When that takes too long; the message has Tomcat's output.
    #[track_caller]
    pub fn wait_answering(&self) {
        let answer = wait::within(CHANGE_DEADLINE, || self.get("/p/").filter(|(status, _)| *status == 200));
        if answer.is_none() {
            let dir = self.dir.display();
            panic!("no answer from {dir} in {CHANGE_DEADLINE:?}; its output:\n{}", self.log());
        }
    }

    /// Waits until exactly `count` requests to `/p/sleep` are being processed.
    ///
    /// An open connection is no proof of that: Tomcat may not have accepted it yet, and drops it on a stop.
    #[track_caller]
    pub fn wait_sleepers(&self, count: usize) {
        let what = format!("{count} sleeping requests in {}", self.dir.display());
        let count = count.to_string();
        wait::until(&what, CHANGE_DEADLINE, || self.get("/p/sleepers").filter(|(_, body)| *body == count));
    }

    /// Waits until no process runs this base and its port is free.
    ///
    /// Not meant for the moment after a start: a script that is not Java yet does not count.
    #[track_caller]
    pub fn wait_gone(&self) {
        let what = format!("the end of Tomcat in {}", self.dir.display());
        wait::until(&what, CHANGE_DEADLINE, || processes::is_gone(&self.dir).then_some(()));
    }

    /// What the Tomcat has written to `logs/catalina.out`.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn script(&self) -> PathBuf {
        self.home.join("bin/catalina.sh")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("logs/catalina.out")
    }

    fn run_script(&self, verb: &str) -> ExitStatus {
        self.command(self.script())
            .arg(verb)
            .env("CATALINA_PID", self.pid_file())
            .status()
            .unwrap_or_else(|error| panic!("cannot run catalina.sh {verb}: {error}"))
    }

    /// A command as the base's owner, with no Tomcat variable of the test's own environment.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let log = self.open_log().expect("open the log of the base");
        let mut command = Command::new(program);
        for variable in ["CATALINA_OPTS", "CATALINA_OUT", "CATALINA_PID", "CATALINA_TMPDIR", "JAVA_OPTS"] {
            command.env_remove(variable);
        }
        command
            .env("CATALINA_HOME", &self.home)
            .env("CATALINA_BASE", &self.dir)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("copy a file descriptor"))
            .stderr(log);
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The log belongs to the owner of the base even when root's test is the first to write.
    fn open_log(&self) -> io::Result<File> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        if let Some((uid, gid)) = self.owner {
            fchown(&log, Some(uid), Some(gid))?;
        }
        Ok(log)
    }
}

impl Drop for TomcatBase {
    fn drop(&mut self) {
        processes::kill_all_below(&self.dir);
    }
}
