//! The runs on this host that have not ended: a small file for each in `DATA/runs`, called as the run, with the number of
//! the user that it runs as. So the next manager knows what this one leaves behind, however it ends, and the user, whom
//! the settings may name another by then.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::runtime::Handle;
use uuid::Uuid;

/// The runs.
#[derive(Debug, Clone)]
pub(super) struct BegunRuns {
    dir: Arc<PathBuf>,
}

impl BegunRuns {
    /// Opens the directory below the data directory, and makes it where it is missing. Blocks, as everything here does.
    pub(super) fn open(data: &Path) -> io::Result<Self> {
        let dir = data.join("runs");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Self { dir: Arc::new(dir) })
    }

    fn file(&self, run: Uuid) -> PathBuf {
        self.dir.join(run.to_string())
    }

    /// Notes that a run begins.
    pub(super) fn begin(&self, run: Uuid, uid: u32) -> io::Result<Begun> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.file(run))?;
        let begun = Begun { runs: self.clone(), run, is_ended: false };
        // It need not outlast the host, as the run does not.
        file.write_all(uid.to_string().as_bytes())?;
        Ok(begun)
    }

    /// Those that were begun and have not ended.
    pub(super) fn left(&self) -> io::Result<Vec<Uuid>> {
        let names = fs::read_dir(&*self.dir)?.map(|entry| Ok(entry?.file_name()));
        let names = names.collect::<io::Result<Vec<_>>>()?;
        Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
    }

    /// Kills what is left of a run, if it was begun and has not ended, and removes its directory. Takes seconds at most.
    pub(super) fn clear_up(&self, run: Uuid) {
        let Ok(uid) = fs::read_to_string(self.file(run)) else { return };
        // What the host lost at its own end has no process any more, and a directory at most.
        let uid = uid.parse().unwrap_or_else(|_| rustix::process::geteuid().as_raw());
        runner::clear_up(run, uid);
        self.forget(run);
    }

    fn forget(&self, run: Uuid) {
        match fs::remove_file(self.file(run)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%run, "cannot forget that a hook was begun: {error}");
            }
            _ => {}
        }
    }
}

/// A run that was begun. Where it is dropped before its end, what is left of it is cleared up: by this manager, or by the
/// next one if this one ends.
#[derive(Debug)]
pub(super) struct Begun {
    runs: BegunRuns,
    run: Uuid,
    is_ended: bool,
}

impl Begun {
    /// The run has ended.
    pub(super) fn end(mut self) {
        self.is_ended = true;
        self.runs.forget(self.run);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.is_ended {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (runs, run) = (self.runs.clone(), self.run);
            runtime.spawn_blocking(move || runs.clear_up(run));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt, process::Command};

    use super::*;

    #[test]
    fn what_was_begun_and_has_not_ended_is_known_to_the_next_manager_and_killed_as_its_user() {
        let data = tempfile::tempdir().unwrap();
        let runs = BegunRuns::open(data.path()).unwrap();
        let (run, ended) = (Uuid::now_v7(), Uuid::now_v7());
        // Another user than the one that runs hooks today.
        let own = rustix::process::geteuid();
        let uid = if own.is_root() { 65533 } else { own.as_raw() };
        let mut sleep = Command::new("sleep");
        sleep.arg("1000").env("TOMCAT_GRID_RUN", run.to_string()).uid(uid);
        let mut sleep = sleep.spawn().unwrap();
        drop(runs.begin(run, uid).unwrap());
        runs.begin(ended, uid).unwrap().end();

        let next = BegunRuns::open(data.path()).unwrap();
        assert_eq!(next.left().unwrap(), [run]);
        next.clear_up(run);
        assert!(!sleep.wait().unwrap().success(), "it was killed");
        assert!(next.left().unwrap().is_empty());
    }
}
