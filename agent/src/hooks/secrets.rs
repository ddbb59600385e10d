//! The machine's secrets, which hooks get by their names: one file for each in the state directory's `secrets`.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use protocol::desired::{MAX_SECRETS, ToldSecret};
use runner::Secret;
use rustix::fs::{Mode, OFlags, openat};

use crate::os::users;

/// The most secrets of one hook.
const MAX: usize = 50;

/// The longest reason for a secret that cannot be used, in characters: all of them fit into one message.
const MAX_WHY: usize = 200;

/// The largest secret, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads secrets. The error says what to do, and shows nothing of them.
pub fn read(state_dir: &Path, names: &[String]) -> Result<Vec<Secret>, String> {
    if names.len() > MAX {
        return Err(format!("a hook gets at most {MAX} secrets"));
    }
    let dir = state_dir.join("secrets");
    names.iter().map(|name| read_one(&dir, name)).collect()
}

/// The names of the secrets that are there, and why those cannot be used that cannot; `None` if there are too many to
/// tell, or nobody knows.
pub fn told(state_dir: &Path) -> Option<Vec<ToldSecret>> {
    let dir = state_dir.join("secrets");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(_) => return None,
    };
    let mut names = std::collections::BTreeSet::new();
    for entry in entries {
        names.extend(entry.ok()?.file_name().into_string().ok().filter(|name| is_name(name)));
        if names.len() > MAX_SECRETS {
            return None;
        }
    }
    let secret = |name: String| {
        let why = read_one(&dir, &name).err().map(|why| why.chars().take(MAX_WHY).collect());
        ToldSecret { name, why }
    };
    Some(names.into_iter().map(secret).collect())
}

fn read_one(dir: &Path, name: &str) -> Result<Secret, String> {
    if !is_name(name) {
        return Err("the name of a secret is a letter or `_`, then letters, digits or `_`, 64 at most".to_owned());
    }
    let path = dir.join(name);
    let because = |why: &dyn std::fmt::Display| format!("the secret {name} cannot be used: {why}");
    let file = match open(dir, name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!(
                "this machine has no secret {name}: write it to {}, readable by the agent only",
                path.display()
            ));
        }
        Err(error) => return Err(because(&error)),
    };
    let data = file.metadata().map_err(|error| because(&error))?;
    if !data.is_file() {
        return Err(because(&"it is not a regular file"));
    }
    if data.uid() != users::current() && data.uid() != 0 {
        return Err(because(&format!("{} belongs to another user: `chown` it", path.display())));
    }
    if data.mode() & 0o077 != 0 {
        return Err(because(&format!("others can read or write it: `chmod 600 {}`", path.display())));
    }
    let mut content = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(|error| because(&error))?;
    if content.len() as u64 > MAX_BYTES {
        return Err(because(&format!("it is larger than {MAX_BYTES} bytes")));
    }
    let value = String::from_utf8(content).map_err(|_| because(&"it is no UTF-8 text"))?;
    let value = value.strip_suffix('\n').map_or(value.as_str(), |value| value.strip_suffix('\r').unwrap_or(value));
    if value.is_empty() || value.contains('\0') {
        return Err(because(&"it is empty, or holds a NUL"));
    }
    Ok(Secret { name: name.to_owned(), value: value.to_owned() })
}

/// Opens a file of the directory; neither may be a link.
fn open(dir: &Path, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let dir = rustix::fs::open(dir, flags | OFlags::DIRECTORY, Mode::empty())?;
    Ok(File::from(openat(dir, name, flags | OFlags::NONBLOCK, Mode::empty())?))
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name
            .bytes()
            .enumerate()
            .all(|(at, byte)| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()))
        && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn only_a_private_file_of_a_plain_name_is_a_secret() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("secrets");
        fs::create_dir(&dir).unwrap();
        let write = |name: &str, content: &str, mode| {
            fs::write(dir.join(name), content).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write("GOOD", "hunter2\n", 0o600);
        write("OPEN", "hunter2", 0o640);
        write("EMPTY", "\n", 0o600);
        write("LARGE", &"x".repeat(65 * 1024), 0o600);
        symlink(dir.join("GOOD"), dir.join("LINK")).unwrap();
        fs::create_dir(dir.join("DIR")).unwrap();
        for (name, error) in [
            ("GOOD", ""),
            ("OPEN", "chmod 600"),
            ("EMPTY", "it is empty"),
            ("LARGE", "larger than"),
            ("LINK", "cannot be used"),
            ("DIR", "not a regular file"),
            ("NONE", "this machine has no secret NONE"),
            ("../key.pem", "the name of a secret"),
            ("1X", "the name of a secret"),
            ("", "the name of a secret"),
        ] {
            match read(state.path(), &[name.to_owned()]) {
                Ok(read) => assert_eq!((error, read[0].value.as_str()), ("", "hunter2"), "{name}"),
                Err(why) => {
                    assert!(!error.is_empty() && why.contains(error) && !why.contains("hunter"), "{name}: {why}")
                }
            }
        }
        assert!(read(state.path(), &vec!["GOOD".to_owned(); MAX + 1]).is_err());
        write("not-a-name", "x", 0o600);
        let told = super::told(state.path()).unwrap();
        let usable = |secret: &ToldSecret| secret.why.is_none();
        let names: Vec<_> = told.iter().map(|secret| (secret.name.as_str(), usable(secret))).collect();
        let expected =
            [("DIR", false), ("EMPTY", false), ("GOOD", true), ("LARGE", false), ("LINK", false), ("OPEN", false)];
        assert_eq!(names, expected);
        assert!(told.iter().all(|secret| !format!("{secret:?}").contains("hunter")));
        (0..MAX_SECRETS).for_each(|number| write(&format!("N{number}"), "x", 0o600));
        assert_eq!(super::told(state.path()), None, "too many");
        assert_eq!(super::told(&state.path().join("none")), Some(Vec::new()));
    }
}
