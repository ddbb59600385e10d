//! An agent without rules: joins with a key of its own, dials the link with its certificate, and sends and receives
//! whatever a test wants, so that the manager can be shown what no real agent would send.

use std::{io, sync::Arc};

use agent::{identity, link::tls};
use protocol::{
    PROTOCOL, PROTOCOL_OLDEST,
    desired::Desired,
    join::{JoinRequest, JoinResponse, RefusalCode},
    link::{self, FromAgent, Hello, ToAgent, Welcome},
    report::{InstanceReport, MachineFacts},
    state::State,
    tls_name,
    token::JoinToken,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket, client::IntoClientRequest};

use crate::{
    https::{Https, Reply, Stream},
    manager::TestManager,
};

/// A member of a grid, as its state directory would hold it. A clone of it is a copied host.
#[derive(Clone)]
pub struct RawAgent {
    /// What it got when it joined.
    pub membership: JoinResponse,
    /// The private key (PEM).
    pub key: String,
    /// The link secret to show next.
    pub secret: Option<String>,
    /// The certificate to dial with (PEM); the one of its membership at first.
    pub certificate: String,
}

/// Asks to join with a key; the answer as it is.
pub fn ask_to_join(manager: &TestManager, token: &str, key: &KeyPair, machine: &str) -> Reply {
    let request = JoinRequest {
        token: token.to_owned(),
        csr: identity::signing_request(key).expect("a signing request"),
        machine: machine.parse().expect("a machine's name"),
        facts: MachineFacts { hostname: machine.to_owned(), ..MachineFacts::default() },
    };
    let request = serde_json::to_value(request).expect("JSON");
    joining_client(manager).request("POST", "/agent/v1/join", Some(&request))
}

/// A client that knows the manager as an agent does, and has no certificate.
pub fn joining_client(manager: &TestManager) -> Https {
    // Any token tells the grid's id and authority; only asking with it takes a use.
    let token: JoinToken = manager.token().parse().expect("a join token");
    let config = tls::joining(token.authority).expect("TLS settings");
    Https::with(manager, config, tls::server_name(token.grid))
}

impl RawAgent {
    /// Joins with a token of its own.
    pub fn join(manager: &TestManager, machine: &str) -> Self {
        Self::join_with(manager, &manager.token(), machine)
    }

    /// Joins with a token.
    pub fn join_with(manager: &TestManager, token: &str, machine: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let reply = ask_to_join(manager, token, &key, machine);
        assert_eq!(reply.status, 200, "{reply:?}");
        let membership: JoinResponse = serde_json::from_str(&reply.body).expect("a membership");
        Self { key: key.serialize_pem(), secret: None, certificate: membership.certificate.clone(), membership }
    }

    /// The key pair.
    pub fn key_pair(&self) -> KeyPair {
        KeyPair::from_pem(&self.key).expect("a key")
    }

    /// A certificate that the grid's authority signs for a key and a time in the past, as a host finds it after months.
    pub fn expired_certificate(&self, manager: &TestManager) -> String {
        let read = |name: &str| std::fs::read_to_string(manager.data().join("pki").join(name)).expect("the authority");
        let authority = KeyPair::from_pem(&read("ca.key")).expect("the authority's key");
        let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.pem"), authority).expect("the authority");
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        params.signed_by(&self.key_pair(), &issuer).expect("a certificate").pem()
    }

    fn config(&self) -> Arc<ClientConfig> {
        tls::member(&self.membership.authority, &self.certificate, &self.key).expect("TLS settings")
    }

    /// An HTTPS client with the agent's certificate.
    pub fn https(&self, manager: &TestManager) -> Https {
        Https::with(manager, self.config(), tls::server_name(self.membership.grid))
    }

    /// Dials the link and says nothing; a refusal in HTTP is a panic.
    pub fn dial(&self, manager: &TestManager) -> RawLink {
        match dial(&self.https(manager), self.membership.grid) {
            Ok(Ok(link)) => link,
            Ok(Err((status, problem))) => panic!("refused with {status}: {problem}"),
            Err(error) => panic!("cannot connect: {error}"),
        }
    }

    /// Dials the link, which must be refused in HTTP, with this status and code.
    #[track_caller]
    pub fn refused_dial(&self, manager: &TestManager) -> (u16, String) {
        match dial(&self.https(manager), self.membership.grid).expect("TLS succeeds") {
            Ok(_) => panic!("the link should be refused"),
            Err((status, problem)) => (status, problem["code"].as_str().expect("a code").to_owned()),
        }
    }

    /// The hello of a proper agent.
    pub fn hello(&self, instances: Vec<InstanceReport>) -> Hello {
        Hello {
            protocol: PROTOCOL,
            protocol_oldest: PROTOCOL_OLDEST,
            agent_version: "0.0.0-raw".to_owned(),
            grid: self.membership.grid,
            link_secret: self.secret.clone(),
            highest: None,
            facts: MachineFacts::default(),
            instances,
        }
    }

