//! Asks an instance's HTTP connector whether it answers.
//!
//! `OPTIONS *` reaches the connector and its request threads and no application (RFC 9110, section 9.3.7).

use std::{net::SocketAddr, sync::Arc};

use http_body_util::Empty;
use hyper::{Method, Request, StatusCode, Uri, body::Bytes};
use hyper_util::rt::TokioIo;
use protocol::health::Expected;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// What to ask, and what answer is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// `OPTIONS *`; every answer below 500 is good.
    Server,
    /// `GET` of a path.
    Page {
        /// The path, with its query.
        path: Uri,
        /// The codes that are good.
        expected: Expected,
    },
}

/// Where to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The connector's address.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub secure: bool,
}

/// What came of it. Whoever asks sets the time limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The expected answer.
    Good,
    /// An answer, but not the expected one.
    Bad(String),
    /// Nothing accepts connections there.
    Refused,
}

/// Asks once.
pub async fn ask(target: Target, question: &Question) -> Answer {
    let stream = match TcpStream::connect(target.address).await {
        Ok(stream) => stream,
        Err(_) => return Answer::Refused,
    };
    // The delay would cost 40 ms where the answer comes in two segments.
    let _best_effort = stream.set_nodelay(true);
    let result = if target.secure {
        match secure(stream).await {
            Ok(stream) => exchange(stream, question).await,
            Err(error) => return Answer::Bad(format!("the TLS handshake failed: {error}")),
        }
    } else {
        exchange(stream, question).await
    };
    match result {
        Ok(status) => judge(question, status),
        Err(error) => Answer::Bad(format!("the connection ended without an answer ({error})")),
    }
}

fn judge(question: &Question, status: StatusCode) -> Answer {
    let good = match question {
        Question::Server => status.as_u16() < 500,
        Question::Page { expected, .. } => expected.holds(status.as_u16()),
    };
    match (good, question) {
        (true, _) => Answer::Good,
        (false, Question::Server) => Answer::Bad(format!("answers with status {}", status.as_u16())),
        (false, Question::Page { path, expected }) => {
            Answer::Bad(format!("{path} answers with status {}, expected {expected}", status.as_u16()))
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    question: &Question,
) -> hyper::Result<StatusCode> {
    let (method, uri) = match question {
        Question::Server => (Method::OPTIONS, Uri::from_static("*")),
        Question::Page { path, .. } => (Method::GET, path.clone()),
    };
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "localhost")
        .header("user-agent", "tomcat-grid")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .expect("the parts of the request are valid");
    let (mut sender, connection) =
        hyper::client::conn::http1::Builder::new().max_buf_size(8192).handshake(TokioIo::new(stream)).await?;
    let response = sender.send_request(request);
    tokio::pin!(response, connection);
    // The connection must be driven for the response to come; the body is of no interest.
    tokio::select! {
        biased;
        response = &mut response => response,
        ended = &mut connection => {
            ended?;
            response.await
        }
    }
    .map(|response| response.status())
}

/// Speaks TLS without asking who answers: that the socket is the instance's is checked by its inode.
async fn secure(stream: TcpStream) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anyone::Anyone(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

mod anyone {
    //! A verifier for a peer that is known by other means.

    use std::sync::Arc;

    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::CryptoProvider,
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    pub(super) struct Anyone(pub(super) Arc<CryptoProvider>);

    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpListener};

    use super::*;

    async fn server(answer: &'static str) -> (Target, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target { address: listener.local_addr().unwrap(), secure: false };
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (target, task)
    }

    #[tokio::test]
    async fn the_server_is_asked_for_its_options_only() {
        let (target, request) = server("HTTP/1.1 200 \r\nAllow: GET\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(ask(target, &Question::Server).await, Answer::Good);
        assert!(request.await.unwrap().starts_with("OPTIONS * HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn answers_are_judged_by_what_was_asked() {
        let page = Question::Page { path: Uri::from_static("/health"), expected: "200-299".parse().unwrap() };
        for (answer, question, good) in [
            ("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", &Question::Server, true),
            ("HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n", &Question::Server, false),
            ("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", &page, false),
            ("HTTP/1.1 204 \r\n\r\n", &page, true),
            ("no http\r\n\r\n", &page, false),
            ("", &page, false),
        ] {
            let (target, _request) = server(answer).await;
            let result = ask(target, question).await;
            assert_eq!(result == Answer::Good, good, "{answer:?} {result:?}");
        }
    }

    #[tokio::test]
    async fn a_closed_port_refuses() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(ask(Target { address, secure: false }, &Question::Server).await, Answer::Refused);
    }
}
