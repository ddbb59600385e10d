//! The Unix socket: the same API for the command line on this host. Who calls is read from the peer's credentials.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
};

use super::{
    Peer,
    connection::{HANDSHAKE_TIMEOUT, WRITE_TIMEOUT, patient, while_it_asks, with_peer},
};
use crate::{
    app::traffic::Traffic,
    config::Access,
    grid::access::{Caller, Role},
};

/// How many connections users of the host may have in all, and each of them, beside root and the manager's own user.
const MOST: usize = 512;
const MOST_OF_ONE: usize = 128;

/// How many look-ups of the host's accounts may go on at once, and how long one may take.
const LOOK_UPS: usize = 16;
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// The socket's file, by which it is known whether it is still this manager's.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode, which may be used again, and when it was made.
    identity: (u64, u64, i64, i64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        let identity = (found.dev(), found.ino(), found.ctime(), found.ctime_nsec());
        Ok(Self { path: path.to_owned(), identity })
    }

    /// Removes the file, unless somebody else's is in its place.
    pub fn remove(&self) {
        if Self::of(&self.path).is_ok_and(|found| found.identity == self.identity) {
            // It may be removed by hand at this moment.
            let _absent = fs::remove_file(&self.path);
        }
    }
}

/// Binds the socket. One that a dead manager left is replaced; one that somebody answers at is not.
pub async fn bind(path: &Path) -> Result<(UnixListener, SocketFile)> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            _ => bail!(
                "another program serves the socket {}: stop it, or give this manager one of its own with --socket",
                path.display()
            ),
        },
        Ok(_) => bail!("{} is in the way: it is no socket", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
    }
    let listener = UnixListener::bind(path)
        .with_context(|| format!("open the socket {} (its path may have at most 107 bytes)", path.display()))?;
    // Everybody may knock; who may do what is decided by who knocks.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    Ok((listener, SocketFile::of(path)?))
}

/// Serves the socket until `ending` says so.
pub async fn serve(
    listener: UnixListener,
    people: Router,
    access: Access,
    traffic: Arc<Traffic>,
    mut ending: watch::Receiver<bool>,
) {
    let known = Arc::new(Known::new(access).await);
    loop {
        let accepted = tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { continue };
        // Whoever is turned away sees that the connection ends.
        let Some(place) = known.enter(uid) else {
            traffic.crowded.count();
            continue;
        };
        let (people, known, traffic) = (people.clone(), known.clone(), traffic.clone());
        tokio::spawn(async move {
            let (_counted, _place) = (traffic.local.hold(), place);
            let Some(caller) = known.caller(uid).await else { return };
            let (service, asked) = with_peer(people, Peer::Local { caller });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HANDSHAKE_TIMEOUT)
                .serve_connection(TokioIo::new(patient(stream, WRITE_TIMEOUT)), service);
            while_it_asks(connection, &asked, &traffic).await;
        });
    }
}

/// Who is who on this host.
struct Known {
    access: Access,
    own: (u32, String),
    /// How many look-ups of accounts may go on at once.
    look_ups: Arc<Semaphore>,
    connections: Arc<Mutex<Connections>>,
}

/// The connections of users who are not the manager's own.
#[derive(Debug, Default)]
struct Connections {
    all: usize,
    /// Only of users who have some.
    of: HashMap<u32, usize>,
}

/// A place that a connection has until it is dropped.
struct Place {
    connections: Arc<Mutex<Connections>>,
    uid: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.all -= 1;
        if let Some(count) = connections.of.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                connections.of.remove(&self.uid);
            }
        }
    }
}

impl Known {
    async fn new(access: Access) -> Self {
        let own = rustix::process::geteuid().as_raw();
        let name = tokio::task::spawn_blocking(move || account(own).1).await;
        let own = (own, name.unwrap_or_else(|_| format!("uid:{own}")));
        Self { access, own, look_ups: Arc::new(Semaphore::new(LOOK_UPS)), connections: Arc::default() }
    }

    /// A place for a connection of a user; `None` if there are too many. Root and the manager's own user always have
    /// one: they could end the manager as well.
    fn enter(&self, uid: u32) -> Option<Option<Place>> {
        if uid == 0 || uid == self.own.0 {
            return Some(None);
        }
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let own = connections.of.get(&uid).copied().unwrap_or_default();
        if connections.all >= MOST || own >= MOST_OF_ONE {
            return None;
        }
        connections.all += 1;
        connections.of.insert(uid, own + 1);
        Some(Some(Place { connections: self.connections.clone(), uid }))
    }

    /// Who calls; `None` if that cannot be known in time. Root and the manager's own user are known without a look at
    /// the host's accounts, which may be those of a directory server that does not answer.
    async fn caller(self: Arc<Self>, uid: u32) -> Option<Caller> {
        let (name, role) = match uid {
            0 => ("root".to_owned(), Some(Role::Admin)),
            own if own == self.own.0 => (self.own.1.clone(), Some(Role::Admin)),
            uid => {
                let look_up = async {
                    let permit = self.look_ups.clone().acquire_owned().await.ok()?;
                    let known = self.clone();
                    // One that does not come to its end keeps its permit: no more threads wait than there are permits.
                    tokio::task::spawn_blocking(move || {
                        let (_permit, (account, name)) = (permit, account(uid));
                        let role = role_of(&name, account.as_ref(), &known.access);
                        (name, role)
                    })
                    .await
                    .ok()
                };
                let Ok(found) = tokio::time::timeout(LOOK_UP_TIMEOUT, look_up).await else {
                    tracing::warn!("who the user {uid} of this host is cannot be looked up in time");
                    return None;
                };
                found?
            }
        };
        Some(Caller::at_socket(name, role))
    }
}

/// The account of a user id, and what the user is called.
fn account(uid: u32) -> (Option<nix::unistd::User>, String) {
    let account = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    let name = account.as_ref().map_or_else(|| format!("uid:{uid}"), |account| account.name.clone());
    (account, name)
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
    async fn one_user_has_so_many_connections_and_others_have_theirs() {
        let known = Known::new(Access::default()).await;
        let (one, other) = (known.own.0 + 1, known.own.0 + 2);
        let mut places: Vec<_> = (0..MOST_OF_ONE).map(|_| known.enter(one).unwrap()).collect();
        assert!(known.enter(one).is_none());
        assert!(known.enter(other).is_some());
        places.pop();
        places.push(known.enter(one).unwrap());
        let more = (0..MOST - MOST_OF_ONE).map(|index| known.enter(other + index as u32).unwrap());
        places.extend(more);
        assert!(known.enter(other + MOST as u32).is_none());
        assert!(known.enter(0).is_some() && known.enter(known.own.0).is_some());
        drop(places);
        assert!(known.connections.lock().unwrap().of.is_empty(), "what nobody holds is forgotten");
    }

    #[tokio::test]
    async fn a_left_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manager.sock");
        let (listener, left) = bind(&path).await.unwrap();
        drop(listener);
        let (_listener, socket) = bind(&path).await.unwrap();
        left.remove();
        assert!(path.exists(), "the socket of another was removed");
        let error = bind(&path).await.unwrap_err().to_string();
        assert!(error.contains("another program serves the socket"), "{error}");
        socket.remove();
        assert!(!path.exists());
        let file = dir.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert!(bind(&file).await.unwrap_err().to_string().contains("is in the way"));
    }
}
