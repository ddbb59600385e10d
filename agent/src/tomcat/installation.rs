//! Where the programs of a Tomcat are, and as which user it is to run.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::os::users::{self, Account};

/// Where distributions and people put Tomcat's programs, newest first.
const USUAL_HOMES: [&str; 6] = [
    "/usr/share/tomcat11",
    "/usr/share/tomcat10",
    "/usr/share/tomcat9",
    "/opt/tomcat",
    "/usr/local/tomcat",
    "/usr/share/tomcat",
];

/// Finds `CATALINA_HOME` for a base: where it was seen or is configured, else the base itself, else the usual places.
pub fn find_home(base: &Path, known: Option<&Path>) -> Option<PathBuf> {
    let usual = USUAL_HOMES.iter().map(PathBuf::from);
    known
        .map(Path::to_path_buf)
        .into_iter()
        .chain([base.to_path_buf()])
        .chain(usual)
        .find(|home| script(home).is_file())
}

/// The script that runs a Tomcat.
pub fn script(home: &Path) -> PathBuf {
    home.join("bin/catalina.sh")
}

/// What decides as whom an instance is started.
#[derive(Debug, Default)]
pub struct UserHints<'a> {
    /// The user of its systemd unit.
    pub unit: Option<&'a str>,
    /// The user that the machine's own file names.
    pub configured: Option<&'a str>,
    /// The user of the last process that was seen.
    pub last_seen: Option<u32>,
}

/// As whom to start an instance; an error says what to do.
///
/// `root` only where it is written down: the base of a distribution belongs to root, its Tomcat does not run as root.
pub fn run_as(base: &Path, hints: &UserHints<'_>) -> Result<Account, String> {
    let written = hints.unit.filter(|name| !name.is_empty()).or(hints.configured);
    if let Some(name) = written {
        return users::by_name(name).ok_or_else(|| format!("the user `{name}` that it should run as does not exist"));
    }
    let owners =
        ["webapps", "work"].iter().filter_map(|name| fs::metadata(base.join(name)).ok()).map(|data| data.uid());
    match hints.last_seen.into_iter().chain(owners).find(|&uid| uid != 0) {
        Some(uid) => users::by_uid(uid).ok_or_else(|| format!("its user {uid} has no name on this machine")),
        None if users::current() != 0 => {
            users::by_uid(users::current()).ok_or_else(|| "the agent's own user has no name on this machine".to_owned())
        }
        None => {
            Err("it would run as root, which must be written down: set `user = \"root\"`, or better another user, \
                     for this instance in the agent's configuration"
                .to_owned())
        }
    }
}

/// The user whom a base belongs to: the first who is not root and owns a part of it.
pub fn owner(base: &Path) -> u32 {
    let parts = ["", "webapps", "work"];
    let owners = parts.iter().filter_map(|part| fs::metadata(base.join(part)).ok()).map(|data| data.uid());
    owners.into_iter().find(|&uid| uid != 0).unwrap_or(0)
}

/// The users whose process at this base is believed to be the instance: anybody can write `-Dcatalina.base=`.
pub fn trusted_users(base: &Path, configured: Option<&str>) -> Vec<u32> {
    let parts = ["", "conf", "webapps", "work", "logs"];
    let mut trusted: Vec<u32> =
        parts.iter().filter_map(|part| fs::metadata(base.join(part)).ok()).map(|data| data.uid()).collect();
    trusted.push(0);
    trusted.extend(configured.and_then(users::by_name).map(|account| account.uid));
    trusted.sort_unstable();
    trusted.dedup();
    trusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_decides_and_a_missing_user_is_an_error() {
        let base = tempfile::tempdir().unwrap();
        let hints = UserHints { configured: Some("root"), ..Default::default() };
        assert_eq!(run_as(base.path(), &hints).unwrap().uid, 0);
        let hints = UserHints { configured: Some("no-such-user"), ..Default::default() };
        assert!(run_as(base.path(), &hints).unwrap_err().contains("no-such-user"));
        let unit = UserHints { unit: Some("daemon"), configured: Some("root"), ..Default::default() };
        assert_eq!(run_as(base.path(), &unit).unwrap().name, "daemon");
    }

    #[test]
    fn the_owner_of_webapps_is_next_and_root_is_never_guessed() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("webapps")).unwrap();
        if users::current() == 0 {
            assert!(run_as(base.path(), &UserHints::default()).unwrap_err().contains("must be written down"));
            std::os::unix::fs::chown(base.path().join("webapps"), Some(1), Some(1)).unwrap();
            assert_eq!(run_as(base.path(), &UserHints::default()).unwrap().uid, 1);
            assert_eq!(trusted_users(base.path(), None), vec![0, 1]);
        } else {
            assert_eq!(run_as(base.path(), &UserHints::default()).unwrap().uid, users::current());
        }
    }

    #[test]
    fn a_home_is_where_its_script_is() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        fs::write(script(home.path()), "#!/bin/sh\n").unwrap();
        assert_eq!(find_home(Path::new("/nowhere"), Some(home.path())), Some(home.path().to_path_buf()));
        assert_eq!(find_home(home.path(), None), Some(home.path().to_path_buf()));
    }
}
