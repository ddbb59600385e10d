//! A manager without rules: an agent that is its member dials it, and it sends and receives whatever a test wants, so
//! that an agent can be shown what no real manager would send, and asked again what it was asked before.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use agent::identity;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use protocol::{
    PROTOCOL,
    join::JoinResponse,
    link::{self, FromAgent, Outcome, ToAgent, Welcome},
    statement::Statement,
    tls_name,
};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair, SigningKey};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};
use uuid::Uuid;

use crate::{
    agent::{Builder, TestAgent},
    manager::PATIENCE,
    wait,
};

type Body = http_body_util::Full<hyper::body::Bytes>;

/// The manager; it ends with the value.
pub struct RawManager {
    inner: Arc<Inner>,
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

struct Inner {
    grid: Uuid,
    manager: Uuid,
    authority: String,
    issuer: Issuer<'static, KeyPair>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    messages: Vec<FromAgent>,
    link: Option<mpsc::UnboundedSender<ToAgent>>,
    links: usize,
    blobs: HashMap<String, Vec<u8>>,
    asked: Vec<String>,
}

impl RawManager {
    /// A manager of a grid of its own.
    #[expect(clippy::new_without_default, reason = "it opens a port")]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("an authority");
        let grid = Uuid::new_v4();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec![tls_name(grid)]).expect("parameters");
        let server = server.signed_by(&server_key, &issuer).expect("a certificate");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("an authority");
        let members = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_client_cert_verifier(members.build().expect("a verifier"))
            .with_single_cert(
                vec![server.der().clone(), certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
            )
            .expect("TLS settings");
        let inner = Arc::new(Inner {
            grid,
            manager: Uuid::new_v4(),
            authority: certificate.pem(),
            issuer,
            seen: Mutex::default(),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(accept(listener, TlsAcceptor::from(Arc::new(tls)), inner.clone()));
        Self { inner, address, _runtime: runtime }
    }

    /// An agent that is a member already, and looks for instances in `root` and nowhere else.
    pub fn agent(&self, root: &Path) -> Builder {
        TestAgent::of_url(&format!("https://{}", self.address), "web-1", root)
    }

    /// Makes an agent a member, as if it had joined.
    pub fn adopt(&self, agent: &TestAgent) {
        let key = KeyPair::generate().expect("a key");
        let csr = identity::signing_request(&key).expect("a signing request");
        let csr = CertificateSigningRequestParams::from_pem(&csr).expect("a signing request");
        let certificate = csr.signed_by(&self.inner.issuer).expect("a certificate");
        let membership = JoinResponse {
            grid: self.inner.grid,
            grid_name: "raw".to_owned(),
            agent: Uuid::new_v4(),
            machine: "web-1".parse().expect("a name"),
            certificate: certificate.pem(),
            authority: self.inner.authority.clone(),
        };
        let state = agent.state();
        fs::create_dir_all(&state).expect("a directory");
        fs::write(state.join("key.pem"), key.serialize_pem()).expect("a key");
        fs::write(state.join("membership.json"), serde_json::to_string(&membership).expect("JSON")).expect("a file");
    }

    /// Offers a program under a hash, whether that is its hash or not.
    pub fn offer(&self, hash: &str, content: &[u8]) {
        self.inner.seen().blobs.insert(hash.to_owned(), content.to_vec());
    }

    /// Which programs were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.inner.seen().asked.clone()
    }

    /// Sends a message to the agent that is linked.
    pub fn send(&self, message: ToAgent) {
        let link = wait::until("an agent that is linked", PATIENCE, || self.inner.seen().link.clone());
        let _ended = link.send(message);
    }

    /// How often an agent was linked.
    pub fn links(&self) -> usize {
        self.inner.seen().links
    }

    /// Waits until an agent is linked for the `count`th time.
    pub fn wait_link(&self, count: usize) {
        wait::until("the link", PATIENCE, || (self.links() >= count).then_some(()));
    }

    /// Everything that was received.
    pub fn messages(&self) -> Vec<FromAgent> {
        self.inner.seen().messages.clone()
    }

    /// Waits for a message.
    #[track_caller]
    pub fn wait_message<T>(&self, what: &str, mut wanted: impl FnMut(&FromAgent) -> Option<T>) -> T {
        let found = wait::within(PATIENCE, || self.inner.seen().messages.iter().rev().find_map(&mut wanted));
        found.unwrap_or_else(|| panic!("waited in vain for {what}; received: {:#?}", self.messages()))
    }

    /// Waits for the outcome of an order.
    #[track_caller]
    pub fn wait_outcome(&self, id: Uuid) -> Outcome {
        self.wait_message("an outcome", |message| match message {
            FromAgent::Outcome { order, outcome } if *order == id => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Forgets what was received.
    pub fn forget(&self) {
        self.inner.seen().messages.clear();
    }
}

impl Inner {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn welcome(&self) -> Welcome {
        let bytes = Statement::signed_bytes(self.grid, 1, self.manager);
        let signature = STANDARD.encode(self.issuer.key().sign(&bytes).expect("a signature"));
        Welcome {
            protocol: PROTOCOL,
            grid: self.grid,
            grid_name: "raw".to_owned(),
            machine: "web-1".parse().expect("a name"),
            statement: Statement { grid: self.grid, epoch: 1, manager: self.manager, signature },
            link_secret: "secret".to_owned(),
            now: None,
        }
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, inner: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, inner) = (tls.clone(), inner.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let answer = service_fn(move |request| answer(request, inner.clone()));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            // A connection that breaks is the agent's matter.
            let _broken = connection.with_upgrades().await;
        });
    }
}

async fn answer(mut request: Request<Incoming>, inner: Arc<Inner>) -> Result<Response<Body>, std::convert::Infallible> {
    let mut response = Response::new(Body::default());
    if let Some(hash) = request.uri().path().strip_prefix("/agent/v1/blobs/") {
        let mut seen = inner.seen();
        seen.asked.push(hash.to_owned());
        match seen.blobs.get(hash) {
            Some(content) => *response.body_mut() = Body::from(content.clone()),
            None => *response.status_mut() = StatusCode::NOT_FOUND,
        }
        return Ok(response);
    }
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let accept = derive_accept_key(key.as_bytes());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in
        [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_ACCEPT, &accept)]
    {
        response.headers_mut().insert(name, value.parse().expect("a header"));
    }
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(&mut request).await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            live(socket, inner).await;
        }
    });
    Ok(response)
}

async fn live<S>(mut socket: WebSocketStream<S>, inner: Arc<Inner>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (sender, mut to_send) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            Some(message) = to_send.recv() => {
                if socket.send(Message::text(link::write::<ToAgent>(&message))).await.is_err() {
                    break;
                }
            }
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    let message: FromAgent = link::parse(&text).expect("agents send what can be read");
                    if matches!(message, FromAgent::Hello(_)) {
                        let _ended = sender.send(ToAgent::Welcome(Box::new(inner.welcome())));
                        let mut seen = inner.seen();
                        seen.link = Some(sender.clone());
                        seen.links += 1;
                    }
                    inner.seen().messages.push(message);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    let mut seen = inner.seen();
    if seen.link.as_ref().is_some_and(|link| link.same_channel(&sender)) {
        seen.link = None;
    }
}
