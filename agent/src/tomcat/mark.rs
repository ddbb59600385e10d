//! Marks that prove whether a launcher went on: one file for each order that is handed to a launcher.
//!
//! The agent makes the file, the launcher locks it as long as it lives and writes into it right before it executes the
//! program, which ends the lock. So an agent that comes back knows for sure: a file that is locked belongs to a
//! launcher on its way, one with words in it to one that went on, and an empty one to nobody. Such a one is taken back
//! under the same lock, so that no launcher can go on with it later.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::os::{clock, process::ProcessKey};

/// The largest mark that is read, in bytes.
const MAX_FILE: u64 = 4096;

/// What is written into a mark that no launcher may use any more.
const TAKEN_BACK: &[u8] = b"taken back";

/// How long what a launcher left behind is kept for the eye.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What a mark proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// No launcher has gone on.
    NotGone,
    /// A launcher holds it, and may go on any moment.
    OnItsWay,
    /// A launcher has gone on, as this process; as number 0 if that was before the machine's latest boot.
    Gone(ProcessKey),
}

#[derive(Serialize, Deserialize)]
struct Words {
    order: Uuid,
    process: ProcessKey,
    /// In which boot of the machine it was.
    #[serde(default)]
    boot: Option<String>,
}

impl Words {
    /// The process, or one that cannot be if the machine has booted since.
    fn process(&self) -> ProcessKey {
        match &self.boot {
            Some(boot) if *boot != clock::boot_id() => ProcessKey { pid: 0, start_ticks: 0 },
            _ => self.process,
        }
    }
}

/// Where the launchers' files are.
pub fn dir(state_dir: &Path) -> io::Result<PathBuf> {
    let dir = state_dir.join("launch");
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    Ok(dir)
}

fn path(state_dir: &Path, order: Uuid) -> PathBuf {
    state_dir.join("launch").join(format!("{order}.mark"))
}

/// Makes the empty mark of an order; returns when it is on disk.
pub fn make(state_dir: &Path, order: Uuid) -> Result<PathBuf> {
    let write = || -> io::Result<PathBuf> {
        let dir = dir(state_dir)?;
        let path = path(state_dir, order);
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        File::open(dir)?.sync_all()?;
        Ok(path)
    };
    write().context("make the launcher's mark")
}

/// What the mark of an order proves now.
pub fn look(state_dir: &Path, order: Uuid) -> io::Result<Proof> {
    Ok(examine(&path(state_dir, order), order)?.1)
}

/// What the mark of an order proves for good: one that no launcher holds is taken back.
pub fn settle(state_dir: &Path, order: Uuid) -> io::Result<Proof> {
    let path = path(state_dir, order);
    let (file, proof) = examine(&path, order)?;
    if let (Some(mut file), Proof::NotGone) = (file, proof) {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(TAKEN_BACK)?;
        file.sync_all()?;
        fs::remove_file(&path)?;
    }
    Ok(proof)
}

/// Reads a mark; the file is locked as long as it is open.
fn examine(path: &Path, order: Uuid) -> io::Result<(Option<File>, Proof)> {
    let mut file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, Proof::NotGone)),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok((None, Proof::OnItsWay)),
        Err(error) => return Err(error.into()),
    }
    let mut content = Vec::new();
    Read::by_ref(&mut file).take(MAX_FILE).read_to_end(&mut content)?;
    // Half of a line is of a launcher that ended before it went on: it goes on only when the whole is on disk.
    let gone = serde_json::from_slice::<Words>(&content).ok().filter(|words| words.order == order);
    Ok((Some(file), gone.map_or(Proof::NotGone, |words| Proof::Gone(words.process()))))
}

/// Removes the mark of an order whose outcome is on disk.
pub fn remove(state_dir: &Path, order: Uuid) {
    // Not every order has one.
    let _none = fs::remove_file(path(state_dir, order));
}

