//! Opens a TLS connection to a manager, directly or through an HTTP proxy.

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use http_body_util::Empty;
use hyper::{Method, Request, Uri, body::Bytes, header};
use hyper_util::rt::TokioIo;
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
    authorization: Option<String>,
}

impl Route {
    /// Reads a manager's URL, and a proxy's.
    pub fn parse(manager: &str, proxy: Option<&str>) -> Result<Self> {
        let example = "write it like https://manager.example.org:8443";
        let uri: Uri = manager.trim().parse().with_context(|| format!("`{manager}` is no URL: {example}"))?;
        if !matches!(uri.scheme_str(), Some("https" | "wss")) {
            bail!("`{manager}` is no https URL: {example}");
        }
        let host = host_of(&uri).with_context(|| format!("`{manager}` names no host: {example}"))?;
        let port = uri.port_u16().unwrap_or(DEFAULT_PORT);
        Ok(Self { host, port, proxy: proxy.map(Proxy::parse).transpose()? })
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
    fn parse(url: &str) -> Result<Self> {
        // The URL may hold a password, so no message repeats it.
        let uri: Uri = url
            .trim()
            .parse()
            .map_err(|_| anyhow!("the proxy's URL cannot be read: write it like http://user:password@host:3128"))?;
        if uri.scheme_str() != Some("http") {
            bail!("the proxy's URL must begin with http://");
        }
        let host = host_of(&uri).context("the proxy's URL names no host")?;
        let user = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')).map(|(user, _)| user);
        let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(percent_decode(user))));
        Ok(Self { host, port: uri.port_u16().unwrap_or(3128), authorization })
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
            let hint = if response.status() == 407 { ": its URL needs a user and a password" } else { "" };
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

fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let mut ahead = bytes.clone();
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    decoded
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
        let route = Route::parse("https://m:1", Some("http://me:s%40cret@proxy:3128")).unwrap();
        assert_eq!(route.to_string(), "m:1 through the proxy proxy:3128");
        let proxy = route.proxy.unwrap();
        assert_eq!(proxy.authorization.unwrap(), format!("Basic {}", STANDARD.encode("me:s@cret")));
        let error = Proxy::parse("ftp://me:secret@proxy").err().unwrap().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
