//! The one TLS port: accepts, shakes hands, and serves each connection by its face.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor, server::TlsStream};
use tower::ServiceExt;

use super::Peer;
use crate::pki::tls::{Face, Faces};

/// How many connections may shake hands at a time. More would only make each slower.
const HANDSHAKES: usize = 64;

/// How long a handshake, or the head of a request, may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

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
    loop {
        // The permit comes first, so that a storm waits in the backlog and not in memory.
        let Ok(permit) = handshakes.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let port = port.clone();
                tokio::spawn(async move {
                    let shaken = Box::pin(shake_hands(&port, stream)).await;
                    drop(permit);
                    if let Some((face, stream)) = shaken {
                        serve_connection(&port, face, stream, address).await;
                    }
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

async fn shake_hands(port: &Port, stream: TcpStream) -> Option<(Face, TlsStream<TcpStream>)> {
    // Some answers are small, and each waits for the one before.
    let _best_effort = stream.set_nodelay(true);
    let shaking = async {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let (face, config) = port.faces.choose(hello.client_hello().server_name());
        Ok::<_, std::io::Error>((face, hello.into_stream(config).await?))
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await {
        Ok(Ok(shaken)) => Some(shaken),
        // Port scanners and browsers that do not trust the certificate are no news.
        Ok(Err(error)) => {
            tracing::debug!("a TLS handshake failed: {error}");
            None
        }
        Err(_) => None,
    }
}

async fn serve_connection(port: &Port, face: Face, stream: TlsStream<TcpStream>, address: SocketAddr) {
    match face {
        Face::Agent => {
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned());
            let peer = Peer::Agent { address, certificate };
            let service = with_peer(port.agents.clone(), peer);
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HANDSHAKE_TIMEOUT)
                .max_buf_size(AGENT_BUFFER)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            log_end(connection.await);
        }
        Face::Browser => {
            let Some(people) = port.people.clone() else { return };
            let service = with_peer(people, Peer::Remote { address });
            let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE_TIMEOUT);
            builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
            log_end(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
        }
    }
}

fn log_end<T, E: std::fmt::Display>(end: Result<T, E>) {
    if let Err(error) = end {
        tracing::debug!("a connection ended: {error}");
    }
}

/// A service whose requests carry who is at the other end.
pub fn with_peer(
    router: Router,
    peer: Peer,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send + 'static,
> + Clone {
    service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request.map(axum::body::Body::new))
    })
}
