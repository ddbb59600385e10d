//! The one TLS port: accepts, shakes hands, and serves each connection by its face.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, watch},
};
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor, server::TlsStream};
use tower::ServiceExt;

use super::Peer;
use crate::pki::tls::{Face, Faces};

/// How many connections may shake hands at a time. More would only make each slower.
const HANDSHAKES: usize = 64;

/// How long one of them keeps its place: who is slow goes on beside the others.
const HANDSHAKE_TURN: Duration = Duration::from_secs(1);

/// How long each step of a handshake, or the head of a request, may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

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
}

/// Serves a port until `ending` says so.
pub async fn serve(listener: TcpListener, port: Port, mut ending: watch::Receiver<bool>) {
    let port = Arc::new(port);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let connections = Arc::new(Semaphore::new(most_connections()));
    loop {
        let Ok(place) = connections.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (port, handshakes) = (port.clone(), handshakes.clone());
                tokio::spawn(async move {
                    if let Some((face, stream)) = Box::pin(shake_hands(&port, &handshakes, stream)).await {
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

async fn shake_hands(port: &Port, handshakes: &Semaphore, stream: TcpStream) -> Option<(Face, TlsStream<TcpStream>)> {
    // Some answers are small, and each waits for the one before.
    let _best_effort = stream.set_nodelay(true);
    // Who says nothing costs a descriptor for a while, and nobody else's turn.
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let hello = news(tokio::time::timeout(HANDSHAKE_TIMEOUT, hello).await)?;
    let (face, config) = port.faces.choose(hello.client_hello().server_name());
    let shaking = async {
        let mut shaking = pin!(hello.into_stream(config));
        let turn = handshakes.acquire().await;
        if let Ok(shaken) = tokio::time::timeout(HANDSHAKE_TURN, &mut shaking).await {
            return shaken;
        }
        drop(turn);
        shaking.await
    };
    Some((face, news(tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await)?))
}

/// Port scanners and browsers that do not trust the certificate are no news.
fn news<T>(step: Result<std::io::Result<T>, tokio::time::error::Elapsed>) -> Option<T> {
    step.ok()?.inspect_err(|error| tracing::debug!("a TLS handshake failed: {error}")).ok()
}

async fn serve_connection(port: &Port, face: Face, stream: TlsStream<TcpStream>, address: SocketAddr) {
    match face {
        Face::Agent => {
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
            while_it_asks(connection, &asked).await;
        }
        Face::Browser => {
            let Some(people) = port.people.clone() else { return };
            let (service, asked) = with_peer(people, Peer::Remote { address });
            let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE_TIMEOUT);
            builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
            while_it_asks(builder.serve_connection_with_upgrades(TokioIo::new(stream), service), &asked).await;
        }
    }
}

/// Serves a connection to its end, unless nothing is asked on it in time: not every protocol has a limit for that.
pub async fn while_it_asks<T, E: std::fmt::Display>(connection: impl Future<Output = Result<T, E>>, asked: &Notify) {
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => Some(ended),
        () = asked.notified() => None,
        () = tokio::time::sleep(HANDSHAKE_TIMEOUT) => return,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => connection.await,
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

/// A service whose requests carry who is at the other end, and a bell that each of them rings.
pub fn with_peer(
    router: Router,
    peer: Peer,
) -> (
    impl hyper::service::Service<
        hyper::Request<Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send + 'static,
    > + Clone,
    Arc<Notify>,
) {
    let asked = Arc::new(Notify::new());
    let bell = asked.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        bell.notify_one();
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    (service, asked)
}
