//! Users of the host.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, getgrouplist};
use serde::{Deserialize, Serialize};

/// Whom a hook runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's own group.
    pub gid: u32,
    /// The numbers of all groups that the user is in.
    pub groups: Vec<u32>,
    /// The home directory.
    pub home: String,
}

impl Account {
    /// The user of a name, or of a number in digits.
    pub fn by_name(name: &str) -> Option<Self> {
        let named = User::from_name(name).ok().flatten().map(Self::of);
        named.or_else(|| Self::by_uid(name.parse().ok()?))
    }

    /// The user of a number.
    pub fn by_uid(uid: u32) -> Option<Self> {
        User::from_uid(Uid::from_raw(uid)).ok().flatten().map(Self::of)
    }

    /// Who this process acts as.
    pub fn current() -> Option<Self> {
        Self::by_uid(rustix::process::geteuid().as_raw())
    }

    fn of(user: User) -> Self {
        let name = CString::new(user.name.as_str()).ok();
        let groups = name.and_then(|name| getgrouplist(&name, user.gid).ok());
        let groups = groups.unwrap_or_else(|| vec![user.gid]).into_iter().map(Gid::as_raw).collect();
        Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups,
            home: user.dir.to_string_lossy().into_owned(),
        }
    }
}
