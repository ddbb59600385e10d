//! The Unix socket: the same API for the command line on this host. Who calls is read from the peer's credentials.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result, bail};
use axum::Router;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
};

use super::{Peer, listener::with_peer};
use crate::{
    config::Access,
    grid::access::{Caller, Credential, Role},
};

/// Binds the socket. One that a dead manager left is replaced; its data directory's lock has shown that it is dead.
pub fn bind(path: &Path) -> Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => bail!("{} is in the way: it is no socket", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
    }
    let listener = UnixListener::bind(path)
        .with_context(|| format!("open the socket {} (its path may have at most 107 bytes)", path.display()))?;
    // Everybody may knock; who may do what is decided by who knocks.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves the socket until `ending` says so.
pub async fn serve(listener: UnixListener, people: Router, access: Access, mut ending: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let Ok(caller) = caller(&stream, &access) else { continue };
        let service = with_peer(people.clone(), Peer::Local { caller });
        tokio::spawn(async move {
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!("a local connection ended: {error}");
            }
        });
    }
}

fn caller(stream: &UnixStream, access: &Access) -> io::Result<Caller> {
    let credentials = stream.peer_cred()?;
    let uid = credentials.uid();
    let own = rustix::process::geteuid().as_raw();
    let account = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    let name = account.as_ref().map_or_else(|| format!("uid:{uid}"), |account| account.name.clone());
    let role = if uid == 0 || uid == own { Some(Role::Admin) } else { role_of(&name, account.as_ref(), access) };
    Ok(Caller { name, role, credential: Credential::Socket })
}

/// The role that the configuration gives a user: the user's own, or the highest of those of the user's groups.
fn role_of(name: &str, account: Option<&nix::unistd::User>, access: &Access) -> Option<Role> {
    if let Some(role) = access.users.get(name) {
        return Some(*role);
    }
    let account = account?;
    let name = std::ffi::CString::new(account.name.as_str()).ok()?;
    let groups = nix::unistd::getgrouplist(&name, account.gid).ok()?;
    let names = groups.into_iter().filter_map(|gid| Some(nix::unistd::Group::from_gid(gid).ok()??.name));
    names.filter_map(|group| access.groups.get(&group).copied()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_gives_roles_to_users_and_groups() {
        let daemon = nix::unistd::User::from_name("daemon").unwrap();
        let mut access = Access::default();
        assert_eq!(role_of("daemon", daemon.as_ref(), &access), None);
        access.groups.insert("daemon".to_owned(), Role::Viewer);
        assert_eq!(role_of("daemon", daemon.as_ref(), &access), Some(Role::Viewer));
        access.users.insert("daemon".to_owned(), Role::Operator);
        assert_eq!(role_of("daemon", daemon.as_ref(), &access), Some(Role::Operator));
    }

    #[tokio::test]
    async fn a_left_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manager.sock");
        drop(bind(&path).unwrap());
        bind(&path).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert!(bind(&file).unwrap_err().to_string().contains("is in the way"));
    }
}