    /// Links like a proper agent: dials, is welcomed, and keeps the secret.
    pub fn link(&mut self, manager: &TestManager) -> RawLink {
        self.link_with(manager, Vec::new())
    }

    /// Links like a proper agent that has instances.
    pub fn link_with(&mut self, manager: &TestManager, instances: Vec<InstanceReport>) -> RawLink {
        let mut link = self.dial(manager);
        link.send(&FromAgent::Hello(Box::new(self.hello(instances))));
        self.secret = Some(link.welcome().link_secret);
        link.send(&FromAgent::SecretKept {});
        link
    }
}

/// Dials a link: an error where there is no TLS, a status and a problem where it is refused in HTTP.
pub fn dial(client: &Https, grid: uuid::Uuid) -> io::Result<Result<RawLink, (u16, Value)>> {
    let request =
        format!("wss://{}/agent/v1/link", tls_name(grid)).into_client_request().expect("a request for a link");
    match tungstenite::client(request, client.connect()?) {
        Ok((socket, _)) => Ok(Ok(RawLink { socket })),
        Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            let body = response.body().as_deref().unwrap_or_default();
            Ok(Err((response.status().as_u16(), serde_json::from_slice(body).unwrap_or(Value::Null))))
        }
        Err(HandshakeError::Failure(tungstenite::Error::Io(error))) => Err(error),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

/// A dialled link.
pub struct RawLink {
    socket: WebSocket<Stream>,
}

/// How a link ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The close code, if a close frame came.
    pub code: Option<u16>,
    /// The reason in the close frame, or how the connection broke.
    pub reason: String,
    /// The refusal that came before it.
    pub refusal: Option<(RefusalCode, String)>,
}

impl RawLink {
    /// Sends a message.
    pub fn send(&mut self, message: &FromAgent) {
        self.send_text(&link::write(message));
    }

    /// Sends a text frame.
    pub fn send_text(&mut self, text: &str) {
        self.send_frame(Message::text(text));
    }

    /// Sends a binary frame.
    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.send_frame(Message::binary(bytes.to_vec()));
    }

    fn send_frame(&mut self, frame: Message) {
        // The manager may close the link while much is still on its way; how it ended is read afterwards.
        let _closed_meanwhile = self.socket.send(frame);
    }

    /// The next message of the manager, but for what the machine should have, which comes when it likes.
    pub fn receive(&mut self) -> ToAgent {
        loop {
            match self.next() {
                ToAgent::Desired(_) => {}
                message => return message,
            }
        }
    }

    /// What the machine should have, which must come next.
    pub fn desired(&mut self) -> Desired {
        match self.next() {
            ToAgent::Desired(desired) => *desired,
            other => panic!("what the machine should have should come, and not {other:?}"),
        }
    }

    fn next(&mut self) -> ToAgent {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return link::parse(&text).expect("a message of the protocol"),
                Ok(Message::Close(frame)) => panic!("a message should come, and the link was closed: {frame:?}"),
                Ok(_) => {}
                Err(error) => panic!("a message should come: {error}"),
            }
        }
    }

    /// The welcome, which must come next.
    pub fn welcome(&mut self) -> Welcome {
        match self.receive() {
            ToAgent::Welcome(welcome) => *welcome,
            other => panic!("a welcome should come, and not {other:?}"),
        }
    }

    /// Waits until the manager ends the link.
    pub fn ended(&mut self) -> Ended {
        let mut refusal = None;
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    if let Ok(ToAgent::Refused(refused)) = link::parse(&text) {
                        refusal = Some((refused.code, refused.message));
                    }
                }
                Ok(Message::Close(frame)) => {
                    let (code, reason) = frame.map(|frame| (frame.code.into(), frame.reason.to_string())).unzip();
                    return Ended { code, reason: reason.unwrap_or_default(), refusal };
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("the link should end, and lives")
                }
                Err(error) => return Ended { code: None, reason: error.to_string(), refusal },
            }
        }
    }

    /// Waits until the manager has taken up everything sent so far: it answers what it does not know.
    pub fn settle(&mut self) {
        self.send_text(r#"{"type":"are_you_there"}"#);
        let answer = self.receive();
        assert_eq!(answer, ToAgent::Unsupported { message: "are_you_there".to_owned() });
    }
}

/// A plain report of an instance.
pub fn report(base: &str, state: State) -> InstanceReport {
    let report = json!({"base": base, "state": state, "age_ms": 0, "ports": [8080]});
    serde_json::from_value(report).expect("a report")
}

/// The message that tells of an instance.
pub fn status(base: &str, state: State) -> FromAgent {
    FromAgent::Status { instance: Box::new(report(base, state)) }
}
