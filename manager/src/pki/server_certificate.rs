//! The manager's two certificates: one for agents, one for browsers; renewed by themselves.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use protocol::tls_name;
use rcgen::KeyPair;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use uuid::Uuid;

use super::authority::Authority;

/// How long a certificate of the manager is valid.
const VALID: Duration = Duration::from_secs(90 * 24 * 3600);

/// How often certificates are made anew, or read again where they are given.
pub const RENEW_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A certificate that can be replaced while it is in use.
#[derive(Debug)]
pub struct Replaceable(RwLock<Arc<CertifiedKey>>);

impl Replaceable {
    fn new(key: CertifiedKey) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(key))))
    }

    fn replace(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Replaceable {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The files of a certificate and key of one's own.
#[derive(Debug, Clone)]
pub struct OwnFiles {
    /// The certificate chain (PEM).
    pub certificate: PathBuf,
    /// The private key (PEM).
    pub key: PathBuf,
}

/// The manager's certificates.
pub struct ServerCertificates {
    /// What agents are shown.
    pub agents: Arc<Replaceable>,
    /// What browsers are shown.
    pub browsers: Arc<Replaceable>,
    grid: Uuid,
    names: Vec<String>,
    own: Option<OwnFiles>,
    /// The key for browsers is kept, so that an exception somebody made for it holds.
    key_file: PathBuf,
}

impl ServerCertificates {
    /// Makes the certificates, or reads those that are given. `names` are what browsers may call the manager.
    pub fn make(
        authority: &Authority,
        grid: Uuid,
        names: Vec<String>,
        own: Option<OwnFiles>,
        dir: &Path,
    ) -> Result<Self> {
        let key_file = dir.join("server.key");
        let agents = Replaceable::new(for_agents(authority, grid)?);
        let browsers = Replaceable::new(for_browsers(authority, &names, own.as_ref(), &key_file)?);
        Ok(Self { agents, browsers, grid, names, own, key_file })
    }

    /// Makes them anew. What is served stays when that fails.
    pub fn renew(&self, authority: &Authority) -> Result<()> {
        self.agents.replace(for_agents(authority, self.grid)?);
        self.browsers.replace(for_browsers(authority, &self.names, self.own.as_ref(), &self.key_file)?);
        Ok(())
    }
}

fn for_agents(authority: &Authority, grid: Uuid) -> Result<CertifiedKey> {
    signed(authority, &KeyPair::generate()?, vec![tls_name(grid)])
}

fn for_browsers(
    authority: &Authority,
    names: &[String],
    own: Option<&OwnFiles>,
    key_file: &Path,
) -> Result<CertifiedKey> {
    if let Some(own) = own {
        return read(own);
    }
    let kept = std::fs::read_to_string(key_file).ok().and_then(|pem| KeyPair::from_pem(&pem).ok());
    let key = match kept {
        Some(key) => key,
        None => {
            let key = KeyPair::generate()?;
            crate::data_dir::write_private(key_file, key.serialize_pem().as_bytes())?;
            key
        }
    };
    signed(authority, &key, names.to_vec())
}

fn signed(authority: &Authority, key: &KeyPair, names: Vec<String>) -> Result<CertifiedKey> {
    let pem = authority.sign_server(key, names, VALID)?;
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| anyhow!("{error}"))?;
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).map_err(|error| anyhow!("{error}"))?;
    // The authority goes along: who joins knows it by its fingerprint only.
    certified(vec![leaf, authority.certificate().clone()], &private)
}

fn read(own: &OwnFiles) -> Result<CertifiedKey> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&own.certificate)
        .map_err(|error| anyhow!("read the certificate {}: {error}", own.certificate.display()))?
        .collect();
    let chain = chain.map_err(|error| anyhow!("read the certificate {}: {error}", own.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&own.key)
        .map_err(|error| anyhow!("read the key {}: {error}", own.key.display()))?;
    certified(chain, &key)
        .with_context(|| format!("{} and {} do not fit together", own.certificate.display(), own.key.display()))
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> Result<CertifiedKey> {
    let key = aws_lc_rs::sign::any_supported_type(key)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match()?;
    Ok(certified)
}
