//! What the supervisor wants to know of the file system. Everything here may block, on a storage that hangs even for
//! ever, so it is asked off the runtime.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use protocol::limits::{MAX_INSTANCES, MAX_PATH};
use uuid::Uuid;

use super::{
    claims::{self, Claimed},
    discovery,
};
use crate::{
    config::{Instance, Settings},
    instance::task::Found,
    os::{process, users},
    tomcat::installation,
};

/// Who looks, and for whom.
#[derive(Clone)]
pub struct Looker {
    /// The agent's settings.
    pub settings: Arc<Settings>,
    /// The grid that instances are claimed for.
    pub grid: Uuid,
    /// Its name.
    pub grid_name: String,
}

/// What a look brought.
pub enum Looked {
    /// The whole file system.
    Files(Discovery),
    /// A process.
    Process(Found, Verdict),
}

/// What the file system holds.
pub struct Discovery {
    /// The bases that were not known, and what came of claiming them.
    pub fresh: Vec<(PathBuf, Claimed)>,
    /// The known bases that are not there.
    pub missing: BTreeSet<PathBuf>,
    /// The declarations, by the real paths of their bases.
    pub declarations: BTreeMap<PathBuf, Instance>,
    /// What an operator should know.
    pub notes: BTreeSet<String>,
}

/// What a process that calls itself a Tomcat is.
#[derive(Debug)]
pub enum Verdict {
    /// The process of this base; with what came of claiming it, where it was not known.
    Of(PathBuf, Option<Claimed>),
    /// None to be followed; with what an operator should know.
    Stranger(Option<String>),
}

impl Looker {
    /// Looks through the roots and the declarations.
    pub fn discover(&self, known: &BTreeSet<PathBuf>) -> Discovery {
        let found = discovery::look(&self.settings);
        let room = MAX_INSTANCES.saturating_sub(known.len());
        let unknown = found.bases.into_iter().filter(|base| !known.contains(base));
        let fresh = unknown.take(room).map(|base| {
            let claimed = self.claim(&base);
            (base, claimed)
        });
        let is_missing = |base: &&PathBuf| {
            fs::metadata(base.join("conf")).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        Discovery {
            fresh: fresh.collect(),
            missing: known.iter().filter(is_missing).cloned().collect(),
            declarations: discovery::declarations(&self.settings),
            notes: found.notes.into_iter().collect(),
        }
    }

    /// Judges a process.
    pub fn examine(
        &self,
        found: &Found,
        known: &BTreeSet<PathBuf>,
        declarations: &BTreeMap<PathBuf, Instance>,
    ) -> Verdict {
        let (pid, base) = (found.key.pid, Path::new(&found.command_line.base));
        if !process::same_root(pid) {
            let note = format!(
                "process {pid} says that it is the Tomcat of {}, but lives in a container: that path is not of this \
                 machine, so it is not followed",
                base.display()
            );
            return Verdict::Stranger(Some(note));
        }
        let Ok(base) = fs::canonicalize(base) else { return Verdict::Stranger(None) };
        let is_known = known.contains(&base);
        if !is_known && (!self.settings.discover_processes || discovery::is_excluded(&base, &self.settings)) {
            return Verdict::Stranger(None);
        }
        let declared = declarations.get(&base).and_then(|declared| declared.user.as_deref());
        let configured = declared.or(self.settings.tomcat.user.as_deref());
        if !installation::trusted_users(&base, configured).contains(&found.uid) {
            let note = format!(
                "process {pid} of `{}` says that it is the Tomcat of {}, whose files belong to others: it is not believed",
                users::shown(found.uid),
                base.display()
            );
            return Verdict::Stranger(Some(note));
        }
        let claimed = (!is_known).then(|| self.claim(&base));
        Verdict::Of(base, claimed)
    }

    fn claim(&self, base: &Path) -> Claimed {
        if base.to_str().is_none_or(|base| base.len() > MAX_PATH) {
            let why = format!("{} is left alone: its path is no UTF-8 text, or too long", base.display());
            return Claimed::Other(why);
        }
        claims::claim(base, self.grid, &self.grid_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn only_what_is_surely_not_there_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("there/conf")).unwrap();
        fs::create_dir(path("without")).unwrap();
        fs::write(path("file"), "").unwrap();
        let flags = Flags {
            manager: vec!["https://localhost:1".to_owned()],
            roots: vec![path("no-root")],
            state: Some(path("state")),
            ..Flags::default()
        };
        let settings = Arc::new(Settings::resolve(flags).unwrap());
        let looker = Looker { settings, grid: Uuid::nil(), grid_name: "test".to_owned() };
        // What lies below a file answers with another error, as a storage does that is out of order.
        let known = ["there", "without", "never", "file"].map(path).into();
        assert_eq!(looker.discover(&known).missing, ["never", "without"].map(path).into());
    }
}
