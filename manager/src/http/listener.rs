//! The one TLS port: accepts, shakes hands, and serves each connection by its face.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor, server::TlsStream};

use super::{
    Peer,
    connection::{self, HANDSHAKE_TIMEOUT, Patient, WRITE_TIMEOUT, patient, while_it_asks, with_peer},
    crowd::{Crowd, Place},
};
use crate::{
    app::traffic::Traffic,
    pki::tls::{Face, Faces},
};

/// How many connections may shake hands at a time. More would only make each slower.
const HANDSHAKES: usize = 64;

/// How long one of them keeps its place: who is slow goes on beside the others.
const HANDSHAKE_TURN: Duration = Duration::from_secs(1);

/// How many connections may be open that are no links. Links do not count, so that strangers cannot cut them off.
const CONNECTIONS: usize = 20_000;

/// The buffer of an agent's connection, in bytes: its requests are small.
const AGENT_BUFFER: usize = 8192;

/// What a port serves.
pub struct Port {
    /// The TLS settings.
    pub faces: Faces,
    /// What agents call.
    pub agents: Router,
    /// What people call; `None` where the port serves only agents.
    pub people: Option<Router>,
    /// Where connections are counted.
    pub traffic: Arc<Traffic>,
}

/// A connection whose handshake is done.
type Shaken = TlsStream<Patient<TcpStream>>;

/// Serves a port until `ending` says so.
pub async fn serve(listener: TcpListener, port: Port, mut ending: watch::Receiver<bool>) {
    let port = Arc::new(port);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let connections = Arc::new(Semaphore::new(most_connections()));
    let crowd = Arc::new(Crowd::default());
    loop {
        let Ok(place) = connections.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (port, handshakes, crowd) = (port.clone(), handshakes.clone(), crowd.clone());
                tokio::spawn(async move {
                    let shaking = Box::pin(shake_hands(&port, &handshakes, &crowd, stream, address));
                    if let Some((face, stream, _place)) = shaking.await {
                        serve_connection(&port, face, stream, address).await;
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: those that end make room.
                tracing::error!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// At most half of the descriptors that this process may have: links and databases need the others.
fn most_connections() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = limit.and_then(|limit| usize::try_from(limit / 2).ok()).unwrap_or(CONNECTIONS);
    half.clamp(HANDSHAKES, CONNECTIONS)
}

/// Shakes hands with whoever is there. Agents may be many behind one address, and prove who they are; of people only so
/// many are served from one, and the others are turned away before they cost more.
async fn shake_hands(
    port: &Port,
    handshakes: &Semaphore,
    crowd: &Arc<Crowd>,
    stream: TcpStream,
    address: SocketAddr,
) -> Option<(Face, Shaken, Option<Place>)> {
    let _counted = port.traffic.handshakes.hold();
    // Some answers are small, and each waits for the one before.
    let _best_effort = stream.set_nodelay(true);
    // Who says nothing costs a descriptor for a while, and nobody else's turn.
    let hello = LazyConfigAcceptor::new(Acceptor::default(), patient(stream, WRITE_TIMEOUT));
    let hello = news(tokio::time::timeout(HANDSHAKE_TIMEOUT, hello).await)?;
    let (face, config) = port.faces.choose(hello.client_hello().server_name());
    let place = match face {
        Face::Agent => None,
        Face::Browser => {
            let place = crowd.enter(address.ip());
            if place.is_none() {
                port.traffic.crowded.count();
                return None;
            }
            place
        }
    };
    let shaking = async {
        let mut shaking = pin!(hello.into_stream(config));
        let turn = handshakes.acquire().await;
        if let Ok(shaken) = tokio::time::timeout(HANDSHAKE_TURN, &mut shaking).await {
            return shaken;
        }
        drop(turn);
        shaking.await
    };
    Some((face, news(tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await)?, place))
}

/// Port scanners and browsers that do not trust the certificate are no news.
fn news<T>(step: Result<std::io::Result<T>, tokio::time::error::Elapsed>) -> Option<T> {
    step.ok()?.inspect_err(|error| tracing::debug!("a TLS handshake failed: {error}")).ok()
}

async fn serve_connection(port: &Port, face: Face, stream: Shaken, address: SocketAddr) {
    match face {
        Face::Agent => {
            let _counted = port.traffic.agents.hold();
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned());
            let peer = Peer::Agent { address, certificate };
            let (service, asked) = with_peer(port.agents.clone(), peer);
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HANDSHAKE_TIMEOUT)
                .max_buf_size(AGENT_BUFFER)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            while_it_asks(connection, &asked, &port.traffic).await;
        }
        Face::Browser => {
            let Some(people) = port.people.clone() else { return };
            let _counted = port.traffic.people.hold();
            connection::serve(stream, people, Peer::Remote { address }, &port.traffic).await;
        }
    }
}
