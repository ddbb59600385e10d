//! Opens a TLS connection to a manager, directly or through an HTTP proxy.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use http_body_util::Empty;
use hyper::{
    Method, Request, Uri,
    body::Bytes,
    header::{self, HeaderValue},
};
use hyper_util::{client::proxy::matcher::Matcher, rt::TokioIo};
use protocol::secret::Secret;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long one address may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the proxy and the TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The port of a manager whose URL names none.
const DEFAULT_PORT: u16 = 8443;

/// A byte stream to a manager.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Where a manager is, and how to get there.
#[derive(Clone)]
pub struct Route {
    /// The manager's host.
    pub host: String,
    /// The manager's port.
    pub port: u16,
    proxy: Option<Proxy>,
}

#[derive(Clone)]
struct Proxy {
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl Route {
    /// Reads a manager's URL, and a proxy's.
    pub fn parse(manager: &str, proxy: Option<&Secret>) -> Result<Self> {
        let example = "write it like https://manager.example.org:8443";
        let uri: Uri = manager.trim().parse().with_context(|| format!("`{manager}` is no URL: {example}"))?;
        if !matches!(uri.scheme_str(), Some("https" | "wss")) {
            bail!("`{manager}` is no https URL: {example}");
        }
        let host = host_of(&uri).with_context(|| format!("`{manager}` names no host: {example}"))?;
        let port = uri.port_u16().unwrap_or(DEFAULT_PORT);
        let proxy = Proxy::choose(&uri, &host, proxy)?;
        Ok(Self { host, port, proxy })
    }

    /// Connects.
    pub async fn connect(
        &self,
        tls: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<TlsStream<Box<dyn Stream>>> {
        let stream: Box<dyn Stream> = match &self.proxy {
            None => Box::new(connect_tcp(&self.host, self.port).await?),
            Some(proxy) => within(HANDSHAKE_TIMEOUT, "the proxy", proxy.tunnel(&self.host, self.port)).await?,
        };
        within(HANDSHAKE_TIMEOUT, "the manager", TlsConnector::from(tls).connect(name, stream)).await
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        match &self.proxy {
            Some(proxy) => write!(f, " through the proxy {}:{}", proxy.host, proxy.port),
            None => Ok(()),
        }
    }
}

impl Proxy {
    /// The proxy to a manager: the one that is set, else the one that the environment names (`HTTPS_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`), as other programs understand it. The environment's is never used for this machine itself.
    fn choose(manager: &Uri, host: &str, set: Option<&Secret>) -> Result<Option<Self>> {
        let matcher = match set {
            Some(url) => {
                let url = url.expose();
                // The URL may hold a password, so no message repeats it.
                let uri: Option<Uri> = url.trim().parse().ok();
                if uri.as_ref().and_then(Uri::scheme_str) != Some("http") {
                    bail!("the proxy's URL cannot be used: write it like http://user:password@host:3128");
                }
                Matcher::builder().all(url.trim()).build()
            }
            None if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) => return Ok(None),
            None => Matcher::from_env(),
        };
        // A WebSocket's address is an HTTPS address to everybody else.
        let manager: Uri =
            format!("https://{}", manager.authority().map_or(host, |authority| authority.as_str())).parse()?;
        let Some(found) = matcher.intercept(&manager) else { return Ok(None) };
        if found.uri().scheme_str() != Some("http") {
            bail!("the environment names a proxy that is spoken to over TLS or SOCKS; set an http:// one with --proxy");
        }
        let host = host_of(found.uri()).context("the proxy's URL names no host")?;
        let authorization = found.basic_auth().cloned();
        Ok(Some(Self { host, port: found.uri().port_u16().unwrap_or(3128), authorization }))
    }

    /// Asks the proxy for a tunnel (RFC 9110, section 9.3.6).
    async fn tunnel(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let stream = connect_tcp(&self.host, self.port).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection.with_upgrades());
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let authority = format!("{host}:{port}");
        let mut request = Request::builder().method(Method::CONNECT).uri(&authority).header(header::HOST, &authority);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::PROXY_AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        if !response.status().is_success() {
            // Some proxies say 407 to who shows no password, and 401 to who shows a wrong one.
            let hint = match (response.status().as_u16(), &self.authorization) {
                (401 | 407, None) => ": its URL needs a user and a password",
                (401 | 407, Some(_)) => ": it does not accept the user and the password of its URL",
                _ => "",
            };
            return Err(io::Error::other(format!(
                "the proxy refuses the tunnel with status {}{hint}",
                response.status().as_u16()
            )));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(io::Error::other)?;
        Ok(Box::new(TokioIo::new(upgraded)))
    }
}

fn host_of(uri: &Uri) -> Option<String> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| host.to_owned())
}

/// Tries every address of a host in turn.
async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("the name service knows no address of `{host}`"));
    let addresses = within(CONNECT_TIMEOUT, "the name service", tokio::net::lookup_host((host, port))).await?;
    for address in addresses {
        match within(CONNECT_TIMEOUT, "the host", TcpStream::connect(address)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn within<T>(limit: Duration, who: &str, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| {
        let message = format!("{who} did not answer in {} s", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        for (url, expected) in [
            ("https://m.example.org:9443", Some("m.example.org:9443")),
            ("wss://m.example.org", Some("m.example.org:8443")),
            ("https://[::1]:8443", Some("::1:8443")),
            ("http://m.example.org", None),
            ("m.example.org:8443", None),
            ("", None),
        ] {
            assert_eq!(Route::parse(url, None).ok().map(|route| route.to_string()).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_proxy_s_password_is_sent_and_never_shown() {
        let route = Route::parse("https://m:1", Some(&"http://me:s%40cret@proxy:3128".to_owned().into())).unwrap();
        assert_eq!(route.to_string(), "m:1 through the proxy proxy:3128");
        let proxy = route.proxy.unwrap();
        // "me:s@cret" in base64.
        assert_eq!(proxy.authorization.unwrap(), "Basic bWU6c0BjcmV0");
        let error =
            Route::parse("https://m:1", Some(&"ftp://me:secret@proxy".to_owned().into())).err().unwrap().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
