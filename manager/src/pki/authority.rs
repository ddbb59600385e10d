//! The grid's certificate authority: signs agents, the manager's own certificates, and the right to be primary.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD};
use protocol::{statement::Statement, time::Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber, SigningKey,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{data_dir::write_private, store::machines::Hash};

/// How long the authority is valid: it goes with the grid.
const AUTHORITY_VALID: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How long an agent's certificate is valid. A registered key may renew an expired one.
pub const AGENT_VALID: Duration = Duration::from_secs(30 * 24 * 3600);

/// How far a certificate's time reaches into the past, for hosts whose clocks are behind.
const SKEW: Duration = Duration::from_secs(24 * 3600);

/// The certificate authority of a grid.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// The public key that an agent holds and has proved to hold.
pub struct AgentKey {
    request: CertificateSigningRequestParams,
}

impl Authority {
    /// Loads the authority from a directory, or makes it on the first start. One that is `noted` by its fingerprint is
    /// never made anew: every agent would be cut off for good.
    pub fn load_or_make(dir: &Path, grid: Uuid, noted: Option<&str>) -> Result<Self> {
        let (key_file, certificate_file) = (dir.join("ca.key"), dir.join("ca.pem"));
        let restore = |what: String| {
            anyhow!(
                "{what}. Restore {} and {} from a backup: without them no agent of this grid can be served",
                certificate_file.display(),
                key_file.display()
            )
        };
        let missing = [&certificate_file, &key_file].into_iter().find(|file| !file.exists());
        if let (Some(missing), Some(_)) = (missing, noted) {
            return Err(restore(format!("{} is missing", missing.display())));
        }
        if !certificate_file.exists() {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(Vec::<String>::new())?;
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, format!("Tomcat Grid {grid}"));
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages =
                vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
            set_validity(&mut params, Timestamp::now(), AUTHORITY_VALID);
            let pem = params.self_signed(&key)?.pem();
            // The certificate comes last: without it the key is made anew, with it there is a key.
            write_private(&key_file, key.serialize_pem().as_bytes())?;
            write_private(&certificate_file, pem.as_bytes())?;
        }
        let read = |file: &Path| std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()));
        let pem = read(&certificate_file)?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| anyhow!("{} is damaged: {error}", certificate_file.display()))?;
        let key = KeyPair::from_pem(&read(&key_file)?).with_context(|| format!("{} is damaged", key_file.display()))?;
        if Sha256::digest(key.subject_public_key_info())[..] != key_hash(&certificate)? {
            return Err(restore(format!("{} and {} do not fit", certificate_file.display(), key_file.display())));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).context("read the authority")?;
        let authority = Self { issuer, certificate, pem };
        if noted.is_some_and(|noted| noted != authority.fingerprint_text()) {
            return Err(restore(format!("{} is of another grid", certificate_file.display())));
        }
        Ok(authority)
    }

    /// The authority's certificate (PEM).
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's certificate (DER).
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the authority's certificate, by which agents know it.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// The fingerprint as it is noted.
    pub fn fingerprint_text(&self) -> String {
        STANDARD.encode(self.fingerprint())
    }

    /// Signs the key of an agent (PEM). Nothing of the request counts but its key.
    pub fn sign_agent(&self, agent: Uuid, key: &AgentKey) -> Result<String> {
        let mut params = leaf(format!("agent {agent}"), ExtendedKeyUsagePurpose::ClientAuth);
        set_validity(&mut params, Timestamp::now(), AGENT_VALID);
        Ok(params.signed_by(&key.request.public_key, &self.issuer)?.pem())
    }

    /// Signs a certificate of the manager (PEM).
    pub fn sign_server(&self, key: &KeyPair, names: Vec<String>, valid: Duration) -> Result<String> {
        let mut params = CertificateParams::new(names)?;
        let template = leaf("Tomcat Grid manager".to_owned(), ExtendedKeyUsagePurpose::ServerAuth);
        params.distinguished_name = template.distinguished_name;
        params.extended_key_usages = template.extended_key_usages;
        params.key_usages = template.key_usages;
        params.serial_number = template.serial_number;
        set_validity(&mut params, Timestamp::now(), valid);
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }

    /// States that a manager is the primary of an epoch.
    pub fn state_primary(&self, grid: Uuid, epoch: u64, manager: Uuid) -> Result<Statement> {
        let signature = self.issuer.key().sign(&Statement::signed_bytes(grid, epoch, manager))?;
        Ok(Statement { grid, epoch, manager, signature: STANDARD.encode(signature) })
    }
}

