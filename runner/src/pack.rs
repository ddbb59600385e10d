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

/// The processes of a run.
#[derive(Clone)]
pub(crate) struct Pack {
    /// The process that leads the session, unless the runner of the run has ended.
    leader: Option<u32>,
    uid: u32,
    mark: Vec<u8>,
}

impl Pack {
    /// The processes of a run whose first process is known.
    pub(crate) fn new(run: Uuid, uid: u32, leader: u32) -> Self {
        Self { leader: Some(leader), ..Self::left_behind(run, uid) }
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

    fn signal_group(&self, signal: Signal) {
        if let Some(group) = self.leader.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
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
        if matches!(stat.state, 'Z' | 'X') || !(self.is_in_session(&stat) || self.is_marked(&process)) {
            return None;
        }
        pidfd_send_signal(held, Signal::KILL).ok()
    }

    fn is_in_session(&self, stat: &procfs::process::Stat) -> bool {
        let leader = self.leader.and_then(|pid| i32::try_from(pid).ok());
        leader.is_some_and(|leader| stat.pgrp == leader || stat.session == leader)
    }

    /// Whether the process carries the run's id and is of its user: nobody else can have it killed.
    fn is_marked(&self, process: &Process) -> bool {
        if !process.status().is_ok_and(|status| status.ruid == self.uid) {
            return false;
        }
        let mut environment = Vec::new();
        let path = format!("/proc/{}/environ", process.pid);
        let read = File::open(path).and_then(|file| file.take(MAX_ENVIRONMENT).read_to_end(&mut environment));
        read.is_ok() && environment.split_inclusive(|byte| *byte == 0).any(|variable| variable == self.mark)
    }
}
