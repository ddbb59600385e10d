//! Measures how often a process wakes up, as `strace` sees it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    processes::{self, Signal},
    wait,
};

/// What happens within this time of a wake-up belongs to it: answers follow questions.
const ONE: f64 = 0.25;

/// A wait shorter than this is none: a runtime asks for events in passing.
const BLOCKED: f64 = 0.001;

/// The wake-ups of a process during a time.
#[derive(Debug)]
pub struct WakeUps {
    /// The time that was measured, in seconds.
    pub seconds: f64,
    /// How many there were.
    pub count: usize,
}

impl WakeUps {
    /// Watches a process for at least `time`. The log is kept in `dir` for whoever wonders.
    pub fn measure(pid: u32, time: Duration, dir: &Path) -> Self {
        let log = tempfile::Builder::new().prefix("strace-").tempfile_in(dir).expect("a log");
        let log = log.into_temp_path().keep().expect("a log");
        let mut strace = Command::new("strace")
            .args(["-f", "-ttt", "-T", "-e", "trace=epoll_wait,epoll_pwait,epoll_pwait2", "-o"])
            .arg(&log)
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed");
        let long_enough = || {
            let moments = moments(&fs::read_to_string(&log).ok()?);
            let seconds = moments.last()? - moments.first()?;
            (seconds >= time.as_secs_f64()).then(|| Self { seconds, count: count(&moments) })
        };
        let measured = wait::within(time * 3, long_enough);
        processes::send(strace.id(), Signal::INT);
        strace.wait().expect("strace has ended");
        measured
            .unwrap_or_else(|| panic!("strace has not seen enough: {}", fs::read_to_string(&log).unwrap_or_default()))
    }
}

/// When waits for events ended, from lines such as `4711 1700000000.123456 epoll_wait(3, [], 1024, 900) = 0 <0.900123>`.
fn moments(log: &str) -> Vec<f64> {
    let read = |line: &str| {
        let (call, took) = line.trim_end().strip_suffix('>')?.rsplit_once('<')?;
        let took: f64 = took.parse().ok()?;
        let written: f64 = call.split_ascii_whitespace().nth(1)?.parse().ok()?;
        // A call that was interrupted in the log is written at its end, others at their beginning.
        let ended = if call.contains("resumed") { written } else { written + took };
        (took >= BLOCKED).then_some(ended)
    };
    log.lines().filter_map(read).collect()
}

fn count(moments: &[f64]) -> usize {
    let mut last = f64::NEG_INFINITY;
    let mut count = 0;
    for &moment in moments {
        if moment - last >= ONE {
            last = moment;
            count += 1;
        }
    }
    count
}
