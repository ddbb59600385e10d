//! What is remembered of the runs of hooks: one file for each, written before it begins and when it has ended.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use protocol::{
    hook::{HookEnd, HookFate},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::os::files::{read_bounded, write_atomically};

/// How many runs are remembered.
const MAX: usize = 512;

/// How long a run is remembered.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The largest file that is read, in bytes: output may be six times as long as JSON.
const MAX_FILE: u64 = 512 * 1024;

/// The memory of all runs.
#[derive(Debug, Clone)]
pub struct Memory {
    dir: PathBuf,
}

/// What is remembered of a run; without an end it was begun, and the agent ended before it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMemory {
    /// When it was begun.
    pub at: Timestamp,
    /// What the program is called.
    pub name: String,
    /// The user that it runs as.
    pub uid: u32,
    /// How it ended.
    pub end: Option<HookEnd>,
}

/// Runs that an earlier agent did not see the end of.
#[derive(Debug)]
#[must_use]
pub struct LeftBehind {
    memory: Memory,
    runs: Vec<(Uuid, RunMemory)>,
}

impl LeftBehind {
    /// Kills what is left of them, and removes their directories. The end of each is noted when that is done: an agent
    /// that ends before leaves it to the next one. Blocks, for seconds each.
    pub fn clear_up(self) {
        for (id, run) in self.runs {
            runner::clear_up(id, run.uid);
            let why = format!("the agent ended while the hook {} ran, and what was left of it was killed", run.name);
            let end = HookEnd { fate: HookFate::Unknown { why }, output: String::new(), dropped: 0, duration_ms: 0 };
            if let Err(error) = self.memory.put(id, &RunMemory { end: Some(end), ..run }) {
                tracing::error!(run = %id, "cannot remember the end of a hook: {error:#}");
            }
        }
    }
}

impl Memory {
    /// Opens the memory in a state directory. What is left of runs that an earlier agent did not see the end of is for
    /// [`LeftBehind::clear_up`]. Blocks.
    pub fn open(state_dir: &Path) -> io::Result<(Self, LeftBehind)> {
        let memory = Self { dir: state_dir.join("hooks") };
        DirBuilder::new().recursive(true).mode(0o700).create(&memory.dir)?;
        let mut runs = Vec::new();
        for (_, id) in memory.files()? {
            let Some(run) = memory.get(id).filter(|run| run.end.is_none()) else { continue };
            tracing::warn!(run = %id, hook = run.name, "the agent ended while this hook ran; what is left of it is killed");
            runs.push((id, run));
        }
        Ok((memory.clone(), LeftBehind { memory, runs }))
    }

    fn file(&self, id: Uuid) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    /// What is remembered of a run.
    pub fn get(&self, id: Uuid) -> Option<RunMemory> {
        let file = self.file(id);
        let content = match read_bounded(&file, MAX_FILE) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(damaged(&error)),
        };
        // A file that is damaged still says that there was a run.
        Some(serde_json::from_slice(&content).unwrap_or_else(|error| damaged(&error)))
    }

    /// Remembers a run; returns when that is on disk. Blocks.
    pub fn put(&self, id: Uuid, run: &RunMemory) -> Result<()> {
        write_atomically(&self.file(id), &serde_json::to_vec(run)?)
    }

    /// Forgets what is old, and what there is too much of; never a run that has not ended. Blocks.
    pub fn tidy(&self) -> io::Result<()> {
        let now = Timestamp::now();
        let mut files = self.files()?;
        files.sort_unstable();
        let mut too_many = files.len().saturating_sub(MAX);
        for (modified, id) in files {
            if too_many == 0 && now.since(modified) <= KEPT {
                return Ok(());
            }
            if self.get(id).is_none_or(|run| run.end.is_some()) {
                fs::remove_file(self.file(id))?;
                too_many = too_many.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// The runs, by when their files were written.
    fn files(&self) -> io::Result<Vec<(Timestamp, Uuid)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            let Some(id) = id else { continue };
            let modified = entry.metadata()?.modified()?;
            let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            files.push((Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)), id));
        }
        Ok(files)
    }
}

fn damaged(error: &dyn std::fmt::Display) -> RunMemory {
    let why = format!("it was begun, and what the agent remembered of it is damaged: {error}");
    let end = HookEnd { fate: HookFate::Unknown { why }, output: String::new(), dropped: 0, duration_ms: 0 };
    RunMemory { at: Timestamp::now(), name: String::new(), uid: 0, end: Some(end) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(end: Option<HookEnd>) -> RunMemory {
        RunMemory { at: Timestamp::now(), name: "drain".to_owned(), uid: crate::os::users::current(), end }
    }

    #[test]
    fn a_run_that_nobody_saw_the_end_of_ends_when_it_was_cleared_up() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, _nothing) = Memory::open(dir.path()).unwrap();
        let (begun, ended) = (Uuid::new_v4(), Uuid::new_v4());
        let end = HookEnd { fate: HookFate::Ran { exit_code: 3 }, output: "x".into(), dropped: 0, duration_ms: 1 };
        memory.put(begun, &run(None)).unwrap();
        memory.put(ended, &run(Some(end.clone()))).unwrap();
        let mut sleep = Command::new("sleep").arg("1000").env("TOMCAT_GRID_RUN", begun.to_string()).spawn().unwrap();
        // One that ends before it is done, and then another.
        for is_last in [false, true] {
            let (memory, left_behind) = Memory::open(dir.path()).unwrap();
            assert_eq!(memory.get(ended).unwrap().end, Some(end.clone()));
            assert_eq!(memory.get(begun).unwrap().end, None);
            assert!(sleep.try_wait().unwrap().is_none());
            if is_last {
                left_behind.clear_up();
            }
        }
        assert!(!sleep.wait().unwrap().success(), "it was killed");
        assert!(matches!(memory.get(begun).unwrap().end.unwrap().fate, HookFate::Unknown { .. }));
        assert!(Memory::open(dir.path()).unwrap().1.runs.is_empty());
        assert_eq!(memory.get(Uuid::nil()), None);
        fs::write(memory.file(ended), "{").unwrap();
        assert!(matches!(memory.get(ended).unwrap().end.unwrap().fate, HookFate::Unknown { .. }));
    }

    #[test]
    fn only_so_many_runs_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, _) = Memory::open(dir.path()).unwrap();
        for _ in 0..MAX + 3 {
            fs::write(memory.file(Uuid::new_v4()), "{}").unwrap();
        }
        memory.tidy().unwrap();
        assert_eq!(memory.files().unwrap().len(), MAX);
    }

    #[test]
    fn one_that_still_runs_is_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, _) = Memory::open(dir.path()).unwrap();
        let runs = Uuid::new_v4();
        memory.put(runs, &run(None)).unwrap();
        let old = std::time::SystemTime::now() - 2 * KEPT;
        fs::File::options().write(true).open(memory.file(runs)).unwrap().set_modified(old).unwrap();
        for _ in 0..MAX + 3 {
            fs::write(memory.file(Uuid::new_v4()), "{}").unwrap();
        }
        memory.tidy().unwrap();
        assert_eq!(memory.files().unwrap().len(), MAX);
        assert_eq!(memory.get(runs).unwrap().end, None);
    }
}
