//! The agent's state directory: who it is, and that only one agent uses it.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use protocol::{join::JoinResponse, statement::Statement};
use rustix::fs::{FlockOperation, flock};
use serde::{Serialize, de::DeserializeOwned};

use crate::os::files::{read_bounded, write_atomically};

/// The largest file of the state directory, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The state directory of this agent. Dropping it lets another agent use it.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Creates the directory where it is missing, and locks it.
    pub fn open(path: &Path) -> Result<Self> {
        for dir in [path.to_path_buf(), path.join("instances")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .with_context(|| format!("create the state directory {}", dir.display()))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("protect the state directory {}", path.display()))?;
        let lock = File::create(path.join("lock")).with_context(|| format!("write into {}", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "another agent uses the state directory {}: give each agent one of its own with --state",
                path.display()
            );
        }
        let path = fs::canonicalize(path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The agent's private key (PEM), once it was made.
    pub fn key(&self) -> Result<Option<String>> {
        self.read_text("key.pem")
    }

    /// Stores the private key.
    pub fn store_key(&self, pem: &str) -> Result<()> {
        write_atomically(&self.path.join("key.pem"), pem.as_bytes())
    }

    /// What the agent got when it joined, with the certificate renewed since.
    pub fn membership(&self) -> Result<Option<JoinResponse>> {
        self.read_json("membership.json")
    }

    /// Stores what it got when it joined.
    pub fn store_membership(&self, membership: &JoinResponse) -> Result<()> {
        self.write_json("membership.json", membership)
    }

    /// The statement of the highest epoch seen.
    pub fn highest(&self) -> Result<Option<Statement>> {
        self.read_json("epoch.json")
    }

    /// Stores the statement of the highest epoch seen.
    pub fn store_highest(&self, statement: &Statement) -> Result<()> {
        self.write_json("epoch.json", statement)
    }

    /// The link secret to show next.
    pub fn link_secret(&self) -> Result<Option<String>> {
        self.read_text("link-secret")
    }

    /// Stores the link secret to show next.
    pub fn store_link_secret(&self, secret: &str) -> Result<()> {
        write_atomically(&self.path.join("link-secret"), secret.as_bytes())
    }

    fn read_text(&self, name: &str) -> Result<Option<String>> {
        let path = self.path.join(name);
        match read_bounded(&path, MAX_FILE) {
            Ok(content) => {
                Ok(Some(String::from_utf8(content).with_context(|| format!("{} is damaged", path.display()))?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let text = self.read_text(name)?;
        text.map(|text| serde_json::from_str(&text)).transpose().with_context(|| {
            format!("{} is damaged: restore it, or empty the directory and join again", self.path.join(name).display())
        })
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_atomically(&self.path.join(name), &serde_json::to_vec_pretty(value)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_agent_uses_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        assert!(StateDir::open(dir.path()).unwrap_err().to_string().contains("another agent"));
        drop(first);
        StateDir::open(dir.path()).unwrap();
    }

    #[test]
    fn the_directory_is_private_and_remembers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/state");
        let state = StateDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(state.key().unwrap(), None);
        state.store_key("key").unwrap();
        assert_eq!(state.key().unwrap().as_deref(), Some("key"));
        fs::write(path.join("epoch.json"), "{").unwrap();
        assert!(state.highest().unwrap_err().to_string().contains("damaged"));
    }
}
