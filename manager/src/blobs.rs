//! Files of the grid by the SHA-256 of their bytes, in `DATA/blobs/sha256`. A name is never a path from outside: it is
//! 64 hexadecimal digits, or there is no such file.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

/// What the names of unfinished files begin with.
const UNFINISHED: &str = ".new-";

/// How much is read at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// The directory.
#[derive(Debug, Clone)]
pub struct Blobs {
    dir: PathBuf,
}

/// A file whose bytes have its hash, open from its beginning.
#[derive(Debug)]
pub struct Blob {
    /// The file.
    pub file: File,
    /// Its size in bytes.
    pub size: u64,
}

/// Whether a text is the name of a file, as it can be: SHA-256 in lower-case hexadecimal.
pub fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(hash: impl AsRef<[u8]>) -> String {
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Blobs {
    /// Opens the directory below the data directory, and makes it where it is missing. Blocks, as everything here does.
    pub fn open(data: &Path) -> io::Result<Self> {
        let dir = data.join("blobs/sha256");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Self { dir })
    }

    /// Where a file is, or would be.
    pub fn path(&self, hash: &str) -> Option<PathBuf> {
        is_hash(hash).then(|| self.dir.join(hash))
    }

    /// Keeps bytes; returns their hash. They are on the disk when this returns. What is there already is written again if
    /// it is damaged.
    pub fn put(&self, bytes: &[u8]) -> io::Result<String> {
        let hash = hex(Sha256::digest(bytes));
        if self.get(&hash).is_ok() {
            return Ok(hash);
        }
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.dir.join(&hash))?;
        File::open(&self.dir)?.sync_all()?;
        Ok(hash)
    }

    /// Opens a file after its bytes were compared with its name.
    pub fn get(&self, hash: &str) -> io::Result<Blob> {
        let path = self.path(hash).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
        }
        let (mut found, mut size, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                length => {
                    found.update(&chunk[..length]);
                    size += length as u64;
                }
            }
        }
        if hex(found.finalize()) != hash {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes are not those that were stored"));
        }
        io::Seek::rewind(&mut file)?;
        Ok(Blob { file, size })
    }

    /// Removes everything but what is needed.
    pub fn sweep(&self, needed: &BTreeSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            // What is neither was put there by somebody else, and is left alone.
            if (is_hash(name) && !needed.contains(name)) || name.starts_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        (dir, blobs)
    }

    #[test]
    fn what_is_kept_is_found_by_its_hash_and_by_nothing_else() {
        let (dir, blobs) = blobs();
        let hash = blobs.put(b"#!/bin/sh\n").unwrap();
        assert_eq!(hash, blobs.put(b"#!/bin/sh\n").unwrap());
        let mut text = String::new();
        blobs.get(&hash).unwrap().file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "#!/bin/sh\n");
        fs::write(dir.path().join("secret"), "x").unwrap();
        let upper = hash.to_uppercase();
        for name in ["", "../../secret", "/etc/passwd", &hash[1..], upper.as_str()] {
            assert!(blobs.path(name).is_none() && blobs.get(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_was_changed_is_noticed_and_mended_when_it_comes_again() {
        let (_dir, blobs) = blobs();
        let hash = blobs.put(b"good").unwrap();
        let path = blobs.path(&hash).unwrap();
        fs::write(&path, "evil").unwrap();
        assert_eq!(blobs.get(&hash).unwrap_err().kind(), io::ErrorKind::InvalidData);
        blobs.put(b"good").unwrap();
        assert_eq!(blobs.get(&hash).unwrap().size, 4);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(blobs.get(&hash).is_err());
    }

    #[test]
    fn what_nobody_needs_is_removed() {
        let (_dir, blobs) = blobs();
        let (kept, gone) = (blobs.put(b"kept").unwrap(), blobs.put(b"gone").unwrap());
        fs::write(blobs.dir.join(".new-x"), "half").unwrap();
        fs::write(blobs.dir.join("note"), "of somebody").unwrap();
        blobs.sweep(&[kept.clone()].into()).unwrap();
        assert!(blobs.get(&kept).is_ok() && blobs.get(&gone).is_err());
        assert_eq!(fs::read_dir(&blobs.dir).unwrap().count(), 2);
    }
}
