//! What the machine is.

use std::fs;

use protocol::report::MachineFacts;

use crate::{
    config::Permission,
    os::{clock, systemd, users},
};

/// Gathers the facts of the machine, with what an operator should know of it.
pub fn gather(allow: &[Permission], notes: Vec<String>) -> MachineFacts {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let mut facts = MachineFacts {
        hostname: text(system.nodename()),
        os: os_name(),
        kernel: text(system.release()),
        arch: text(system.machine()),
        cpus: std::thread::available_parallelism().map_or(0, |count| u32::try_from(count.get()).unwrap_or(0)),
        memory: memory(),
        boot_id: clock::boot_id(),
        user: users::shown(users::current()),
        systemd: systemd::is_running(),
        allow: allow.iter().map(|permission| permission.as_str().to_owned()).collect(),
        notes,
    };
    facts.clip();
    facts
}

/// The host name.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn os_name() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

fn memory() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
