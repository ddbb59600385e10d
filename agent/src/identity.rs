//! Who the agent is: its key pair, its certificate, and what the grid's authority has signed.

use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use protocol::{statement::Statement, time::Timestamp};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::state_dir::StateDir;

/// Loads the agent's key pair, or makes one on the first start.
pub fn load_or_make_key(state: &StateDir) -> Result<KeyPair> {
    if let Some(pem) = state.key()? {
        return KeyPair::from_pem(&pem).context("read the agent's key: key.pem in its state directory is damaged");
    }
    let key = KeyPair::generate().context("make a key")?;
    fail::fail_point!("key_made", |_| std::process::abort());
    state.store_key(&key.serialize_pem())?;
    fail::fail_point!("key_stored", |_| std::process::abort());
    Ok(key)
}

/// A certificate signing request (PEM) of a key. The manager takes nothing from it but the key.
pub fn signing_request(key: &KeyPair) -> Result<String> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, "tomcat-grid-agent");
    Ok(params.serialize_request(key)?.pem()?)
}

/// When a certificate begins and ceases to be valid.
pub fn validity(certificate_pem: &str) -> Result<(Timestamp, Timestamp)> {
    let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|error| anyhow!("{error}"))?;
    let (_, certificate) = X509Certificate::from_der(&der).context("parse the certificate")?;
    let at = |time: x509_parser::time::ASN1Time| Timestamp::from_millis(time.timestamp().saturating_mul(1000));
    Ok((at(certificate.validity().not_before), at(certificate.validity().not_after)))
}

/// Whether a certificate is so old that it should be renewed: two thirds of its time are over.
pub fn is_due_for_renewal(certificate_pem: &str, now: Timestamp) -> Result<bool> {
    let (from, to) = validity(certificate_pem)?;
    let due = from.after(to.since(from).mul_f64(2.0 / 3.0));
    Ok(now >= due)
}

/// Checks that the grid's authority has signed a statement.
pub fn verify_statement(statement: &Statement, authority_pem: &str) -> Result<()> {
    let der = CertificateDer::from_pem_slice(authority_pem.as_bytes()).map_err(|error| anyhow!("{error}"))?;
    let (_, authority) = X509Certificate::from_der(&der).context("parse the authority's certificate")?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &authority.public_key().subject_public_key.data);
    let signature = STANDARD.decode(&statement.signature).context("the statement's signature is not base64")?;
    let bytes = Statement::signed_bytes(statement.grid, statement.epoch, statement.manager);
    if key.verify(&bytes, &signature).is_err() {
        bail!("the manager's statement is not signed by the grid's authority");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{IsCa, SigningKey};
    use uuid::Uuid;

    use super::*;

    fn authority() -> (KeyPair, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (key, pem)
    }

    #[test]
    fn only_the_authority_s_statement_is_believed() {
        let (key, pem) = authority();
        let bytes = Statement::signed_bytes(Uuid::nil(), 1, Uuid::nil());
        let signature = STANDARD.encode(key.sign(&bytes).unwrap());
        let statement = Statement { grid: Uuid::nil(), epoch: 1, manager: Uuid::nil(), signature };
        verify_statement(&statement, &pem).unwrap();
        assert!(verify_statement(&Statement { epoch: 2, ..statement.clone() }, &pem).is_err());
        assert!(verify_statement(&statement, &authority().1).is_err());
    }

    #[test]
    fn a_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let key = load_or_make_key(&state).unwrap();
        assert_eq!(load_or_make_key(&state).unwrap().serialize_pem(), key.serialize_pem());
        assert!(signing_request(&key).unwrap().contains("CERTIFICATE REQUEST"));
    }

    #[test]
    fn a_certificate_is_renewed_in_its_last_third() {
        let (_, pem) = authority();
        let (from, to) = validity(&pem).unwrap();
        let third = to.since(from) / 3;
        assert!(!is_due_for_renewal(&pem, from.after(third)).unwrap());
        assert!(is_due_for_renewal(&pem, from.after(third * 2 + Duration::from_secs(2))).unwrap());
        assert!(!is_due_for_renewal(&pem, from.before(third)).unwrap(), "a clock that is wrong at boot");
    }
}
