//! How a process ended, put together from what evidence there is.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use protocol::state::Action;

/// What is known of the end of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The exit code, which only a parent or systemd learns.
    pub code: Option<i32>,
    /// The signal that ended it, which only a parent or systemd learns.
    pub signal: Option<i32>,
    /// What the grid signalled to it last.
    pub signalled: Option<Action>,
    /// Whether the JVM tidied up behind itself.
    pub orderly: Option<bool>,
    /// Whether nobody was there to see it.
    pub away: bool,
    /// Whether the machine has booted since.
    pub rebooted: bool,
    /// Whether it had come up.
    pub has_answered: bool,
}

impl Evidence {
    /// What the parent of a process learns.
    pub fn of_status(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal(), ..Default::default() }
    }
}

/// Whether somebody wanted it to end, and how it ended, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Whether somebody wanted it.
    pub wanted: bool,
    /// In words.
    pub how: String,
}

/// Puts the evidence together.
pub fn describe(evidence: Evidence) -> Ending {
    let wanted = |how: &str| Ending { wanted: true, how: how.to_owned() };
    let unwanted = |how: String| Ending { wanted: false, how };
    match (evidence.signalled, evidence.code, evidence.signal, evidence.orderly) {
        (Some(Action::Kill), ..) => wanted("killed by the grid"),
        (Some(Action::Stop), _, Some(9), _) => wanted("told to stop by the grid, then killed by signal 9 (SIGKILL)"),
        (Some(Action::Stop), ..) => wanted("stopped by the grid"),
        (_, Some(code @ (129 | 130 | 143)), _, _) => {
            wanted(&format!("stopped from outside the grid by {} (exit code {code})", signal_name(code - 128)))
        }
        (_, _, Some(signal @ (1 | 2 | 15)), _) => {
            wanted(&format!("stopped from outside the grid by {}", signal_name(signal)))
        }
        (_, Some(0), _, _) if evidence.has_answered => wanted("ended in order (exit code 0), not by the grid"),
        (_, Some(code), _, _) if !evidence.has_answered => {
            unwanted(format!("ended while starting, with exit code {code}: see logs/catalina.out"))
        }
        (_, Some(code), _, _) => unwanted(format!("ended by itself with exit code {code}")),
        (_, _, Some(signal), _) => unwanted(format!("killed from outside the grid by {}", signal_name(signal))),
        (_, _, _, Some(true)) if evidence.has_answered => wanted("ended in order, not by the grid"),
        (_, _, _, Some(true)) => unwanted("ended while starting: see its log".to_owned()),
        (_, _, _, Some(false)) => unwanted("killed or crashed: it ended without tidying up".to_owned()),
        _ if evidence.rebooted => wanted("ended with the machine's restart"),
        (_, None, None, None) if evidence.away => {
            unwanted("ended while the agent was away; how could not be known".to_owned())
        }
        (_, None, None, None) => unwanted("ended; how could not be known".to_owned()),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_and_a_wanted_stop_do_not_look_alike() {
        let up = Evidence { has_answered: true, ..Default::default() };
        for (evidence, wanted, words) in [
            (Evidence { signalled: Some(Action::Kill), signal: Some(9), ..up }, true, "killed by the grid"),
            (Evidence { signalled: Some(Action::Stop), code: Some(143), ..up }, true, "stopped by the grid"),
            (Evidence { signalled: Some(Action::Stop), signal: Some(9), ..up }, true, "then killed"),
            (Evidence { signalled: Some(Action::Start), signal: Some(9), ..up }, false, "signal 9 (SIGKILL)"),
            (Evidence { signal: Some(9), ..up }, false, "killed from outside"),
            (Evidence { signal: Some(11), ..up }, false, "SIGSEGV"),
            (Evidence { code: Some(143), ..up }, true, "outside the grid by signal 15 (SIGTERM)"),
            (Evidence { code: Some(0), ..up }, true, "in order"),
            (Evidence { code: Some(0), ..Default::default() }, false, "while starting"),
            (Evidence { code: Some(1), ..Default::default() }, false, "exit code 1"),
            (Evidence { code: Some(3), ..up }, false, "exit code 3"),
            (Evidence { orderly: Some(true), ..up }, true, "in order"),
            (Evidence { orderly: Some(true), ..Default::default() }, false, "while starting"),
            (Evidence { orderly: Some(false), ..up }, false, "crashed"),
            (up, false, "ended; how could not be known"),
            (Evidence { away: true, ..up }, false, "while the agent was away"),
            (Evidence { away: true, rebooted: true, ..up }, true, "with the machine's restart"),
            (Evidence { signalled: Some(Action::Stop), rebooted: true, ..up }, true, "stopped by the grid"),
        ] {
            let ending = describe(evidence);
            assert_eq!(ending.wanted, wanted, "{evidence:?}");
            assert!(ending.how.contains(words), "{evidence:?}: {}", ending.how);
        }
    }
}
