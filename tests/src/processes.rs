//! Finds, signals and starts Tomcat processes, looking only at /proc as an operator would.
//! A process belongs to a base by its command line (`-Dcatalina.base=`), never by a remembered pid,
//! so it makes no difference who started it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::wait;

/// Longest time a process may take to vanish after SIGKILL.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// Longest time for a new process to show its command line; not worth a failure.
const EXEC_DEADLINE: Duration = Duration::from_secs(1);

/// The running Tomcat of `base`, the one with the lowest pid if there are several.
pub fn tomcat_pid(base: &Path) -> Option<u32> {
    tomcat_pids(base).into_iter().min()
}

/// Every running Tomcat of `base`: more than one is a fault that a test may want to see.
///
/// The short-lived JVMs of `catalina.sh stop` and `configtest` do not count.
pub fn tomcat_pids(base: &Path) -> Vec<u32> {
    let base = real_path(base);
    all_pids()
        .filter(|&pid| {
            let arguments = command_line(pid);
            is_bootstrap_start(&arguments) && catalina_base(&arguments).is_some_and(|found| found == base)
        })
        .collect()
}

/// Sends `signal` to the process.
///
/// # Panics
/// When the process is gone or belongs to somebody else: the story is then wrong about it.
#[track_caller]
pub fn send(pid: u32, signal: Signal) {
    if let Err(error) = try_send(pid, signal) {
        panic!("cannot send {signal:?} to process {pid}: {error}");
    }
}

/// Whether the process exists and has not ended; a zombie has ended.
pub fn is_alive(pid: u32) -> bool {
    // A first thread may be a zombie while others still hold the sockets of the process.
    Stat::read(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X') || stat.threads > 1)
}

/// The kernel's letter for the state of the process: `S` sleeping, `T` stopped, `Z` zombie.
pub fn process_state(pid: u32) -> Option<char> {
    Stat::read(pid).map(|stat| stat.state)
}

/// The user that the process acts as.
pub fn uid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The session of the process: its leader's pid.
pub fn session(pid: u32) -> Option<u32> {
    Stat::read(pid).map(|stat| stat.session)
}

/// The value of a variable in the environment that the process was executed with.
pub fn environment(pid: u32, name: &str) -> Option<String> {
    let variables = read_list(&format!("/proc/{pid}/environ"));
    let prefix = format!("{name}=");
    variables.iter().find_map(|item| Some(String::from_utf8_lossy(item.strip_prefix(prefix.as_bytes())?).into_owned()))
}

/// Whether no Tomcat of `base` is left, not even one that is about to end and still has its port.
pub fn is_gone(base: &Path) -> bool {
    tomcat_pids(base).is_empty() && !all_pids().any(is_nameless)
}

/// Kills every process whose catalina.base is `dir` or below it, and waits until none is left.
///
/// A `catalina.sh` that has not become a JVM yet is killed too; it is known by its environment.
pub fn kill_all_below(dir: &Path) {
    let dir = real_path(dir);
    let mut killed = BTreeSet::new();
    wait::within(KILL_DEADLINE, || {
        let mut settled = true;
        for pid in all_pids() {
            if belongs_below(pid, &dir) {
                // It may have ended since the look, which is just as good.
                let _ = try_send(pid, Signal::KILL);
                killed.insert(pid);
            } else if is_nameless(pid) {
                settled = false;
            }
        }
        (settled && !killed.iter().any(|&pid| is_alive(pid))).then_some(())
    });
}

/// Starts a command that goes on without the caller, and returns its pid.
///
/// A thread collects the exit status, so the ended process does not stay as a zombie.
pub(crate) fn spawn_reaped(command: &mut Command) -> io::Result<u32> {
    let mut child = command.spawn()?;
    let pid = child.id();
    // The spawn returns in the middle of the exec, when the child still has no name of its own.
    wait::within(EXEC_DEADLINE, || (!command_line(pid).concat().is_empty() || !is_alive(pid)).then_some(()));
    thread::spawn(move || child.wait());
    Ok(pid)
}

/// What is needed of `/proc/PID/stat`.
struct Stat {
    name: String,
    state: char,
    session: u32,
    threads: u32,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may itself contain spaces and parentheses.
        let (before, fields) = stat.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let mut fields = fields.split_whitespace();
        Some(Self {
            name: name.to_owned(),
            state: fields.next()?.chars().next()?,
            session: fields.nth(2)?.parse().ok()?,
            threads: fields.nth(13)?.parse().ok()?,
        })
    }
}

/// Whether the process may be a Tomcat at a moment when nobody can tell of which base: in the middle
/// of its exec or its exit, where the command line is empty. Such a moment passes by itself.
fn is_nameless(pid: u32) -> bool {
    Stat::read(pid).is_some_and(|stat| matches!(stat.name.as_str(), "java" | "catalina.sh" | "setsid"))
        && command_line(pid).concat().is_empty()
        && is_alive(pid)
}

fn try_send(pid: u32, signal: Signal) -> io::Result<()> {
    let pid =
        i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(kill_process(pid, signal)?)
}

fn belongs_below(pid: u32, dir: &Path) -> bool {
    if pid == process::id() {
        return false;
    }
    let arguments = command_line(pid);
    let base = catalina_base(&arguments).or_else(|| {
        let runs_script = arguments.iter().any(|argument| argument.ends_with(b"/bin/catalina.sh"));
        if runs_script { environment_base(pid) } else { None }
    });
    base.is_some_and(|base| base.starts_with(dir))
}

fn is_bootstrap_start(arguments: &[Vec<u8>]) -> bool {
    let bootstrap: &[u8] = b"org.apache.catalina.startup.Bootstrap";
    matches!(arguments, [.., class, verb] if class == bootstrap && verb == b"start")
}

fn catalina_base(arguments: &[Vec<u8>]) -> Option<PathBuf> {
    find_value(arguments, b"-Dcatalina.base=")
}

fn environment_base(pid: u32) -> Option<PathBuf> {
    find_value(&read_list(&format!("/proc/{pid}/environ")), b"CATALINA_BASE=")
}

fn find_value(list: &[Vec<u8>], prefix: &[u8]) -> Option<PathBuf> {
    list.iter().find_map(|item| item.strip_prefix(prefix)).map(|path| real_path(Path::new(OsStr::from_bytes(path))))
}

fn command_line(pid: u32) -> Vec<Vec<u8>> {
    read_list(&format!("/proc/{pid}/cmdline"))
}

/// A list of the kernel with a zero byte after each item; empty when the process is gone or foreign.
fn read_list(file: &str) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap_or_default();
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    bytes.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()
}

fn all_pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").expect("/proc is mounted").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The path without symbolic links; as given when it does not exist any more.
fn real_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}
