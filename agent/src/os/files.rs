//! Files that belong to somebody else, and files that must survive a crash.

use std::{
    cell::LazyCell,
    ffi::OsStr,
    fs::{File, Metadata},
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use protocol::time::Timestamp;
use rustix::fs::{self as unix, AtFlags, Mode, OFlags};
use uuid::Uuid;

use super::{clock::ManagersClock, users};

/// Writes a file so that after a crash either the old or the new content is there, readable by the owner only.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let dir = path.parent().context("a file needs a directory")?;
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(dir)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// Reads at most `limit` bytes of a regular file, also through a link; never waits on a FIFO.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(unix::open(path, flags, Mode::empty())?);
    read_regular(file, limit)
}

/// Reads at most `limit` bytes of a regular file for a user: what that user could not read is refused, though the agent
/// could. Whoever owns a base may have planted a link in it that leads to a file of others.
pub fn read_for(user: u32, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Found without being opened: to open a device may already do something.
    let found = File::from(unix::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    let data = found.metadata()?;
    if !data.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let handle = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
    let real = std::fs::read_link(&handle)?;
    let groups = LazyCell::new(|| users::by_uid(user).map(|account| users::groups(&account)).unwrap_or_default());
    let may = |data: &Metadata, bit: u32| {
        let shift = match () {
            () if data.uid() == user => 6,
            () if groups.contains(&data.gid()) => 3,
            () => 0,
        };
        data.mode() & (bit << shift) != 0
    };
    let is_reachable =
        || real.ancestors().skip(1).all(|dir| std::fs::metadata(dir).is_ok_and(|data| may(&data, SEARCH)));
    if user != 0 && !(may(&data, READ) && is_reachable()) {
        let message = format!("`{}`, whose instance it is, may not read it", users::shown(user));
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    read_regular(File::open(handle)?, limit)
}

/// The permission to read a file, as others have it.
const READ: u32 = 0o004;

/// The permission to go through a directory, as others have it.
const SEARCH: u32 = 0o001;

fn read_regular(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if metadata.len() > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// A directory that is held open, so that no later rename or link can lead elsewhere.
pub struct Dir(OwnedFd);

impl Dir {
    /// Opens a directory whose path has been resolved.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        Ok(Self(unix::open(path, flags, Mode::empty())?))
    }

    /// Reads a small regular file in it, no link.
    pub fn read(&self, name: &OsStr, limit: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        read_regular(File::from(unix::openat(&self.0, name, flags, Mode::empty())?), limit)
    }

    /// Creates a file that everybody may read, with its content, in one step; fails with `AlreadyExists` where the name is taken, even by a link.
    pub fn create_whole(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let unfinished = format!(".{}-{}", name.trim_start_matches('.'), uuid::Uuid::new_v4().simple());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(unix::openat(&self.0, unfinished.as_str(), flags, Mode::from_raw_mode(0o644))?);
        // Set by hand: the process may be told by its mask to keep what it makes to itself.
        let written = file
            .set_permissions(std::fs::Permissions::from_mode(0o644))
            .and_then(|()| file.write_all(content))
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(unix::linkat(&self.0, unfinished.as_str(), &self.0, name, AtFlags::empty())?));
        let removed = unix::unlinkat(&self.0, unfinished.as_str(), AtFlags::empty());
        written.and(removed.map_err(io::Error::from))
    }

    /// Removes a file in it.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unix::unlinkat(&self.0, name, AtFlags::empty())?)
    }
}

/// How often a file is read that cannot be read at first.
const TRIES: u32 = 3;

/// How long is waited between.
const PAUSE: Duration = Duration::from_millis(50);

/// How long ids that do not tell when they were made may be older than a loss.
const DOUBTFUL: Duration = Duration::from_secs(600);

/// Reads a file that may fail to be read for a moment. Blocks.
pub fn read_patiently(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    for _ in 1..TRIES {
        match read_bounded(path, max) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(PAUSE),
            read => return read,
        }
    }
    read_bounded(path, max)
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

/// Sets a file aside that is damaged, for the eye, and so that it is known that something was lost.
pub fn set_aside(path: &Path) {
    if let Err(error) = std::fs::rename(path, aside(path)) {
        tracing::error!(file = %path.display(), "cannot be set aside: {error}");
    }
}

/// When a file was set aside, if it was.
pub fn set_aside_at(path: &Path) -> Option<Timestamp> {
    let data = std::fs::symlink_metadata(aside(path)).ok()?;
    Some(Timestamp::from_millis(data.ctime().saturating_mul(1000) + data.ctime_nsec() / 1_000_000))
}

/// Whether what is remembered of an id may have been lost, by when the manager made it; for a while if it does not tell.
pub fn may_be_forgotten(id: Uuid, lost: Option<Timestamp>, managers: &ManagersClock) -> bool {
    let Some(lost) = lost else { return false };
    let (now, made) = (Timestamp::now(), id.get_timestamp().filter(|_| id.get_version_num() == 7));
    match made.map(|made| made.to_unix()) {
        Some((seconds, nanos)) => {
            let millis = seconds.saturating_mul(1000) + u64::from(nanos) / 1_000_000;
            Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)) <= managers.at(lost)
        }
        None => now.since(lost) < DOUBTFUL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_never_followed_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "kept").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("claim")).unwrap();
        let open = Dir::open(dir.path()).unwrap();
        assert_eq!(open.create_whole("claim", b"new").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(open.read(OsStr::new("claim"), 100).is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing unfinished is left");
    }

    #[test]
    fn what_the_user_may_not_read_is_not_read_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "content").unwrap();
        let own = users::current();
        for (dir_mode, mode, user, readable) in [
            (0o700, 0o600, own, true),
            (0o711, 0o600, own + 1, false),
            (0o711, 0o604, own + 1, true),
            (0o700, 0o604, own + 1, false),
        ] {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(dir_mode)).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_for(user, &path, 100).is_ok(), readable, "{dir_mode:o} {mode:o} {user}");
        }
        assert!(read_for(own, Path::new("/dev/null"), 100).is_err());
    }

    #[test]
    fn a_fifo_and_a_large_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_bounded(&fifo, 10).is_err());
        let large = dir.path().join("large");
        std::fs::write(&large, [0; 11]).unwrap();
        assert_eq!(read_bounded(&large, 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_may_be_forgotten_is_told_by_the_clock_that_the_id_is_of() {
        let hour = Duration::from_secs(3600);
        let lost = Timestamp::now().before(10 * hour);
        // By how much the manager's clock is ahead, in hours; when it made the id, in hours since the loss.
        for (ahead, made, forgotten) in
            [(0, -1, true), (0, 1, false), (5, -1, true), (5, 1, false), (-5, -1, true), (-5, 1, false)]
        {
            let (clock, now) = (ManagersClock::default(), Timestamp::now());
            let later = |from: Timestamp, hours: i32| match hours {
                0.. => from.after(hours.unsigned_abs() * hour),
                _ => from.before(hours.unsigned_abs() * hour),
            };
            clock.told(later(now, ahead), now);
            let made_at = later(later(lost, made), ahead).as_millis();
            let seconds = u64::try_from(made_at).unwrap() / 1000;
            let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
            assert_eq!(may_be_forgotten(id, Some(lost), &clock), forgotten, "{ahead} {made}");
        }
        assert!(!may_be_forgotten(Uuid::now_v7(), None, &ManagersClock::default()));
    }

    #[test]
    fn an_atomic_write_replaces_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory");
        write_atomically(&path, b"a long first content").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
