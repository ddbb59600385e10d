//! The directory of one run: the private copy of its program, and the directory that it works in.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::fs::StatVfsMountFlags;
use uuid::Uuid;

use crate::{account::Account, program::Program};

/// How long the removal of a directory may take.
const LONGEST: Duration = Duration::from_secs(20);

/// How often a child that removes one is looked at.
const PAUSE: Duration = Duration::from_millis(5);

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
        remove(&self.path);
    }
}

/// Removes the directory of a run whose runner ended before it did.
pub(crate) fn remove_left_behind(run: Uuid) {
    for house in houses() {
        remove(&place(&house, run));
    }
}

/// Removes a directory with what a program left in it; links are not followed. Blocks for a limited time.
fn remove(path: &Path) {
    if !fs::symlink_metadata(path).is_ok_and(|data| data.is_dir()) || remove_tidy(path).is_ok() {
        return;
    }
    // A child, as what a program leaves may be nested deeper than this process has stack or descriptors for.
    let begun = Instant::now();
    let program = |name: &str, flags: &[&str]| {
        let program =
            [format!("/bin/{name}"), format!("/usr/bin/{name}")].into_iter().find(|it| Path::new(it).exists());
        let program = program.ok_or_else(|| io::Error::other(format!("there is no /bin/{name}")))?;
        let mut child = Command::new(program);
        child.args(flags).arg("--").arg(path).env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        wait(child.stderr(Stdio::null()).spawn()?, begun)
    };
    let rm = || program("rm", &["-rf", "--one-file-system"]);
    let removed = rm().or_else(|error| match error.kind() {
        io::ErrorKind::TimedOut => Err(error),
        // A program may close a directory of its own to itself.
        _ if rustix::process::geteuid().is_root() => Err(error),
        _ => program("chmod", &["-R", "u+rwx"]).and_then(|()| rm()),
    });
    if let Err(error) = removed {
        tracing::warn!("cannot remove {}: {error}", path.display());
    }
}

/// Removes a directory in which nothing was left behind.
fn remove_tidy(path: &Path) -> io::Result<()> {
    fs::remove_dir(path.join("work"))?;
    for entry in fs::read_dir(path.join("bin"))? {
        fs::remove_file(entry?.path())?;
    }
    fs::remove_dir(path.join("bin"))?;
    fs::remove_file(path.join("note"))?;
    fs::remove_dir(path)
}

/// Waits for a child until the time for it is up.
fn wait(mut child: Child, begun: Instant) -> io::Result<()> {
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("it could not be done: {status}"))),
            None if begun.elapsed() < LONGEST => std::thread::sleep(PAUSE),
            None => {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long: remove it by hand"));
            }
        }
    }
}
