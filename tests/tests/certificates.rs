//! A certificate of one's own for browsers, which agents never see.

use std::{fs, path::Path};

use rcgen::{CertificateParams, KeyPair};
use tests::{
    agent::TestAgent,
    manager::{PASSWORD, TestManager},
    programs::{self, Ran},
};

/// Writes a certificate for `localhost` and its key, and returns their paths.
fn write_certificate(dir: &Path, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let paths = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    fs::write(&paths.0, certificate.pem()).unwrap();
    fs::write(&paths.1, key.serialize_pem()).unwrap();
    (paths.0.display().to_string(), paths.1.display().to_string())
}

/// Asks over TLS who one is, trusting one authority.
fn whoami(manager: &TestManager, token: &str, authority: &str) -> Ran {
    let port = manager.address().rsplit(':').next().unwrap().to_owned();
    let mut command = manager.command(&["whoami", "--cacert", authority]);
    command.env("TOMCAT_GRID_ADDR", format!("https://localhost:{port}")).env("TOMCAT_GRID_TOKEN", token);
    programs::run(&mut command)
}

#[test]
fn people_see_one_s_own_certificate_and_agents_the_grid_s() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = write_certificate(dir.path(), "own");
    let manager = TestManager::start_with(&[("TOMCAT_GRID_TLS_CERT", &certificate), ("TOMCAT_GRID_TLS_KEY", &key)]);
    let _agent = TestAgent::start(&manager, "web-1", manager.dir());
    let token = manager.cli(&["token", "create", "--api", "--role", "viewer"]).out.trim().to_owned();
    assert!(whoami(&manager, &token, &certificate).out.contains("(viewer, by token)"));
    let grids_own = manager.data().join("pki/ca.pem").display().to_string();
    let refused = whoami(&manager, &token, &grids_own);
    assert_eq!(refused.code, 11);
    assert!(refused.err.contains("certificate"), "{}", refused.err);
}

#[test]
fn without_one_the_grid_s_authority_signs_for_people_too() {
    let manager = TestManager::start();
    let token = manager.cli(&["token", "create", "--api", "--role", "operator"]).out.trim().to_owned();
    let grids_own = manager.data().join("pki/ca.pem").display().to_string();
    assert!(whoami(&manager, &token, &grids_own).out.contains("(operator, by token)"));
}

#[test]
fn a_certificate_and_a_key_that_do_not_fit_are_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let ((certificate, _), (_, key)) = (write_certificate(dir.path(), "a"), write_certificate(dir.path(), "b"));
    let data = dir.path().join("m").display().to_string();
    let mut command = std::process::Command::new(programs::path("tomcat-grid"));
    command.args(["serve", "--data", &data, "--listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key]);
    command.env("TOMCAT_GRID_ADMIN_PASSWORD", PASSWORD);
    let ran = programs::run(&mut command);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("do not fit together"), "{}", ran.err);
}
