//! Users and groups of the machine.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, getgrouplist};

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's own group.
    pub gid: u32,
    /// The home directory.
    pub home: String,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir.to_string_lossy().into_owned(),
        }
    }
}

/// The user of a name, or of a number in digits.
pub fn by_name(name: &str) -> Option<Account> {
    User::from_name(name).ok().flatten().map(Account::from).or_else(|| by_uid(name.parse().ok()?))
}

/// The user of a number.
pub fn by_uid(uid: u32) -> Option<Account> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(Account::from)
}

/// The groups that a user is in.
pub fn groups(account: &Account) -> Vec<u32> {
    let Ok(name) = CString::new(account.name.as_str()) else { return Vec::new() };
    let groups = getgrouplist(&name, Gid::from_raw(account.gid)).unwrap_or_default();
    groups.into_iter().map(Gid::as_raw).collect()
}

/// The name of a user's number; JVMs call a user without a name by nothing, so there is no fallback.
pub fn name_of(uid: u32) -> Option<String> {
    by_uid(uid).map(|account| account.name)
}

/// The name of a user, or the number where it has none.
pub fn shown(uid: u32) -> String {
    name_of(uid).unwrap_or_else(|| uid.to_string())
}

/// The user that this process acts as.
pub fn current() -> u32 {
    rustix::process::geteuid().as_raw()
}
