//! The directory of one run: the private copy of its program, and the directory that it works in.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::PathBuf,
};

use rustix::fs::StatVfsMountFlags;
use uuid::Uuid;

use crate::{account::Account, program::Program, removal};

/// The directory of one run. Removed when it is dropped, which blocks.
pub(crate) struct Room {
    path: PathBuf,
    /// The program, which the run's user can execute and not change.
    pub(crate) program: PathBuf,
    /// Where the program works; it belongs to the run's user.
    pub(crate) work: PathBuf,
    /// Where the launcher says how far it came; nobody else can read it.
    pub(crate) note: PathBuf,
}

/// Where rooms may be.
fn houses() -> impl Iterator<Item = PathBuf> {
    [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into(), "/dev/shm".into(), "/run".into()].into_iter()
}

/// A directory for the rooms that every user can go through and that lets programs be executed: the data of managers
/// and agents is closed to others, and some hosts let nothing be executed in `/tmp`. Nobody else may be able to put
/// another directory in a room's place.
fn house() -> io::Result<PathBuf> {
    let is_good = |path: &PathBuf| {
        rustix::fs::statvfs(path).is_ok_and(|stat| !stat.f_flag.contains(StatVfsMountFlags::NOEXEC))
            && path.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|data| is_safe(&data)))
            && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
    };
    houses().find(is_good).ok_or_else(|| {
        io::Error::other(
            "none of /tmp, /var/tmp, /dev/shm and /run can be written to, lets programs be executed, and keeps others from \
             replacing what is in it (mode 1777, owner root)",
        )
    })
}

/// Whether a directory can be gone through, and what is in it can be replaced only by its owner, by root, or by nobody.
fn is_safe(data: &fs::Metadata) -> bool {
    let (mode, own) = (data.permissions().mode(), rustix::process::geteuid().as_raw());
    mode & 0o001 != 0 && (mode & 0o022 == 0 || mode & 0o1000 != 0) && (data.uid() == 0 || data.uid() == own)
}

fn name_of(run: Uuid) -> String {
    format!("tomcat-grid-hook-{}", run.simple())
}

impl Room {
    /// Makes the directory of a run. Blocks.
    pub(crate) fn make(run: Uuid, name: &str, program: &Program, account: Option<&Account>) -> io::Result<Self> {
        let path = house()?.join(name_of(run));
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
        // Set by hand: the process may be told by its mask to keep what it makes to itself. Only the run's own group gets
        // in: programs and their names concern nobody else.
        let (file, bin, dir) = match account.filter(|_| rustix::process::geteuid().is_root()) {
            Some(account) => {
                for path in [&room.program, &path.join("bin"), &path] {
                    std::os::unix::fs::chown(path, None, Some(account.gid))?;
                }
                (0o550, 0o710, 0o710)
            }
            None => (0o500, 0o700, 0o700),
        };
        fs::set_permissions(&room.program, Permissions::from_mode(file))?;
        fs::set_permissions(path.join("bin"), Permissions::from_mode(bin))?;
        fs::set_permissions(&path, Permissions::from_mode(dir))?;
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
        if let (Some(house), Some(name)) = (self.path.parent(), self.path.file_name().and_then(|name| name.to_str())) {
            removal::remove(house, name);
        }
    }
}

/// Removes the directory of a run whose runner ended before it did. Blocks for a limited time.
pub(crate) fn remove_left_behind(run: Uuid) {
    for house in houses() {
        removal::remove(&house, &name_of(run));
    }
}
