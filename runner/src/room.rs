//! The directory of one run: the private copy of its program, and the directory that it works in.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::StatVfsMountFlags;
use uuid::Uuid;

use crate::{account::Account, program::Program};

/// The directory of one run. Removed when it is dropped.
pub(crate) struct Room {
    path: PathBuf,
    /// The program, which the run's user can execute and not change.
    pub(crate) program: PathBuf,
    /// Where the program works; it belongs to the run's user.
    pub(crate) work: PathBuf,
    /// Where the launcher says how far it came; nobody else can read it.
    pub(crate) note: PathBuf,
}

/// A directory for the rooms that every user can go through and that lets programs be executed: the data of managers
/// and agents is closed to others, and some hosts let nothing be executed in `/tmp`.
fn house() -> io::Result<PathBuf> {
    let candidates = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into(), "/dev/shm".into(), "/run".into()];
    let is_good = |path: &PathBuf| {
        rustix::fs::statvfs(path).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::NOEXEC))
            && path.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|data| data.permissions().mode() & 0o001 != 0))
            && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
    };
    candidates.into_iter().find(is_good).ok_or_else(|| {
        io::Error::other("neither of /tmp, /var/tmp, /dev/shm and /run can be written to and lets programs be executed")
    })
}

fn place(house: &Path, run: Uuid) -> PathBuf {
    house.join(format!("tomcat-grid-hook-{}", run.simple()))
}

impl Room {
    /// Makes the directory of a run. Blocks.
    pub(crate) fn make(run: Uuid, name: &str, program: &Program, account: Option<&Account>) -> io::Result<Self> {
        let path = place(&house()?, run);
        DirBuilder::new().mode(0o700).create(&path)?;
        let room = Self {
            program: path.join("bin").join(name),
            work: path.join("work"),
            note: path.join("note"),
            path: path.clone(),
        };
        DirBuilder::new().mode(0o700).create(path.join("bin"))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(&room.program)?;
        file.write_all(program.bytes())?;
        drop(file);
        DirBuilder::new().mode(0o700).create(&room.work)?;
        if let Some(account) = account {
            std::os::unix::fs::chown(&room.work, Some(account.uid), Some(account.gid))?;
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&room.note)?;
        // Set by hand: the process may be told by its mask to keep what it makes to itself.
        fs::set_permissions(&room.program, Permissions::from_mode(0o555))?;
        fs::set_permissions(path.join("bin"), Permissions::from_mode(0o755))?;
        fs::set_permissions(&path, Permissions::from_mode(0o711))?;
        Ok(room)
    }

    /// What the launcher noted.
    pub(crate) fn noted(&self) -> String {
        use std::io::Read;
        let mut text = String::new();
        let read = File::open(&self.note).and_then(|file| file.take(4096).read_to_string(&mut text));
        if read.is_err() { String::new() } else { text }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes the directory of a run whose runner ended before it did.
pub(crate) fn remove_left_behind(run: Uuid) {
    if let Ok(house) = house() {
        remove(&place(&house, run));
    }
}

/// Removes a directory with what a program left in it; links are not followed.
fn remove(path: &Path) {
    let removed = fs::remove_dir_all(path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        // A program may close a directory of its own to itself.
        _ => {
            open_up(path, 64);
            fs::remove_dir_all(path)
        }
    });
    if let Err(error) = removed {
        tracing::warn!("cannot remove {}: {error}", path.display());
    }
}

/// Makes directories writable for their owner, which is who removes them: root needs none of this.
fn open_up(path: &Path, depth: u32) {
    if !fs::symlink_metadata(path).is_ok_and(|data| data.is_dir()) || rustix::process::geteuid().is_root() {
        return;
    }
    let _not_ours = fs::set_permissions(path, Permissions::from_mode(0o700));
    if let Some(depth) = depth.checked_sub(1) {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            open_up(&entry.path(), depth);
        }
    }
}
