//! The users of the machine that tests borrow, and places that all of them can look through.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// A user and its group, by number.
pub type Ids = (u32, u32);

/// The numbers of a user of the machine, such as `daemon`, `nobody`, or `tomcat` of the package.
pub fn ids(name: &str) -> Ids {
    let users = fs::read_to_string("/etc/passwd").expect("a machine has users");
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name);
    let fields = fields.unwrap_or_else(|| panic!("this machine has no user `{name}`"));
    (fields[2].parse().expect("a number"), fields[3].parse().expect("a number"))
}

/// Makes a directory for bases that every user can look through, unlike the temporary directory around it.
pub fn open_dir(parent: &Path, name: &str) -> PathBuf {
    let dir = parent.join(name);
    fs::create_dir_all(&dir).expect("create a directory");
    fs::set_permissions(parent, Permissions::from_mode(0o711)).expect("open the directory above");
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("open the directory");
    dir
}
