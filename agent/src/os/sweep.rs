//! Finds processes as they appear, by looking through `/proc` once in a while.
//!
//! The kernel's process connector would tell of every process on the machine; a look each second costs less on a
//! busy host, needs no privilege, and is soon enough for people.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read,
};

use super::process;

/// What is remembered of a process between two looks.
struct Seen {
    /// In which look it was last seen.
    look: u64,
    /// Its short name, which changes when it executes another program.
    name: [u8; 16],
    /// A thread of the kernel, which never becomes a program.
    kernel: bool,
}

/// Remembers what it saw, so that each look costs little.
#[derive(Default)]
pub struct Sweep {
    seen: HashMap<u32, Seen>,
    look: u64,
    forget: bool,
}

impl Sweep {
    /// Looks through all processes and calls `examine` with the id and the arguments of each that is new, that has
    /// become another program, or that is a JVM (a JVM may be started by another JVM without a change of name).
    pub fn look(&mut self, mut examine: impl FnMut(u32, &[String])) {
        self.look += 1;
        if std::mem::take(&mut self.forget) {
            self.seen.clear();
        }
        let Ok(entries) = fs::read_dir("/proc") else { return };
        for pid in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            if let Some(seen) = self.seen.get_mut(&pid)
                && seen.kernel
            {
                seen.look = self.look;
                continue;
            }
            let Some(name) = name(pid) else { continue };
            let known = self.seen.get(&pid).is_some_and(|seen| seen.name == name);
            if known && !name.starts_with(b"java\n") {
                if let Some(seen) = self.seen.get_mut(&pid) {
                    seen.look = self.look;
                }
                continue;
            }
            let Some(arguments) = process::command_line(pid) else { continue };
            let kernel = arguments.is_empty() && process::stat(pid).is_some_and(process::Stat::is_kernel);
            // While a program is being executed there are no arguments yet: such a process is examined again.
            if kernel || !arguments.is_empty() {
                self.seen.insert(pid, Seen { look: self.look, name, kernel });
            }
            if !arguments.is_empty() {
                examine(pid, &arguments);
            }
        }
        let look = self.look;
        self.seen.retain(|_, seen| seen.look == look);
    }

    /// Makes the next look examine everything again.
    pub fn forget(&mut self) {
        self.forget = true;
    }
}

/// Looks through all processes once, and calls `examine` with the id and the arguments of each.
pub fn look_once(examine: impl FnMut(u32, &[String])) {
    Sweep::default().look(examine);
}

fn name(pid: u32) -> Option<[u8; 16]> {
    let mut name = [0; 16];
    let length = File::open(format!("/proc/{pid}/comm")).ok()?.read(&mut name).ok()?;
    (length > 0).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_examined_when_it_appears_and_when_it_becomes_another() {
        let mut sweep = Sweep::default();
        sweep.look(|_, _| {});
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read x; exec sleep 61"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let mut seen = Vec::new();
        let mut look_until = |sweep: &mut Sweep, word: &str| {
            let started = std::time::Instant::now();
            while started.elapsed() < std::time::Duration::from_secs(5) {
                sweep.look(|found, arguments| {
                    if found == pid {
                        seen.push(arguments[0].clone());
                    }
                });
                if seen.last().is_some_and(|last| last == word) {
                    return true;
                }
            }
            false
        };
        assert!(look_until(&mut sweep, "sh"));
        drop(child.stdin.take());
        assert!(look_until(&mut sweep, "sleep"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
