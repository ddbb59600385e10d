//! A small HTTPS client for the manager's TLS port: what a browser, a script or an agent could send, headers and all.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;

use crate::manager::TestManager;

/// How long the manager may take to say anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A TLS connection.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A client of one port, with the TLS settings and the name that it gives.
#[derive(Clone)]
pub struct Https {
    address: String,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Https {
    /// The TLS settings of a script or a browser that trusts the grid's authority.
    pub fn trusting(manager: &TestManager) -> ClientConfig {
        let authority = CertificateDer::from_pem_file(manager.data().join("pki/ca.pem")).expect("the authority");
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("an authority");
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A script or a browser that trusts the grid's authority and dials the manager's address.
    pub fn of(manager: &TestManager) -> Self {
        let config = Self::trusting(manager);
        let host = manager.address().rsplit_once(':').expect("a port").0.to_owned();
        Self::with(manager, Arc::new(config), ServerName::try_from(host).expect("a host"))
    }

    /// A client with TLS settings and a name of its own.
    pub fn with(manager: &TestManager, config: Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        Self { address: manager.address(), config, name, headers: Vec::new() }
    }

    /// The same with a further header in every request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with an API token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Where it dials.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Connects. The handshake is made with the first bytes that are sent or read.
    pub fn connect(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let connection = ClientConnection::new(self.config.clone(), self.name.clone()).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }

    /// Sends a request. An error means that there was no answer in HTTP.
    pub fn send(&self, method: &str, path: &str, body: &str) -> io::Result<Reply> {
        let mut stream = self.connect()?;
        let mut head =
            format!("{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n", self.address, body.len());
        if !body.is_empty() && !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            head.push_str("Content-Type: application/json\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        write!(stream, "{head}\r\n{body}")?;
        let mut text = Vec::new();
        match stream.read_to_end(&mut text) {
            // HTTP/1.0 ends the body with the connection; how politely is not the question here.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof || text.is_empty() => return Err(error),
            _ => {}
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        parse(&text).ok_or_else(|| io::Error::other(format!("no answer in HTTP: {text:?}")))
    }

    /// Opens an answer that goes on and on, such as a stream of events, past its head.
    pub fn open(&self, path: &str) -> io::Result<BufReader<Stream>> {
        let mut stream = self.connect()?;
        let mut head = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        write!(stream, "{head}\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line != "\r\n" {
            line.clear();
        }
        Ok(reader)
    }

    /// Sends a request that must be answered.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, path, &body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Gets something.
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, None)
    }
}

impl Reply {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status and the code of a problem; panics if the answer is no problem.
    #[track_caller]
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        (self.status, problem["code"].as_str().expect("a code").to_owned())
    }
}

fn parse(text: &str) -> Option<Reply> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Some(Reply { status, headers, body: body.to_owned() })
}
