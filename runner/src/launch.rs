//! The launcher: becomes the program of a run. It is the program of the manager or agent under another argument.
//!
//! It reads its order from standard input, and nothing after it, which is the program's; leads a session of its own,
//! gives up its privileges for those of the run's user, and executes the program. How far it came is in a file that was
//! opened before.

use std::{
    collections::BTreeMap,
    ffi::{CString, OsString},
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::PathBuf,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use nix::unistd::{Gid, Uid, execve, setgroups, setresgid, setresuid};
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit},
};
use serde::{Deserialize, Serialize};

use crate::{account::Account, last_work::LastWork};

/// The argument by which a program is the launcher.
const ARGUMENT: &str = "run-hook-program";

/// What is noted when the program is about to be executed: without it nothing was.
pub(crate) const BEGUN: &str = "begun";

/// The largest order, in bytes.
const MAX_ORDER: u32 = 16 * 1024 * 1024;

/// How long a program may be busy: a process that is just being started may hold its file open for writing.
const BUSY: Duration = Duration::from_secs(2);

/// What the launcher is to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) note: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) account: Option<Account>,
}

impl Launch {
    /// As the launcher reads it.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let order = serde_json::to_vec(self)?;
        let length = u32::try_from(order.len()).ok().filter(|length| *length <= MAX_ORDER);
        let length = length.ok_or_else(|| io::Error::other("its environment is too large"))?;
        Ok([length.to_be_bytes().as_slice(), &order].concat())
    }
}

/// How the launcher is started, and what is left of the runs that were started so. Its clones are one.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
    pub(crate) last_work: LastWork,
}

impl Launcher {
    /// This very program, whose `main` begins with [`main_if_asked`].
    pub fn own() -> Self {
        // Also the right one when the file was replaced by a newer version.
        Self::at("/proc/self/exe")
    }

    /// Another program whose `main` begins with [`main_if_asked`].
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: vec![ARGUMENT.into()], last_work: LastWork::default() }
    }

    /// Waits until what is left of runs that were dropped is cleared up, at most for a time. To be called before a process
    /// ends that has run hooks. Blocks.
    pub fn wait_for_last_work(&self, limit: Duration) {
        self.last_work.wait(limit);
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().current_dir("/");
        command
    }
}

/// Is the launcher if the program was started as one; else `None`. To be called first in `main`.
pub fn main_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    close_inherited();
    let failed = read_order().and_then(|launch| {
        // Opened with the runner's privileges, before they are given up; a successful `exec` closes it.
        let mut note = File::options().write(true).open(&launch.note)?;
        let Err(error) = become_program(&launch, &mut note);
        note.set_len(0)?;
        io::Seek::rewind(&mut note)?;
        write!(note, "{error}")
    });
    Some(if failed.is_ok() { ExitCode::from(127) } else { ExitCode::FAILURE })
}

/// Closes what was left open by whoever started this program: the hook must not inherit it.
fn close_inherited() {
    let Ok(all) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // The one that listed the others is closed already.
        let _closed = nix::unistd::close(fd);
    }
}

fn read_order() -> io::Result<Launch> {
    // Without a buffer: what comes after the order is for the program.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut length = [0; 4];
    stdin.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_ORDER {
        return Err(io::Error::other("the order is too large"));
    }
    let mut order = vec![0; length as usize];
    stdin.read_exact(&mut order)?;
    Ok(serde_json::from_slice(&order)?)
}

fn become_program(launch: &Launch, note: &mut File) -> Result<std::convert::Infallible, String> {
    // Fails only for who leads a session already.
    let _leads_already = rustix::process::setsid();
    rustix::process::umask(Mode::from_raw_mode(0o077));
    // An image of the memory would hold the secrets.
    let _unlimited = rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // What protects the runner from the kernel's choice when memory is short does not protect a hook.
    let _protected = std::fs::write("/proc/self/oom_score_adj", "0");
    if let Some(account) = &launch.account {
        become_user(account)?;
    }
    std::env::set_current_dir(&launch.directory).map_err(|error| format!("it cannot enter its directory: {error}"))?;
    note.write_all(BEGUN.as_bytes()).map_err(|error| format!("its start cannot be noted: {error}"))?;
    let text = |text: &std::ffi::OsStr| {
        CString::new(text.as_bytes()).map_err(|_| "its name or environment holds NUL".to_owned())
    };
    let program = text(launch.program.as_os_str())?;
    let variables = launch.environment.iter().map(|(name, value)| text(format!("{name}={value}").as_ref()));
    let variables = variables.collect::<Result<Vec<_>, _>>()?;
    // Executes nothing, but gives the signals back their usual meaning, which the start of this program had changed.
    let _nothing = Command::new("/").exec();
    let begun = Instant::now();
    loop {
        // Not by `Command`, which hands to a shell what the kernel does not know.
        let Err(error) = execve(&program, &[&program], &variables);
        if error != nix::errno::Errno::ETXTBSY || begun.elapsed() > BUSY {
            return Err((error as i32).to_string());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Becomes a user for good.
fn become_user(account: &Account) -> Result<(), String> {
    let current = rustix::process::geteuid();
    if !current.is_root() {
        if current.as_raw() == account.uid {
            return Ok(());
        }
        return Err(format!(
            "it is to run as `{}`, which only root can arrange: run as root, or set the user that it runs as",
            account.name
        ));
    }
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
    let become_user = || {
        setgroups(&groups)?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)
    };
    become_user().map_err(|error| format!("it cannot become the user `{}`: {error}", account.name))?;
    if !uid.is_root() && nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err("the privileges of root cannot be given up".to_owned());
    }
    Ok(())
}
