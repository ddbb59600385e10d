//! Children that this process has from before it executed itself anew: nobody else can learn how they ended, and
//! nobody else can clear them away.

use std::{collections::BTreeMap, fs, os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::process;

/// How many looks a dead child is left to whoever follows it.
const PATIENCE: u32 = 5;

/// The children that were there at the beginning.
#[derive(Debug, Default)]
pub struct Inherited {
    /// By process id: how often it was seen dead.
    dead: BTreeMap<u32, u32>,
}

impl Inherited {
    /// Finds them; called before the process has children that it knows of.
    pub fn find() -> Self {
        let own = std::process::id();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let children = pids.filter(|&pid| process::stat(pid).is_some_and(|stat| stat.parent == own));
        Self { dead: children.map(|pid| (pid, 0)).collect() }
    }

    /// Clears away those that have ended, once whoever follows them had the time to do so.
    pub fn look(&mut self) {
        let own = std::process::id();
        self.dead.retain(|&pid, dead| match process::stat(pid) {
            Some(stat) if stat.parent == own && stat.state == 'Z' => {
                *dead += 1;
                *dead < PATIENCE || reap(pid).is_none()
            }
            Some(stat) => stat.parent == own,
            None => false,
        });
    }
}

/// How a process ended that is a child, and not one that this program has started since it was executed.
pub fn reap(pid: u32) -> Option<ExitStatus> {
    if process::stat(pid)?.parent != std::process::id() {
        return None;
    }
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let (_, status) = waitpid(Some(pid), WaitOptions::NOHANG).ok()??;
    Some(ExitStatus::from_raw(status.as_raw()))
}
