//! `tomcat-grid serve`: puts the manager together, and ends it cleanly.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use runner::Launcher;
use tokio::{net::TcpSocket, sync::watch};

use crate::{
    app::{App, Host},
    config::Settings,
    data_dir::{DataDir, Ready},
    http::{self, listener::Port},
    pki::{
        authority::Authority,
        server_certificate::{RENEW_EVERY, ServerCertificates},
        tls::Faces,
    },
    store::Store,
};

/// How many connections may wait to be accepted; the kernel may allow fewer.
const BACKLOG: u32 = 4096;

/// How long the links may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// A manager that serves.
pub struct Manager {
    /// Its use cases.
    pub app: Arc<App>,
    /// What it tells about itself.
    pub ready: Ready,
    dir: DataDir,
    ending: watch::Sender<bool>,
    renewal: tokio::task::JoinHandle<()>,
    schedules: tokio::task::JoinHandle<()>,
    socket_file: http::unix::SocketFile,
}

impl Manager {
    /// Starts a manager; returns when it serves. The launcher is for the hooks on this host.
    pub async fn start(settings: Settings, launcher: Launcher) -> Result<Self> {
        let dir = DataDir::open(&settings.data)?;
        let listener = listen(settings.listen)?;
        let address = listener.local_addr()?;
        let store = Store::open(dir.path()).await?;
        let meta = store.meta(settings.name.as_deref()).await?;
        let noted = store.authority().await?;
        let authority = Authority::load_or_make(&dir.pki(), meta.grid, noted.as_deref())?;
        if noted.is_none()
            && let Err(error) = store.note_authority(&authority.fingerprint_text()).await
        {
            // A full disk must not keep the manager from starting; the next start notes it.
            tracing::error!("cannot note the fingerprint of the authority: {error}");
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let names = names(&settings, &host);
        let certificates =
            ServerCertificates::make(&authority, meta.grid, names, settings.own_certificate.clone(), &dir.pki())?;
        let faces = Faces::new(&authority, &certificates)?;
        let url = url(&settings, &host, address);
        let ready =
            Ready { url, socket: settings.socket.clone(), grid: meta.grid_name.clone(), pid: std::process::id() };
        let host = Host { name: host, data: settings.data.clone(), hook_user: settings.hook_user.clone(), launcher };
        let app = App::start(store, meta, authority, host).await?;
        app.make_admin(settings.admin_password, &dir).await?;

        let (ending, watching) = watch::channel(false);
        let people = http::people(app.clone());
        let (socket, socket_file) = http::unix::bind(&settings.socket).await?;
        tokio::spawn(http::unix::serve(socket, people.clone(), settings.access, app.traffic.clone(), watching.clone()));
        let port = Port {
            faces,
            agents: http::agents(app.clone()),
            people: settings.web.then_some(people),
            traffic: app.traffic.clone(),
        };
        tokio::spawn(http::listener::serve(listener, port, watching));
        let renewal = tokio::spawn(renew(app.clone(), certificates));
        let schedules = tokio::spawn(app.clone().keep_schedules());

        dir.write_ready(&ready)?;
        // Without systemd there is nobody to be told.
        let _nobody = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
        tracing::info!("the grid `{}` is served at {} and {}", ready.grid, ready.url, ready.socket.display());
        Ok(Self { app, ready, dir, ending, renewal, schedules, socket_file })
    }

    /// Ends it: says goodbye to the agents, and closes the databases.
    pub async fn end(self) {
        let _nobody = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
        self.dir.remove_ready();
        self.renewal.abort();
        self.schedules.abort();
        self.ending.send_replace(true);
        let _unwritten = tokio::time::timeout(FAREWELL, self.app.end_operations()).await;
        self.app.links.close_all();
        // An agent that does not listen finds out by itself.
        let _late = tokio::time::timeout(FAREWELL, self.app.links.all_left()).await;
        let _unwritten = tokio::time::timeout(FAREWELL, self.app.record_held_refusals()).await;
        // What was told last is part of the history, too. A disk that takes nothing must not keep the manager.
        let _unwritten = tokio::time::timeout(FAREWELL, self.app.journal.end()).await;
        self.app.store.close().await;
        self.socket_file.remove();
        tracing::info!("the manager has ended");
    }
}

/// Runs a manager until `shutdown` completes.
pub async fn run(settings: Settings, launcher: Launcher, shutdown: impl Future<Output = ()>) -> Result<()> {
    let manager = Manager::start(settings, launcher).await?;
    shutdown.await;
    manager.end().await;
    Ok(())
}

fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener> {
    let listening = || -> std::io::Result<_> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening().with_context(|| {
        format!("listen on {address}: if another program has the port, stop it or choose another with --listen")
    })
}

/// What browsers may call the manager.
fn names(settings: &Settings, host: &str) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(settings.advertise.iter().map(|name| split_port(name).0.to_owned()));
    if !settings.listen.ip().is_unspecified() {
        names.push(settings.listen.ip().to_string());
    }
    // A host name that is none for a certificate would spoil the whole certificate.
    if !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')) {
        names.push(host.to_owned());
    }
    names.sort();
    names.dedup();
    names
}

fn url(settings: &Settings, host: &str, address: SocketAddr) -> String {
    let (name, port) = match settings.advertise.first() {
        Some(advertised) => split_port(advertised),
        None if address.ip().is_unspecified() => (host, None),
        None => return format!("https://{address}"),
    };
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    format!("https://{name}:{}", port.unwrap_or(address.port()))
}

/// Splits `HOST[:PORT]`; an IPv6 address with a port stands in brackets.
fn split_port(text: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (text, None),
    }
}

async fn renew(app: Arc<App>, certificates: ServerCertificates) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        match certificates.renew(&app.authority) {
            Ok(()) => tracing::info!("the manager's certificates were renewed"),
            Err(error) => tracing::error!("the manager's certificates cannot be renewed: {error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, expected) in [
            ("m.example.org", ("m.example.org", None)),
            ("m.example.org:9443", ("m.example.org", Some(9443))),
            ("[fe80::1]:9443", ("fe80::1", Some(9443))),
            ("fe80::1", ("fe80::1", None)),
        ] {
            assert_eq!(split_port(text), expected, "{text}");
        }
    }
}
