//! The processes of a run: its session, and whatever carries the run's id in its environment.

use std::{
    fs::File,
    io::Read,
    time::{Duration, Instant},
};

use procfs::process::Process;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use uuid::Uuid;

use crate::RUN_VARIABLE;

/// How long processes are looked for that make others as fast as they are killed.
const LONGEST: Duration = Duration::from_secs(3);

/// How long is waited until those that were killed are gone.
const PAUSE: Duration = Duration::from_millis(5);

/// The largest environment that is looked through, in bytes.
const MAX_ENVIRONMENT: u64 = 4 * 1024 * 1024;

/// The process that leads a session. Its number may be given to another once it was reaped and its session is empty.
#[derive(Clone, Copy)]
struct Leader {
    pid: i32,
    /// When it began, in ticks since the machine's boot.
    start: u64,
}

/// What has become of a leader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is there, or not reaped yet: its number is its own.
    There,
    /// It was reaped: its number is that of its session, or of nothing.
    Reaped,
    /// Its number is another's, so that nothing of its session is left.
    Replaced,
}

impl Leader {
    fn standing(self) -> Standing {
        match start_of(self.pid) {
            Some(start) if start == self.start => Standing::There,
            Some(_) => Standing::Replaced,
            None => Standing::Reaped,
        }
    }
}

fn start_of(pid: i32) -> Option<u64> {
    Some(Process::new(pid).ok()?.stat().ok()?.starttime)
}

/// The processes of a run.
#[derive(Clone)]
pub(crate) struct Pack {
    /// The process that leads the session, unless the runner of the run has ended.
    leader: Option<Leader>,
    uid: u32,
    mark: Vec<u8>,
}

impl Pack {
    /// The processes of a run whose first process is known.
    pub(crate) fn new(run: Uuid, uid: u32, leader: u32) -> Self {
        let pid = i32::try_from(leader).ok();
        let leader = pid.and_then(|pid| Some(Leader { pid, start: start_of(pid)? }));
        Self { leader, ..Self::left_behind(run, uid) }
    }

    /// The processes of a run whose first process is not known any more.
    pub(crate) fn left_behind(run: Uuid, uid: u32) -> Self {
        Self { leader: None, uid, mark: format!("{RUN_VARIABLE}={run}\0").into_bytes() }
    }

    /// Asks the process group to end.
    pub(crate) fn ask_to_end(&self) {
        self.signal_group(Signal::TERM);
    }

    /// Kills every process, also those that left the group. Blocks for moments, and is bounded.
    pub(crate) fn kill(&self) {
        let begun = Instant::now();
        loop {
            self.signal_group(Signal::KILL);
            if self.kill_found() == 0 || begun.elapsed() > LONGEST {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Signals the group as long as its number is known to be its own. Not to be called while the leader is reaped.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let leader = self.leader.filter(|leader| leader.standing() == Standing::There);
        if let Some(group) = leader.and_then(|leader| Pid::from_raw(leader.pid)) {
            // It may be gone already.
            let _gone = kill_process_group(group, signal);
        }
    }

    fn kill_found(&self) -> usize {
        let Ok(all) = std::fs::read_dir("/proc") else { return 0 };
        let pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| self.kill_one(*pid).is_some()).count()
    }

    /// Kills a process if it is one of the run.
    fn kill_one(&self, pid: i32) -> Option<()> {
        // Held before it is looked at: the number may be given to another process meanwhile.
        let held = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let process = Process::new(pid).ok()?;
        let stat = process.stat().ok()?;
        if matches!(stat.state, 'Z' | 'X') || !(self.is_in_session(&process, &stat) || self.is_marked(&process)) {
            return None;
        }
        pidfd_send_signal(held, Signal::KILL).ok()
    }

    fn is_in_session(&self, process: &Process, stat: &procfs::process::Stat) -> bool {
        let Some(leader) = self.leader.filter(|leader| stat.pgrp == leader.pid || stat.session == leader.pid) else {
            return false;
        };
        match leader.standing() {
            Standing::There => true,
            Standing::Reaped => self.is_of_user(process),
            Standing::Replaced => false,
        }
    }

    fn is_of_user(&self, process: &Process) -> bool {
        process.status().is_ok_and(|status| status.ruid == self.uid)
    }

    /// Whether the process carries the run's id and is of its user: nobody else can have it killed.
    fn is_marked(&self, process: &Process) -> bool {
        if !self.is_of_user(process) {
            return false;
        }
        let mut environment = Vec::new();
        let path = format!("/proc/{}/environ", process.pid);
        let read = File::open(path).and_then(|file| file.take(MAX_ENVIRONMENT).read_to_end(&mut environment));
        read.is_ok() && environment.split_inclusive(|byte| *byte == 0).any(|variable| variable == self.mark)
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt, process::Command};

    use super::*;

    #[test]
    fn a_number_that_was_given_to_another_is_not_signalled() {
        let mut other = Command::new("sleep").arg("60").process_group(0).env_clear().spawn().unwrap();
        let own = rustix::process::getuid().as_raw();
        let run = Pack::new(Uuid::new_v4(), own, other.id());
        let leader = run.leader.map(|leader| Leader { start: leader.start - 1, ..leader });
        let earlier = Pack { leader, ..run.clone() };
        earlier.kill();
        assert!(other.try_wait().unwrap().is_none(), "it is another process");
        run.kill();
        assert!(!other.wait().unwrap().success());
    }
}
