//! Removes the directory of a run with whatever a program left in it.
//!
//! It is done from directories that are held open, one name at a time, and no link is followed: who runs a program, or
//! anybody who can write to the house, must not be able to have something else removed. Directories are moved up before
//! they are emptied, so that no depth takes stack or descriptors, and nothing that is mounted is gone into.

use std::{
    ffi::CStr,
    io,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use uuid::Uuid;

/// How long the removal of a directory may take.
const LONGEST: Duration = Duration::from_secs(20);

/// How a directory is opened whose path may lead through links.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Removes a room from a house, if it is there. Blocks for a limited time.
pub(crate) fn remove(house: &Path, name: &str) {
    match try_remove(house, name) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!("cannot remove {}: {error}", house.join(name).display()),
    }
}

fn try_remove(house: &Path, name: &str) -> io::Result<()> {
    let house = rustix::fs::openat(CWD, house, DIRECTORY, Mode::empty())?;
    let open = || rustix::fs::openat(&house, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
    let room = open().or_else(|error| match error {
        // One that runs as this user may have closed it.
        Errno::ACCESS if is_own(&rustix::fs::statat(&house, name, AtFlags::SYMLINK_NOFOLLOW)?) => {
            rustix::fs::chmodat(&house, name, Mode::RWXU, AtFlags::empty())?;
            open()
        }
        _ => Err(error),
    })?;
    if !is_own(&rustix::fs::fstat(&room)?) {
        return Err(io::Error::other("it is none of a hook: another user owns it, or can write to it"));
    }
    empty(&room, Instant::now() + LONGEST)?;
    Ok(rustix::fs::unlinkat(&house, name, AtFlags::REMOVEDIR)?)
}

/// Whether it is a directory that was made by this user, and nobody else can put anything into it.
fn is_own(room: &Stat) -> bool {
    let is_dir = FileType::from_raw_mode(room.st_mode) == FileType::Directory;
    is_dir && room.st_uid == rustix::process::geteuid().as_raw() && room.st_mode & 0o022 == 0
}

/// Removes everything in a room.
fn empty(room: &OwnedFd, until: Instant) -> io::Result<()> {
    loop {
        let mut pass = Pass { room, until, is_root: rustix::process::geteuid().is_root(), done: 0, failed: None };
        pass.each(room, Pass::remove)?;
        match pass {
            // What was moved up, or put there meanwhile, is for the next one.
            Pass { done: 1.., .. } => {}
            Pass { failed: Some(error), .. } => return Err(error.into()),
            Pass { failed: None, .. } => return Ok(()),
        }
    }
}

/// One time through a room.
struct Pass<'a> {
    room: &'a OwnedFd,
    until: Instant,
    is_root: bool,
    /// How many were removed, or moved up.
    done: u64,
    /// Why one could be neither.
    failed: Option<Errno>,
}

impl Pass<'_> {
    /// Does something with all that is in a directory.
    fn each(&mut self, dir: &OwnedFd, act: fn(&mut Self, &OwnedFd, &CStr) -> Result<(), Errno>) -> io::Result<()> {
        for entry in Dir::read_from(dir)? {
            if Instant::now() >= self.until {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long: remove it by hand"));
            }
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let is_dir = match entry.file_type() {
                FileType::Unknown => is_dir(dir, name),
                known => known == FileType::Directory,
            };
            let acted = if is_dir { act(self, dir, name) } else { rustix::fs::unlinkat(dir, name, AtFlags::empty()) };
            match acted {
                Ok(()) => self.done += 1,
                // Somebody else was faster.
                Err(Errno::NOENT) => {}
                Err(error) => self.failed = Some(error),
            }
        }
        Ok(())
    }

    /// Removes a directory of the room, once there is nothing in it any more.
    fn remove(&mut self, room: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        self.open_up(room, name);
        let dir = rustix::fs::openat(room, name, flags, Mode::empty())?;
        let passed = self.each(&dir, Pass::move_up);
        passed.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::TIMEDOUT))?;
        rustix::fs::unlinkat(room, name, AtFlags::REMOVEDIR)
    }

    /// Moves a directory into the room. The kernel moves nothing on which something is mounted.
    fn move_up(&mut self, dir: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        self.open_up(dir, name);
        rustix::fs::renameat(dir, name, self.room, Uuid::new_v4().simple().to_string())
    }

    /// A program may close a directory of its own to itself. Who is root needs nothing opened; anybody else can open only
    /// what is theirs, wherever a link may lead.
    fn open_up(&self, dir: &OwnedFd, name: &CStr) {
        if !self.is_root {
            // If it fails, what comes next does, and says why.
            let _not_ours = rustix::fs::chmodat(dir, name, Mode::RWXU, AtFlags::empty());
        }
    }
}

fn is_dir(dir: &OwnedFd, name: &CStr) -> bool {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|data| FileType::from_raw_mode(data.st_mode) == FileType::Directory)
}
