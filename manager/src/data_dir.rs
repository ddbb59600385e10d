//! The manager's data directory: made on the first start, used by one manager at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

/// What shows that a directory is a manager's.
const OWN: [&str; 2] = ["lock", "grid.db"];

/// What an empty file system may hold.
const LOST_AND_FOUND: &str = "lost+found";

/// The data directory of this manager. Dropping it lets another manager use it.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// What a manager that serves tells about itself.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// Where the dashboard and the API are.
    pub url: String,
    /// The Unix socket.
    pub socket: PathBuf,
    /// The grid's name.
    pub grid: String,
    /// The manager's process.
    pub pid: u32,
}

impl DataDir {
    /// Makes the directory where it is missing, and locks it. One that is there must be empty, or a manager's own and
    /// private: keys would lie open in any other, and what else is in it is not this program's to close.
    pub fn open(path: &Path) -> Result<Self> {
        make_private(path).with_context(|| format!("create the data directory {}", path.display()))?;
        let entries = fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let entries = entries.with_context(|| format!("read the data directory {}", path.display()))?;
        let mode = fs::metadata(path)?.permissions().mode();
        if entries.iter().all(|entry| entry.file_name() == LOST_AND_FOUND) {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("protect the data directory {}", path.display()))?;
        } else if !entries.iter().any(|entry| OWN.iter().any(|own| entry.file_name() == *own)) {
            bail!(
                "{} is no data directory of a manager, and not empty: give a directory of its own with --data",
                path.display()
            );
        } else if mode & 0o077 != 0 {
            bail!(
                "the data directory {0} is open to other users, and keys are in it: `chmod 700 {0}` closes it",
                path.display()
            );
        }
        let lock = File::create(path.join("lock")).with_context(|| format!("write into {}", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "another manager holds the data directory {}: stop it, or give this one another with --data",
                path.display()
            );
        }
        let path = fs::canonicalize(path)?;
        make_private(&path.join("pki")).context("create the directory of the keys")?;
        // A file of an earlier run would speak for this one.
        let _absent = fs::remove_file(path.join("ready.json"));
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the keys are.
    pub fn pki(&self) -> PathBuf {
        self.path.join("pki")
    }

    /// Says that the manager serves.
    pub fn write_ready(&self, ready: &Ready) -> Result<()> {
        write_private(&self.path.join("ready.json"), &serde_json::to_vec_pretty(ready)?)
    }

    /// Takes back that the manager serves.
    pub fn remove_ready(&self) {
        // It may have been removed by hand.
        let _absent = fs::remove_file(self.path.join("ready.json"));
    }
}

/// Makes a directory, and those above it, where they are missing.
fn make_private(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file for the owner's eyes only, so that after a crash either the old or the new content is there.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    write().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_manager_holds_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path()).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("another manager holds"), "{error}");
        drop(first);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_directory_of_others_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mode = || fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777;
        let set_mode = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        set_mode(0o755);
        fs::write(dir.path().join("index.html"), "").unwrap();
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("and not empty"), "{error}");
        assert_eq!(mode(), 0o755);

        fs::remove_file(dir.path().join("index.html")).unwrap();
        fs::create_dir(dir.path().join("lost+found")).unwrap();
        DataDir::open(dir.path()).unwrap();
        assert_eq!(mode(), 0o700);

        set_mode(0o750);
        let error = DataDir::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is open to other users"), "{error}");
        set_mode(0o700);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn files_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.pem");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
