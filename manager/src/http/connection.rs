//! One connection of people: how long it may be silent, how long it may take nothing, and how much it may ask at once.

use std::{error::Error, pin::Pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::Peer;
use crate::app::traffic::Traffic;

/// How long each step of a handshake, or the head of a request, may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the other end may take nothing of what is sent. Whoever stopped reading can come back and resume; until
/// then it would hold memory for nothing.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a browser is asked whether it is still there, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How many requests a browser may have open at once. Each tab has a stream of events for as long as it is open, and
/// all tabs share one connection.
const REQUESTS_AT_ONCE: u32 = 250;

/// How much of an answer may wait in memory for the browser to take it, in bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// A stream on which writing fails when the other end takes nothing for too long.
pub type Patient<S> = Pin<Box<TimeoutStream<S>>>;

/// Limits how long the other end of a stream may take nothing.
pub fn patient<S: AsyncRead + AsyncWrite>(stream: S, timeout: Duration) -> Patient<S> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
    Box::pin(stream)
}

/// Serves HTTP/1 and HTTP/2 to a browser or a script, to the end of the connection.
pub async fn serve<S>(stream: S, router: Router, peer: Peer, traffic: &Traffic)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (service, asked) = with_peer(router, peer);
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(REQUESTS_AT_ONCE)
        .max_send_buf_size(SEND_BUFFER);
    while_it_asks(builder.serve_connection_with_upgrades(TokioIo::new(stream), service), &asked, traffic).await;
}

/// Serves a connection to its end, unless nothing is asked on it in time: not every protocol has a limit for that.
pub async fn while_it_asks<T, E: Into<Box<dyn Error + Send + Sync>>>(
    connection: impl Future<Output = Result<T, E>>,
    asked: &Notify,
    traffic: &Traffic,
) {
    let mut connection = std::pin::pin!(connection);
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
        let error = error.into();
        if is_timeout(error.as_ref()) {
            traffic.cut_off.count();
            tracing::debug!("a connection was cut off: the other end took nothing in time");
        } else {
            tracing::debug!("a connection ended: {error}");
        }
    }
}

/// Whether it is because the other end took nothing, or did not answer a ping.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&cause| cause.source()).any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut)
            || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
    })
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

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use futures_util::stream;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        task::JoinHandle,
    };

    use super::*;

    /// How long the other end may take nothing here.
    const TIMEOUT: Duration = Duration::from_millis(300);

    /// How long it may take on a busy machine until it is cut off.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Serves answers that never end at one end of a pipe; returns the other.
    fn endless() -> (DuplexStream, JoinHandle<()>, Arc<Traffic>) {
        let answer = || async {
            let chunk = || axum::body::Bytes::from_static(&[b'.'; 4096]);
            Body::from_stream(stream::repeat_with(move || Ok::<_, std::convert::Infallible>(chunk())))
        };
        let (ours, theirs) = tokio::io::duplex(1024);
        let traffic = Arc::new(Traffic::default());
        let counting = traffic.clone();
        let router = Router::new().route("/", get(answer));
        let peer = Peer::Remote { address: ([127, 0, 0, 1], 1).into() };
        let serving = tokio::spawn(async move { serve(patient(ours, TIMEOUT), router, peer, &counting).await });
        (theirs, serving, traffic)
    }

    #[tokio::test]
    async fn a_reader_that_stops_is_cut_off() {
        let one = b"GET / HTTP/1.1\r\nHost: m\r\n\r\n".to_vec();
        // The preface, settings of no change, and `GET /`, written as headers of HTTP/2.
        let mut two = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        two.extend_from_slice(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x87\x84\x41\x01m");
        for request in [one, two] {
            let (mut reader, serving, traffic) = endless();
            reader.write_all(&request).await.unwrap();
            reader.read_exact(&mut [0; 4096]).await.unwrap();
            tokio::time::timeout(PATIENCE, serving).await.expect("it is cut off").unwrap();
            assert_eq!(traffic.cut_off.get(), 1);
        }
    }

    #[tokio::test]
    async fn a_slow_reader_is_not() {
        let (mut reader, serving, traffic) = endless();
        reader.write_all(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n").await.unwrap();
        // Each time a little, and in all for longer than the other end may take nothing.
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < 3 * TIMEOUT {
            tokio::time::sleep(TIMEOUT / 20).await;
            reader.read_exact(&mut [0; 64]).await.unwrap();
        }
        assert!(!serving.is_finished());
        drop(reader);
        serving.await.unwrap();
        assert_eq!(traffic.cut_off.get(), 0);
    }
}
