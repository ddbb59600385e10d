//! What the manager wants this machine to have, as the agent keeps it on disk for a start without a manager.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::Result;
use protocol::{
    desired::{Desired, InstanceSettings, Program},
    hook::MAX_PROGRAM,
    limits::{MAX_INSTANCES, MAX_PATH, clip},
};

use crate::os::files::{read_bounded, write_atomically};

/// The most hook programs that a machine keeps.
pub const MAX_PROGRAMS: usize = 256;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// How long a start may be set to take.
const START_TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// Loads what was wanted last. What cannot be read is forgotten, and said.
pub fn load(state_dir: &Path) -> Desired {
    let file = state_dir.join("desired.json");
    let Ok(content) = read_bounded(&file, MAX_FILE) else { return Desired::default() };
    match serde_json::from_slice(&content) {
        Ok(desired) => sound(desired),
        Err(error) => {
            tracing::error!(file = %file.display(), "what the manager wanted is lost until it is linked: {error}");
            Desired::default()
        }
    }
}

/// Stores what is wanted; returns when it is on disk.
pub fn store(state_dir: &Path, desired: &Desired) -> Result<()> {
    write_atomically(&state_dir.join("desired.json"), &serde_json::to_vec(desired)?)
}

/// Leaves out what no agent could do, so that nothing of it has to be checked again.
pub fn sound(mut desired: Desired) -> Desired {
    let (mut bases, mut hashes) = (BTreeSet::new(), BTreeSet::new());
    desired.instances.retain(|settings| settings.base.len() <= MAX_PATH && bases.insert(settings.base.clone()));
    desired.instances.truncate(MAX_INSTANCES);
    for settings in &mut desired.instances {
        settings.health = settings.health.take().filter(|health| is_path(&health.path));
    }
    desired.programs.retain(|program| is_sound(program) && hashes.insert(program.hash.clone()));
    desired.programs.truncate(MAX_PROGRAMS);
    for program in &mut desired.programs {
        program.name = clip(&program.name);
    }
    desired
}

/// How long the start of an instance may take, if that is set.
pub fn start_timeout(settings: &InstanceSettings) -> Option<Duration> {
    let timeout = Duration::from_millis(settings.start_timeout_ms?);
    Some(timeout.clamp(*START_TIMEOUTS.start(), *START_TIMEOUTS.end()))
}

/// Whether it is a SHA-256 in hexadecimal, in lower case: it becomes the name of a file.
pub fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_sound(program: &Program) -> bool {
    is_hash(&program.hash) && program.size <= MAX_PROGRAM as u64
}

fn is_path(text: &str) -> bool {
    text.len() <= MAX_PATH
        && text.starts_with('/')
        && text.parse::<hyper::Uri>().is_ok_and(|uri| uri.authority().is_none())
}

#[cfg(test)]
mod tests {
    use protocol::health::{Expected, Health};

    use super::*;

    fn program(hash: &str, size: u64) -> Program {
        Program { hash: hash.to_owned(), size, name: "p".to_owned() }
    }

    #[test]
    fn what_no_agent_could_do_is_left_out() {
        let good = "0a".repeat(32);
        let health = |path: &str| Some(Health { path: path.to_owned(), expect: Expected::default() });
        let settings = |path| InstanceSettings { base: "/a".into(), health: health(path), start_timeout_ms: Some(0) };
        let programs = vec![
            program(&good, 1),
            program(&good, 2),
            program(&"0A".repeat(32), 1),
            program("../../../etc/passwd", 1),
            program(&format!("{}/x", &good[2..]), 1),
            program(&"1b".repeat(32), MAX_PROGRAM as u64 + 1),
        ];
        let desired = sound(Desired { instances: vec![settings("http://x/"), settings("/a")], programs });
        assert_eq!(desired.programs, [program(&good, 1)]);
        assert_eq!((desired.instances.len(), &desired.instances[0].health), (1, &None));
        assert_eq!(start_timeout(&desired.instances[0]), Some(Duration::from_secs(1)));
        assert_eq!(
            sound(Desired { instances: vec![settings("/a?b=c")], programs: vec![] }).instances[0].health,
            health("/a?b=c")
        );
    }

    #[test]
    fn it_is_kept_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()), Desired::default());
        let desired = Desired { instances: vec![], programs: vec![program(&"0a".repeat(32), 1)] };
        store(dir.path(), &desired).unwrap();
        assert_eq!(load(dir.path()), desired);
        std::fs::write(dir.path().join("desired.json"), "{").unwrap();
        assert_eq!(load(dir.path()), Desired::default());
    }
}
