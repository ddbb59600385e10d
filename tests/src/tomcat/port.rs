//! Leases TCP ports on the loopback, so that tests in parallel threads and processes never share one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the kernel's range for outgoing connections (32768 and up), which could take a port at any time.
const RANGE: Range<u16> = 20_000..30_000;

/// A port of this test alone, for as long as the value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Holds the lock; the kernel drops it when the test process dies.
    _lock: Option<File>,
}

impl Port {
    /// Takes a port that nobody listens on and no other test has leased.
    ///
    /// # Panics
    /// When no port of the range can be had.
    pub fn lease() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);

        let dir = std::env::temp_dir().join("tomcat-grid-test-ports");
        fs::create_dir_all(&dir).expect("create the directory of port locks");
        // Other users' tests share the directory. Only its owner can say so, and has said it already.
        let _ = fs::set_permissions(&dir, Permissions::from_mode(0o1777));

        // Processes begin at different places: ports of a neighbour then are rarely tried.
        let length = u32::from(RANGE.end - RANGE.start);
        let start = process::id().wrapping_mul(97) % length;
        for _ in RANGE {
            let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            let offset = u16::try_from((start + step) % length).expect("the range fits");
            let number = RANGE.start + offset;
            if let Ok(lock) = lock(&dir, number)
                && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
            {
                return Self { number, _lock: Some(lock) };
            }
        }
        panic!("no free port in {RANGE:?}; locks are in {}", dir.display());
    }

    /// A port chosen by the test, without any lock.
    pub fn fixed(number: u16) -> Self {
        Self { number, _lock: None }
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Any failure, also a file of another user, means that this port is not ours to take.
fn lock(dir: &Path, number: u16) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(number.to_string()))?;
    file.try_lock()?;
    Ok(file)
}
