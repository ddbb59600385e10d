//! One port, two faces: what the ClientHello names decides whether an agent or a browser is there.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use protocol::TLS_NAME_SUFFIX;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::{TLS12, TLS13},
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{authority::Authority, server_certificate::ServerCertificates};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// An agent.
    Agent,
    /// A browser, or a script.
    Browser,
}

/// The TLS settings of both faces.
pub struct Faces {
    agents: Arc<ServerConfig>,
    browsers: Arc<ServerConfig>,
}

impl Faces {
    /// Puts them together.
    pub fn new(authority: &Authority, certificates: &ServerCertificates) -> Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| anyhow!("{error}"))?;
        let mut agents = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(Timeless(inner)))
            .with_cert_resolver(certificates.agents.clone());
        agents.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut browsers = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(certificates.browsers.clone());
        browsers.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A resumed session would skip the verifier.
        agents.send_tls13_tickets = 0;
        agents.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { agents: Arc::new(agents), browsers: Arc::new(browsers) })
    }

    /// The face for a name in a ClientHello.
    pub fn choose(&self, server_name: Option<&str>) -> (Face, Arc<ServerConfig>) {
        match server_name {
            Some(name) if name.ends_with(TLS_NAME_SUFFIX) => (Face::Agent, self.agents.clone()),
            _ => (Face::Browser, self.browsers.clone()),
        }
    }
}

/// Checks that a certificate is of the grid's authority, and that its key is held, but not its time: a host that
/// comes back after months is told in words, over HTTP, what becomes of it; a refusal inside TLS 1.3 is mute.
#[derive(Debug)]
struct Timeless(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Timeless {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let (_, parsed) = X509Certificate::from_der(end_entity)
            .map_err(|_| Error::InvalidCertificate(rustls::CertificateError::BadEncoding))?;
        let begin = u64::try_from(parsed.validity().not_before.timestamp()).unwrap_or(0);
        let then = UnixTime::since_unix_epoch(std::time::Duration::from_secs(begin));
        self.0.verify_client_cert(end_entity, intermediates, then)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
