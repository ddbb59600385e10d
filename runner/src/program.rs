//! A hook program, as it was verified: the bytes that were hashed are the ones that are executed.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use protocol::hook::MAX_PROGRAM;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

/// A program whose bytes have the hash that was asked for. It is held in memory, and each run gets a copy of its own, so
/// that nobody can change the file between the check and the execution.
#[derive(Clone)]
pub struct Program {
    bytes: Vec<u8>,
}

/// Why a file is not the program.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// It is not there.
    #[error("the program is not there")]
    Missing,
    /// It cannot be read.
    #[error("the program cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is larger than a program may be.
    #[error("the program is larger than {MAX_PROGRAM} bytes")]
    TooLarge,
    /// Its bytes are others.
    #[error("the program was changed: its SHA-256 is {found}")]
    Changed {
        /// The hash that was found, in hexadecimal.
        found: String,
    },
}

impl Program {
    /// Reads a program and compares its SHA-256, in hexadecimal. Links are not followed. Blocks.
    pub fn verify(path: &Path, sha256: &str) -> Result<Self, Unverified> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            rustix::io::Errno::NOENT => Unverified::Missing,
            error => Unverified::Unreadable(error.into()),
        })?;
        let file = File::from(file);
        if !file.metadata().map_err(Unverified::Unreadable)?.is_file() {
            return Err(Unverified::Unreadable(io::Error::other("it is not a regular file")));
        }
        let mut bytes = Vec::new();
        file.take(MAX_PROGRAM as u64 + 1).read_to_end(&mut bytes).map_err(Unverified::Unreadable)?;
        if bytes.len() > MAX_PROGRAM {
            return Err(Unverified::TooLarge);
        }
        let found = hash(&bytes);
        if found.eq_ignore_ascii_case(sha256) { Ok(Self { bytes }) } else { Err(Unverified::Changed { found }) }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is named after `#!`, if it is a script.
    pub fn interpreter(&self) -> Option<String> {
        let line = self.bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line.get(..256).unwrap_or(line)).into_owned();
        line.split_ascii_whitespace().next().map(str::to_owned)
    }
}

/// The SHA-256 of some bytes, in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bytes_that_were_hashed_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        assert!(matches!(Program::verify(&path, ""), Err(Unverified::Missing)));
        std::fs::write(&path, "#! /bin/sh -e\ntrue\n").unwrap();
        let good = hash(b"#! /bin/sh -e\ntrue\n");
        assert_eq!(Program::verify(&path, &good).ok().and_then(|it| it.interpreter()), Some("/bin/sh".to_owned()));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(Program::verify(&link, &good), Err(Unverified::Unreadable(_))));
        std::fs::write(&path, "#! /bin/sh -e\nfalse").unwrap();
        assert!(matches!(Program::verify(&path, &good), Err(Unverified::Changed { .. })));
        File::create(&path).unwrap().set_len(MAX_PROGRAM as u64 + 1).unwrap();
        assert!(matches!(Program::verify(&path, &good), Err(Unverified::TooLarge)));
    }
}
