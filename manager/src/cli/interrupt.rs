//! Whoever waits may have enough of it.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the process is told to end: by Ctrl-C, by a closed terminal, or by somebody else. What whoever started it
/// has switched off, as `nohup` does, stays so.
pub(crate) async fn told_to_end() {
    let ignored = ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
    let told = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut told) if !is_in(ignored, kind) => {
                told.recv().await;
            }
            // Then it ends as any process does, or not at all.
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        () = told(SignalKind::interrupt()) => {}
        () = told(SignalKind::terminate()) => {}
        () = told(SignalKind::hangup()) => {}
    }
}

/// The signals that a process ignores, as `/proc/PID/status` shows them: see proc(5).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn is_in(mask: u64, kind: SignalKind) -> bool {
    let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or(u32::MAX);
    1_u64.checked_shl(bit).is_some_and(|bit| mask & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_switches_off_is_known() {
        let mask = ignored("Name:\tsh\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\nSigCgt:\t0\n");
        assert!(is_in(mask, SignalKind::hangup()));
        assert!(!is_in(mask, SignalKind::terminate()) && !is_in(mask, SignalKind::interrupt()));
        assert_eq!(ignored("no such line"), 0);
    }
}
