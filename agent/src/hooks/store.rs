//! The hook programs that are on the machine: one file for each, named by its hash.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use runner::Program;
use tokio::sync::Notify;

/// The beginning of the names of files that are being fetched.
pub const UNFINISHED: &str = ".new-";

/// The programs, shared by who fetches and who runs them.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    wanted: Arc<Mutex<BTreeSet<String>>>,
    doubted: Arc<Notify>,
}

impl Store {
    /// Opens the directory of programs in a state directory, and removes what was fetched by half.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let dir = state_dir.join("programs");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let store = Self { dir, wanted: Arc::default(), doubted: Arc::default() };
        store.remove_if(|name| name.starts_with(UNFINISHED))?;
        Ok(store)
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Nothing in here can be left half done by a panic.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where programs are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sets which programs may be there, and removes all others.
    pub fn want(&self, hashes: BTreeSet<String>) -> io::Result<()> {
        *self.wanted() = hashes.clone();
        self.remove_if(|name| !hashes.contains(name) && !name.starts_with(UNFINISHED))
    }

    /// Whether a program may be there.
    pub fn is_wanted(&self, hash: &str) -> bool {
        self.wanted().contains(hash)
    }

    /// Reads and verifies a program that is to run. One that is not what it should be is told to who keeps them. Blocks.
    pub fn get(&self, hash: &str) -> Result<Program, String> {
        if !self.is_wanted(hash) {
            return Err("the program is not one that the manager has announced for this machine".to_owned());
        }
        self.check(hash).map_err(|why| {
            self.doubted.notify_one();
            format!("{why}; it is fetched again, so try it again in a moment")
        })
    }

    /// Reads and verifies a program. Blocks.
    pub fn check(&self, hash: &str) -> Result<Program, String> {
        Program::verify(&self.dir.join(hash), hash).map_err(|error| error.to_string())
    }

    /// Waits until a program was not what it should be when it was to run.
    pub async fn doubted(&self) {
        self.doubted.notified().await;
    }

    fn remove_if(&self, unwanted: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(&unwanted) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_wanted_is_kept_and_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (good, other) = (runner::program::hash(b"#!/bin/sh\n"), runner::program::hash(b"x"));
        fs::write(store.dir().join(&good), "#!/bin/sh\n").unwrap();
        fs::write(store.dir().join(&other), "x").unwrap();
        assert!(store.get(&good).is_err(), "nothing is wanted yet");
        store.want([good.clone()].into()).unwrap();
        assert!(store.get(&good).is_ok());
        assert!(store.get(&other).is_err());
        assert_eq!(fs::read_dir(store.dir()).unwrap().count(), 1);
        fs::write(store.dir().join(&good), "#!/bin/sh\ntrue\n").unwrap();
        assert!(store.get(&good).err().unwrap().contains("was changed"));
        store.doubted().await;
    }
}
