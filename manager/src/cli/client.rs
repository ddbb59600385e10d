//! Talks to a manager, over its Unix socket or over TLS.

use std::{path::PathBuf, sync::Arc, time::Duration};

use protocol::secret::Secret;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    args::Global,
    exit::{Exit, Failure},
};
use crate::{config, http::problem::Problem};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The environment variables that give the API token, or name its file.
const TOKEN: [&str; 2] = ["TOMCAT_GRID_TOKEN", "TOMCAT_GRID_TOKEN_FILE"];

/// A manager.
pub struct Client {
    http: reqwest::Client,
    base: String,
    shown: String,
    token: Option<Secret>,
    /// Whether a token is there, and not shown, because at a socket it is the user who counts.
    ignores_token: bool,
}

impl Client {
    /// Prepares to talk to the manager that the caller names, or to that of this host.
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let usage = |error: anyhow::Error| Failure::new(Exit::Usage, format!("{error:#}"));
        let shown = match &global.addr {
            Some(addr) => addr.clone(),
            None => format!("unix://{}", config::default_data().map_err(usage)?.join("manager.sock").display()),
        };
        let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).user_agent("tomcat-grid");
        let broken = |error: reqwest::Error| Failure::new(Exit::Usage, format!("cannot talk to {shown}: {error}"));
        if let Some(path) = shown.strip_prefix("unix://") {
            let ignores_token = TOKEN.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
            let http = builder.unix_socket(PathBuf::from(path)).build().map_err(broken)?;
            return Ok(Self { http, base: "http://localhost".to_owned(), shown, token: None, ignores_token });
        }
        let names_a_host = |text: &str| reqwest::Url::parse(text).is_ok_and(|url| url.has_host());
        if !shown.starts_with("https://") || !names_a_host(&shown) {
            let message = format!("`{shown}` is no address: write unix:///path/manager.sock or https://host:8443");
            return Err(Failure::new(Exit::Usage, message));
        }
        let http = match &global.cacert {
            Some(file) => builder.tls_backend_preconfigured(trusting(file).map_err(usage)?),
            None => builder,
        };
        let token = config::secret(TOKEN[0]).map_err(usage)?;
        let base = shown.trim_end_matches('/').to_owned();
        Ok(Self { http: http.build().map_err(broken)?, base, shown, token, ignores_token: false })
    }

    /// Where the manager is, as the caller named it.
    pub fn address(&self) -> &str {
        &self.shown
    }

    /// What whoever calls should know, and may not expect.
    pub fn remark(&self) -> Option<String> {
        self.ignores_token.then(|| {
            format!(
                "{} is not used at the socket {}: there it counts which user of the host calls",
                TOKEN[0], self.shown
            )
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// Gets something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.read(self.send(self.request(Method::GET, path)).await?).await
    }

    /// Posts something, and reads the answer.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.read(self.send(self.request(Method::POST, path).json(body)).await?).await
    }

    /// Posts a file as it is, and reads the answer.
    pub async fn upload<T: DeserializeOwned>(&self, path: &str, bytes: Vec<u8>) -> Result<T, Failure> {
        let request = self.request(Method::POST, path).header("content-type", "application/octet-stream").body(bytes);
        self.read(self.send(request).await?).await
    }

    /// Changes something, and reads the answer.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.read(self.send(self.request(Method::PATCH, path).json(body)).await?).await
    }

    /// Does something that has no answer.
    pub async fn act(&self, method: Method, path: &str) -> Result<(), Failure> {
        self.send(self.request(method, path)).await.map(drop)
    }

    /// Opens a stream of events.
    pub async fn stream(&self, path: &str, last_event: Option<&str>) -> Result<Response, Failure> {
        let mut request = self.request(Method::GET, path);
        if let Some(id) = last_event {
            request = request.header("last-event-id", id);
        }
        self.send(request).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem = response.json::<Problem>().await.ok();
        let message =
            problem.map_or_else(|| format!("the manager answered with status {status}"), |problem| problem.detail);
        let exit = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::NotAllowed,
            StatusCode::NOT_FOUND => Exit::NoSuchTarget,
            StatusCode::CONFLICT => Exit::Conflict,
            StatusCode::BAD_REQUEST => Exit::Usage,
            _ => Exit::Failed,
        };
        Err(Failure::new(exit, message))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("the manager's answer cannot be read ({error}): are both of one version?"),
            )
        })
    }

    /// Says why the manager cannot be reached, with the innermost cause, which is what helps.
    pub fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let hint = match self.shown.strip_prefix("unix://") {
            Some(_) => "is the manager running on this host? Another is named with --addr or TOMCAT_GRID_ADDR",
            None if cause.to_string().contains("certificate") => {
                "name the manager's certificate authority (DIR/pki/ca.pem on its host) with --cacert or TOMCAT_GRID_CACERT"
            }
            None => "is it running, and is the address right?",
        };
        Failure::new(Exit::Unreachable, format!("cannot reach the manager at {}: {cause}; {hint}", self.shown))
    }
}

fn trusting(file: &std::path::Path) -> anyhow::Result<ClientConfig> {
    let wrong =
        |error: rustls::pki_types::pem::Error| anyhow::anyhow!("read the certificates of {}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(wrong)? {
        roots.add(certificate.map_err(wrong)?)?;
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
