//! Listening TCP sockets, and whose they are.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Cursor},
    net::SocketAddr,
    path::Path,
};

use procfs::{FromBufReadSI, current_system_info, net::TcpNetEntries};

use super::process;

/// A socket that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// The user who opened it.
    pub uid: u32,
    /// Its inode.
    pub inode: u64,
}

/// The listening sockets of the network namespace of a process.
pub fn listening(pid: Option<u32>) -> io::Result<Vec<Listener>> {
    let who = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let mut listeners = Vec::new();
    for table in ["tcp", "tcp6"] {
        match File::open(format!("/proc/{who}/net/{table}")) {
            Ok(file) => listeners.append(&mut read_listening(BufReader::with_capacity(8192, file))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound && table == "tcp6" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listeners)
}

/// Reads only the head of the table: the kernel lists listening sockets before all others, of which there may be many.
fn read_listening(mut table: impl BufRead) -> io::Result<Vec<Listener>> {
    const LISTEN: &str = "0A";
    let mut head = String::new();
    table.read_line(&mut head)?;
    loop {
        let end = head.len();
        if table.read_line(&mut head)? == 0 {
            break;
        }
        if head[end..].split_ascii_whitespace().nth(3) != Some(LISTEN) {
            head.truncate(end);
            break;
        }
    }
    let entries = TcpNetEntries::from_buf_read(Cursor::new(head), current_system_info()).map_err(io::Error::other)?;
    Ok(entries.0.into_iter().map(|e| Listener { address: e.local_address, uid: e.uid, inode: e.inode }).collect())
}

/// Whether two processes share a network namespace; assumed where it may not be asked.
pub fn same_network(pid: u32) -> bool {
    let of = |who: &str| fs::read_link(Path::new("/proc").join(who).join("ns/net")).ok();
    match (of("self"), of(&pid.to_string())) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => true,
    }
}

/// A listening socket of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The socket.
    pub listener: Listener,
    /// The descriptor by which the process holds it, where it may be known.
    fd: Option<u32>,
}

impl Owned {
    /// A socket that is said, and not found, to be a process's own.
    pub fn assumed(listener: Listener) -> Self {
        Self { listener, fd: None }
    }

    /// Whether it is only said to be the process's own.
    pub fn is_assumed(&self) -> bool {
        self.fd.is_none()
    }

    /// Whether the process still holds the socket.
    ///
    /// With the right to look into the process this is one system call; reading the table of all sockets takes a
    /// thousand times as long, because the kernel walks the whole of its hash.
    pub fn is_held_by(&self, pid: u32) -> bool {
        match self.fd {
            Some(fd) => process::socket_inode(pid, fd) == Some(self.listener.inode),
            None => listening(Some(pid)).is_ok_and(|all| all.iter().any(|l| l.inode == self.listener.inode)),
        }
    }
}

/// Which of `listeners` a process holds.
///
/// Without the right to look into the process, those of its user count.
pub fn owned_by(pid: u32, listeners: &[Listener]) -> Vec<Owned> {
    let owned = |listener: &Listener, fd| Owned { listener: listener.clone(), fd };
    match process::sockets(pid) {
        Ok(held) => listeners.iter().filter_map(|l| held.get(&l.inode).map(|&fd| owned(l, Some(fd)))).collect(),
        Err(_) => {
            let uid = process::uid(pid);
            listeners.iter().filter(|listener| Some(listener.uid) == uid).map(|l| owned(l, None)).collect()
        }
    }
}

/// The process that holds a socket, where it may be known: its id and its short name.
pub fn holder(inode: u64) -> Option<(u32, String)> {
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter()
        .find(|&pid| process::sockets(pid).is_ok_and(|held| held.contains_key(&inode)))
        .map(|pid| (pid, process::short_name(pid).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_listeners_are_found_and_told_from_others() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let all = listening(None).unwrap();
        let own = owned_by(std::process::id(), &all);
        let found = own.iter().find(|own| own.listener.address == address).unwrap();
        assert_eq!(holder(found.listener.inode).unwrap().0, std::process::id());
        assert!(found.is_held_by(std::process::id()));
        drop(socket);
        assert!(!found.is_held_by(std::process::id()));
        let unprivileged = Owned { fd: None, ..found.clone() };
        assert!(!unprivileged.is_held_by(std::process::id()));
    }

    #[test]
    fn reading_stops_where_listening_sockets_end() {
        let line = |n: u32, state: &str| {
            format!(
                "  {n}: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 77{n} 1\n"
            )
        };
        let table = format!("  sl  header\n{}{}{}", line(0, "0A"), line(1, "01"), "no table any more\n");
        let found = read_listening(Cursor::new(table)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].inode, found[0].uid), (770, 1000));
        assert_eq!(found[0].address, "127.0.0.1:8080".parse().unwrap());
    }
}
