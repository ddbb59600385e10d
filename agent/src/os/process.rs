//! One process: who it is, whether it is frozen, how to signal it and to learn of its end.

use std::{
    collections::HashMap,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;

/// A process for good: its id, and when it started, because ids are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// The process id.
    pub pid: u32,
    /// The start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
}

impl ProcessKey {
    /// The process that has this id now.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, start_ticks: stat(pid)?.start_ticks })
    }

    /// Whether the process still exists (a zombie does not count).
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !matches!(stat.state, 'Z' | 'X'))
    }
}

/// The file that this program was executed from, or the one that has taken its place since; `None` if there is none.
pub fn own_program() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?;
    // So the kernel calls a file that was replaced or removed.
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    [Some(path), replaced].into_iter().flatten().find(|path| path.is_file())
}

/// Whether this process could execute a file now, as far as its permissions and where it lies tell.
pub fn is_executable(program: &Path) -> bool {
    let is_noexec = |stat: rustix::fs::StatVfs| stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC);
    rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok()
        && !rustix::fs::statvfs(program).is_ok_and(is_noexec)
        && fs::metadata(program).is_ok_and(|data| data.len() > 0)
}

/// Kills this process, as `kill -9` does.
pub fn kill_itself() {
    // Nobody is forbidden to signal itself.
    let _gone = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
}

/// What `/proc/PID/stat` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The state letter.
    pub state: char,
    /// The process that started it, or that has inherited it.
    pub parent: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
}

impl Stat {
    /// Whether this is a thread of the kernel: all of them are children of the second process.
    pub fn is_kernel(self) -> bool {
        self.parent == 2
    }

    /// Whether a signal or a debugger has stopped the process.
    pub fn is_frozen(self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// Reads `/proc/PID/stat`.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses, and may itself hold spaces and parentheses.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Stat { state, parent, start_ticks: fields.nth(17)?.parse().ok()? })
}

/// The user that a process runs as.
pub fn uid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether SIGTERM waits to be delivered to a process, as it does while it is frozen.
pub fn is_told_to_end(pid: u32) -> bool {
    const SIGTERM: u32 = 15;
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let masks = status.lines().filter_map(|line| line.strip_prefix("ShdPnd:").or_else(|| line.strip_prefix("SigPnd:")));
    masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).any(|mask| mask & (1 << (SIGTERM - 1)) != 0)
}

/// Whether a process sees the same files as the agent, as one in a container does not; assumed where it may not be asked.
pub fn same_root(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |who: &str| fs::metadata(format!("/proc/{who}/root")).map(|data| (data.dev(), data.ino())).ok();
    match (of(&pid.to_string()), of("self")) {
        (Some(its), Some(own)) => its == own,
        _ => true,
    }
}

/// The arguments of a process; empty for a kernel thread.
pub fn command_line(pid: u32) -> Option<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    Some(bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// The short name of a process.
pub fn short_name(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

/// The sockets a process holds, by inode, with their descriptors; an error where it is not ours to look at.
pub fn sockets(pid: u32) -> io::Result<HashMap<u64, u32>> {
    let mut sockets = HashMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        sockets.extend(socket_inode(pid, fd).map(|inode| (inode, fd)));
    }
    Ok(sockets)
}

/// The inode of the socket behind a descriptor of a process, if it is one.
pub fn socket_inode(pid: u32, fd: u32) -> Option<u64> {
    let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The file that a running HotSpot JVM keeps, and removes when it ends in order, seen from outside its namespaces.
///
/// It stays behind when the JVM is killed, which tells a crash from an orderly end of a process that is not a child.
pub fn hsperf_file(pid: u32) -> Option<PathBuf> {
    let user = super::users::name_of(uid(pid)?)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let inner = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .and_then(|line| line.split_ascii_whitespace().last())
        .and_then(|pid| pid.parse::<u32>().ok())
        .unwrap_or(pid);
    let path = PathBuf::from(format!("/tmp/hsperfdata_{user}/{inner}"));
    // A private /tmp goes with the process, so its file says nothing afterwards.
    let inside = PathBuf::from(format!("/proc/{pid}/root{}", path.display()));
    let same = match (fs::metadata(&path), fs::metadata(&inside)) {
        (Ok(a), Ok(b)) => {
            use std::os::unix::fs::MetadataExt;
            (a.dev(), a.ino()) == (b.dev(), b.ino())
        }
        (Ok(_), Err(_)) => true,
        _ => false,
    };
    same.then_some(path)
}

/// A process whose end is awaited.
#[derive(Debug)]
pub struct Watched {
    /// Which process.
    pub key: ProcessKey,
    fd: AsyncFd<OwnedFd>,
}

impl Watched {
    /// Watches a process; `None` if it is gone already.
    pub fn open(key: ProcessKey) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(key.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let fd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            // Kernels before 5.10 do not know the flag.
            Err(rustix::io::Errno::INVAL) => pidfd_open(pid, PidfdFlags::empty())?,
            Err(error) => return Err(error.into()),
        };
        // The id may have been used again before it was opened.
        if !key.is_alive() {
            return Ok(None);
        }
        #[expect(
            deprecated,
            reason = "an `OwnedFd` keeps every promise that the replacement makes its caller give by `unsafe`"
        )]
        let fd = AsyncFd::new(fd)?;
        Ok(Some(Self { key, fd }))
    }

    /// Returns when the process has ended.
    pub async fn ended(&self) {
        // An error would mean that the descriptor cannot be polled, which its creation has proved it can.
        let _ready = self.fd.readable().await;
    }

    /// Delivers a signal to this process and no other.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.fd, signal)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_a_wild_program_name() {
        let text = "42 (a) b (c) T 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987 1000 3";
        assert_eq!(parse_stat(text), Some(Stat { state: 'T', parent: 1, start_ticks: 987 }));
        assert_eq!(parse_stat("42 (x"), None);
    }

    #[test]
    fn the_own_process_is_alive_and_another_start_time_is_not() {
        let key = ProcessKey::of(std::process::id()).unwrap();
        assert!(key.is_alive());
        assert!(!ProcessKey { start_ticks: key.start_ticks + 1, ..key }.is_alive());
    }

    #[test]
    fn a_process_with_a_root_of_its_own_is_told_from_others() {
        assert!(same_root(std::process::id()));
        // Only root may have another.
        if rustix::process::geteuid().is_root() {
            let dir = tempfile::tempdir().unwrap();
            let mut child = std::process::Command::new("perl")
                .args(["-e", "chroot shift or die; $| = 1; print qq(there\n); sleep 60"])
                .arg(dir.path())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 6]).unwrap();
            assert!(!same_root(child.id()));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_frozen_process_shows_what_it_was_told() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::STOP).unwrap();
        assert!(!is_told_to_end(child.id()));
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        assert!(is_told_to_end(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_noticed() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let watched = Watched::open(ProcessKey::of(child.id()).unwrap()).unwrap().unwrap();
        watched.signal(Signal::KILL).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(5), watched.ended()).await.unwrap();
        child.wait().unwrap();
        assert!(Watched::open(watched.key).unwrap().is_none());
    }
}
