//! The agent's state directory: who it is, and that only one agent uses it.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use protocol::{join::JoinResponse, statement::Statement};
use rustix::fs::{FlockOperation, flock};
use serde::{Serialize, de::DeserializeOwned};

use crate::os::{
    files::{read_bounded, write_atomically},
    users,
};

/// The largest file of the state directory, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The state directory of this agent. Dropping its last copy lets another agent use it.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
    _lock: Arc<File>,
}

impl StateDir {
    /// Creates the directory where it is missing, and locks it. One that is there stays as it is: it must be the
    /// agent's own.
    pub fn open(path: &Path) -> Result<Self> {
        make(path)?;
        let data = fs::metadata(path).with_context(|| format!("look at the state directory {}", path.display()))?;
        if data.uid() != users::current() {
            bail!(
                "the state directory {} belongs to `{}`, and the agent runs as `{}`: give it one of its own with --state",
                path.display(),
                users::shown(data.uid()),
                users::shown(users::current())
            );
        }
        if data.mode() & 0o022 != 0 {
            bail!("others can write the state directory {}: `chmod go-w` it, or give another", path.display());
        }
        make(&path.join("instances"))?;
        // Where an operator puts secrets for hooks.
        make(&path.join("secrets"))?;
        let lock = File::create(path.join("lock")).with_context(|| format!("write into {}", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!(
                "another agent uses the state directory {}: give each agent one of its own with --state",
                path.display()
            );
        }
        // Where it cannot be told which orders are open, all marks are kept.
        if let Some(open) = crate::instance::memory::Memory::unresolved(path) {
            crate::tomcat::mark::tidy(path, &open);
        }
        let path = fs::canonicalize(path)?;
        Ok(Self { path, _lock: Arc::new(lock) })
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

fn make(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("create the state directory {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_of_others_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(StateDir::open(dir.path()).unwrap_err().to_string().contains("others can write"));
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o777);
        if users::current() == 0 {
            std::os::unix::fs::chown(dir.path(), Some(1), None).unwrap();
            assert!(StateDir::open(dir.path()).unwrap_err().to_string().contains("belongs to"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

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