impl AgentKey {
    /// Reads a signing request (PEM) and checks that who made it holds its key.
    pub fn from_request(pem: &str) -> Result<Self> {
        let request = CertificateSigningRequestParams::from_pem(pem).context("the signing request cannot be read")?;
        Ok(Self { request })
    }

    /// SHA-256 of the key (SubjectPublicKeyInfo, DER).
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.request.public_key.subject_public_key_info()).into()
    }
}

/// SHA-256 of the key of a certificate.
pub fn key_hash(certificate: &CertificateDer<'_>) -> Result<Hash> {
    let (_, parsed) = X509Certificate::from_der(certificate).context("parse the certificate")?;
    Ok(Sha256::digest(parsed.public_key().raw).into())
}

fn leaf(name: String, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.serial_number = Some(SerialNumber::from_slice(&Uuid::new_v4().as_bytes()[1..]));
    params
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, valid: Duration) {
    let date = |at: Timestamp| {
        let date = jiff::Timestamp::from_millisecond(at.as_millis())
            .unwrap_or_default()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = date(now.before(SKEW));
    // Whole days: the first day after the end.
    params.not_after = date(now.after(valid + Duration::from_secs(24 * 3600)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_made_once_and_signs() {
        let dir = tempfile::tempdir().unwrap();
        let load = |noted: Option<&str>| Authority::load_or_make(dir.path(), Uuid::nil(), noted);
        let authority = load(None).unwrap();
        assert_eq!(load(Some(&authority.fingerprint_text())).unwrap().fingerprint(), authority.fingerprint());

        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::new(vec![]).unwrap().serialize_request(&key).unwrap().pem().unwrap();
        let agent = AgentKey::from_request(&request).unwrap();
        let certificate = authority.sign_agent(Uuid::nil(), &agent).unwrap();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        assert_eq!(key_hash(&certificate).unwrap(), agent.hash());
        let (_, parsed) = X509Certificate::from_der(&certificate).unwrap();
        assert!(!parsed.is_ca());
    }

    #[test]
    fn an_authority_that_agents_know_is_never_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let load = |noted: Option<&str>| Authority::load_or_make(dir.path(), Uuid::nil(), noted);
        let noted = load(None).unwrap().fingerprint_text();
        for name in ["ca.pem", "ca.key"] {
            let (file, aside) = (dir.path().join(name), dir.path().join("aside"));
            std::fs::rename(&file, &aside).unwrap();
            let error = load(Some(&noted)).err().unwrap().to_string();
            assert!(error.contains(&format!("{name} is missing. Restore ")), "{error}");
            assert!(!file.exists());
            std::fs::rename(&aside, &file).unwrap();
        }
        load(Some(&noted)).unwrap();
        assert!(load(Some("another")).err().unwrap().to_string().contains("is of another grid"));
        // A start that ended between the key and the certificate begins anew: nobody knows that authority.
        std::fs::remove_file(dir.path().join("ca.pem")).unwrap();
        assert_ne!(load(None).unwrap().fingerprint_text(), noted);
        let other = tempfile::tempdir().unwrap();
        Authority::load_or_make(other.path(), Uuid::nil(), None).unwrap();
        std::fs::copy(other.path().join("ca.key"), dir.path().join("ca.key")).unwrap();
        assert!(load(None).err().unwrap().to_string().contains("do not fit"));
    }

    #[test]
    fn a_request_that_is_none_is_an_error() {
        assert!(AgentKey::from_request("nonsense").is_err());
    }
}
