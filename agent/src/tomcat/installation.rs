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
    /// The user that the machine's own file names.
    pub configured: Option<&'a str>,
    /// The user of the last process that was seen.
    pub last_seen: Option<u32>,
}

/// As whom to start an instance; an error says what to do.
///
/// `root` only where it is written down: the base of a distribution belongs to root, its Tomcat does not run as root.
pub fn run_as(base: &Path, hints: &UserHints<'_>) -> Result<Account, String> {
    if let Some(name) = hints.configured {
        return users::by_name(name).ok_or_else(|| format!("the user `{name}` that it should run as does not exist"));
    }
    // Whoever owns the base is its user; who ran it last counts only where the base is root's.
    let owner = fs::metadata(base).map_or(0, |data| data.uid());
    let last_seen = hints.last_seen.filter(|_| owner == 0);
    let owners = owners(base, &["webapps", "work"]);
    match last_seen.into_iter().chain(owners).find(|&uid| uid != 0) {
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
    owners(base, &["webapps", "work"]).into_iter().find(|&uid| uid != 0).unwrap_or(0)
}

/// The users whose process at this base is believed to be the instance: anybody can write `-Dcatalina.base=`.
pub fn trusted_users(base: &Path, configured: Option<&str>) -> Vec<u32> {
    let mut trusted = owners(base, &["conf", "webapps", "work", "logs"]);
    trusted.push(0);
    trusted.extend(configured.and_then(users::by_name).map(|account| account.uid));
    trusted.sort_unstable();
    trusted.dedup();
    trusted
}

/// The owners of a base: its own, and where that is root, those of its parts.
///
/// Whoever can write the base could lead a link to a directory of others and act as them. So the base of a user speaks
/// for that user alone, and links are followed only where nobody but root can have made them.
fn owners(base: &Path, parts: &[&str]) -> Vec<u32> {
    let Ok(data) = fs::metadata(base) else { return Vec::new() };
    if data.uid() != 0 {
        return vec![data.uid()];
    }
    let others_write = data.mode() & 0o022 != 0;
    let look = |part: &&str| {
        let path = base.join(part);
        if others_write {
            fs::symlink_metadata(path).ok().filter(|data| data.is_dir())
        } else {
            fs::metadata(path).ok()
        }
    };
    std::iter::once(0).chain(parts.iter().filter_map(look).map(|data| data.uid())).collect()
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
    fn a_planted_link_makes_nobody_the_owner() {
        if users::current() != 0 {
            return;
        }
        let (victim, base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::chown(victim.path(), Some(1), Some(1)).unwrap();
        std::os::unix::fs::symlink(victim.path(), base.path().join("webapps")).unwrap();
        let mode = |mode| fs::set_permissions(base.path(), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let look = || (owner(base.path()), trusted_users(base.path(), None));
        mode(0o755);
        assert_eq!(look(), (1, vec![0, 1]), "only root can have made it");
        mode(0o775);
        assert_eq!(look(), (0, vec![0]), "the group may have made it");
        mode(0o755);
        std::os::unix::fs::chown(base.path(), Some(2), Some(2)).unwrap();
        assert_eq!(look(), (2, vec![0, 2]), "the user may have made it");
        let hints = UserHints { last_seen: Some(1), ..Default::default() };
        assert_eq!(run_as(base.path(), &hints).unwrap().uid, 2);
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