/// Removes what launchers of an agent that was killed have left behind long ago, but for the marks of open orders.
pub fn tidy(state_dir: &Path, open: &HashSet<Uuid>) {
    let Ok(entries) = fs::read_dir(state_dir.join("launch")) else { return };
    for entry in entries.flatten() {
        let changed = entry.metadata().and_then(|data| data.modified());
        let is_old = changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT));
        let name = entry.file_name();
        let order = name.to_str().and_then(|name| name.strip_suffix(".mark")?.parse::<Uuid>().ok());
        if is_old && !order.is_some_and(|order| open.contains(&order)) {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

/// The launcher's hold on a mark.
pub struct Hold {
    file: File,
    order: Uuid,
}

impl Hold {
    /// Takes hold of the mark of an order. One that was taken back, or used before, is refused.
    pub fn take(path: &Path, order: Uuid) -> Result<Self> {
        let mut file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!("the order was taken back"),
            Err(error) => return Err(error).context("open the mark of the order"),
        };
        flock(&file, FlockOperation::NonBlockingLockExclusive).context("the mark of the order is in use")?;
        let mut content = Vec::new();
        Read::by_ref(&mut file).take(MAX_FILE).read_to_end(&mut content)?;
        if !content.is_empty() {
            bail!("the order was carried out before, or taken back");
        }
        Ok(Self { file, order })
    }

    /// Marks that this process goes on now; returns when that is on disk.
    pub fn go_on(&mut self) -> Result<()> {
        let process = ProcessKey::of(std::process::id()).context("a process knows itself")?;
        let words = serde_json::to_vec(&Words { order: self.order, process, boot: Some(clock::boot_id()) })?;
        self.file.write_all(&words).and_then(|()| self.file.sync_all()).context("mark that the program is executed")
    }

    /// It did not go on after all.
    pub fn stay(&mut self) -> Result<()> {
        self.file.set_len(0).and_then(|()| self.file.sync_all()).context("take the mark back")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_proves_what_became_of_its_launcher() {
        let dir = tempfile::tempdir().unwrap();
        let order = Uuid::from_u128(7);
        let own = ProcessKey::of(std::process::id()).unwrap();
        assert_eq!(look(dir.path(), order).unwrap(), Proof::NotGone, "none was made");
        let path = make(dir.path(), order).unwrap();
        let mut hold = Hold::take(&path, order).unwrap();
        assert_eq!(settle(dir.path(), order).unwrap(), Proof::OnItsWay);
        hold.go_on().unwrap();
        assert_eq!(settle(dir.path(), order).unwrap(), Proof::OnItsWay, "it has not executed the program yet");
        drop(hold);
        assert_eq!(settle(dir.path(), order).unwrap(), Proof::Gone(own));
        assert!(Hold::take(&path, order).is_err(), "it is good for one launcher");
        remove(dir.path(), order);
        assert!(Hold::take(&path, order).is_err());
    }

    #[test]
    fn a_launcher_that_failed_or_died_has_not_gone_on() {
        let dir = tempfile::tempdir().unwrap();
        let order = Uuid::from_u128(7);
        let path = make(dir.path(), order).unwrap();
        let mut hold = Hold::take(&path, order).unwrap();
        hold.go_on().unwrap();
        hold.stay().unwrap();
        drop(hold);
        assert_eq!(look(dir.path(), order).unwrap(), Proof::NotGone);
        fs::write(&path, "{\"order\":\"").unwrap();
        assert_eq!(look(dir.path(), order).unwrap(), Proof::NotGone);
    }

    #[test]
    fn the_mark_of_an_open_order_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (open, done) = (Uuid::from_u128(7), Uuid::from_u128(8));
        for order in [open, done] {
            let file = File::options().write(true).open(make(dir.path(), order).unwrap()).unwrap();
            file.set_modified(SystemTime::now() - 2 * KEPT).unwrap();
        }
        tidy(dir.path(), &[open].into());
        assert!(path(dir.path(), open).exists() && !path(dir.path(), done).exists());
    }

    #[test]
    fn a_process_of_an_earlier_boot_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let order = Uuid::from_u128(7);
        let path = make(dir.path(), order).unwrap();
        let process = ProcessKey::of(std::process::id()).unwrap();
        let words = Words { order, process, boot: Some("another".to_owned()) };
        fs::write(&path, serde_json::to_vec(&words).unwrap()).unwrap();
        let Proof::Gone(key) = look(dir.path(), order).unwrap() else { panic!("it has gone on") };
        assert!(!key.is_alive());
    }

    #[test]
    fn no_launcher_goes_on_with_what_was_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let order = Uuid::from_u128(7);
        let path = make(dir.path(), order).unwrap();
        // A launcher that was about to open it.
        let kept = dir.path().join("kept");
        fs::hard_link(&path, &kept).unwrap();
        assert_eq!(settle(dir.path(), order).unwrap(), Proof::NotGone);
        assert!(Hold::take(&path, order).is_err());
        assert!(Hold::take(&kept, order).is_err());
    }
}
