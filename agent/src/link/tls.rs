//! TLS towards the manager: the grid's authority is pinned, the name is the grid's, and time plays no part.
//!
//! The clock of a host may be wrong when it boots, and the manager's certificate is renewed by who also holds the
//! authority's key, so an expired one tells nothing that matters to an agent.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use protocol::tls_name;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    version::TLS13,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The TLS settings of an agent that joins: it knows the authority by its fingerprint, and has no certificate yet.
pub fn joining(authority: [u8; 32]) -> Result<Arc<ClientConfig>> {
    Ok(finish(builder(authority)?.with_no_client_auth()))
}

/// The TLS settings of a member.
pub fn member(authority_pem: &str, certificate_pem: &str, key_pem: &str) -> Result<Arc<ClientConfig>> {
    let parse = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| anyhow!("{error}"));
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| anyhow!("{error}"))?;
    let authority = Sha256::digest(parse(authority_pem)?).into();
    Ok(finish(builder(authority)?.with_client_auth_cert(vec![parse(certificate_pem)?], key)?))
}

/// The name to give and to check.
pub fn server_name(grid: Uuid) -> ServerName<'static> {
    ServerName::try_from(tls_name(grid)).expect("a UUID and a suffix make a DNS name")
}

fn builder(authority: [u8; 32]) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Verifier { authority, provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(builder)
}

/// Session resumption is off: a resumed session would skip the verifier.
fn finish(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Whether a failure to connect means that the other side is not this grid's manager.
pub fn is_wrong_peer(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::InvalidCertificate(_)))
}

#[derive(Debug)]
struct Verifier {
    /// SHA-256 of the authority's certificate.
    authority: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .iter()
            .find(|certificate| Sha256::digest(certificate)[..] == self.authority[..])
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let (_, parsed) = X509Certificate::from_der(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let begin = u64::try_from(parsed.validity().not_before.timestamp()).unwrap_or(0);
        let then = UnixTime::since_unix_epoch(std::time::Duration::from_secs(begin));
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, then)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
