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

/// What happens within this time of a wake-up belongs to it: a coarse timer comes in two steps, and answers follow.
const ONE: f64 = 0.25;

/// A wait shorter than this is none: a runtime asks for events in passing.
const BLOCKED: f64 = 0.001;

/// The wake-ups of a process during a time.
#[derive(Debug)]
pub struct WakeUps {
    /// The time that was measured, in seconds.
    pub seconds: f64,
    /// By its own timers.
    pub by_timers: usize,
    /// By its own timers, or by events from outside.
    pub all: usize,
}

impl WakeUps {
    /// Watches a process for at least `time`. The log is kept in `dir` for whoever wonders.
    pub fn measure(pid: u32, time: Duration, dir: &Path) -> Self {
        let log = dir.join(format!("strace-{pid}.log"));
        let mut strace = Command::new("strace")
            .args(["-f", "-ttt", "-T", "-e", "trace=epoll_wait,epoll_pwait,epoll_pwait2", "-o"])
            .arg(&log)
            .args(["-p", &pid.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed");
        // A process that sleeps longer than this is measured as well, by its first sign of life afterwards.
        let long_enough = || {
            let returns = returns(&fs::read_to_string(&log).ok()?);
            let seconds = returns.last()?.at - returns.first()?.at;
            (seconds >= time.as_secs_f64()).then_some((returns, seconds))
        };
        let (returns, seconds) = wait::until("strace to have seen enough", time * 3, long_enough);
        processes::send(strace.id(), Signal::INT);
        strace.wait().expect("strace has ended");
        let by_timers = returns.iter().filter(|returned| returned.nothing).map(|returned| returned.at);
        Self { seconds, by_timers: count(by_timers), all: count(returns.iter().map(|returned| returned.at)) }
    }
}

/// The return of a wait for events.
struct Return {
    at: f64,
    /// It brought no event: the time was up.
    nothing: bool,
}

/// Reads lines such as `4711 1700000000.123456 epoll_wait(3, [], 1024, 900) = 0 <0.900123>`.
fn returns(log: &str) -> Vec<Return> {
    let read = |line: &str| {
        let (call, took) = line.trim_end().strip_suffix('>')?.rsplit_once('<')?;
        let took: f64 = took.parse().ok()?;
        let begun: f64 = call.split_ascii_whitespace().nth(1)?.parse().ok()?;
        // A call that was interrupted in the log has the time of its end.
        let at = if call.contains("resumed") { begun } else { begun + took };
        (took >= BLOCKED).then(|| Return { at, nothing: call.trim_end().ends_with("= 0") })
    };
    log.lines().filter_map(read).collect()
}

fn count(times: impl Iterator<Item = f64>) -> usize {
    let mut last = f64::NEG_INFINITY;
    times
        .filter(|&time| {
            time - last >= ONE && {
                last = time;
                true
            }
        })
        .count()
}
