//! Fetching a hook program from the manager that the link is open to.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use protocol::{desired::Program, hook::MAX_PROGRAM};
use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{dial::Route, join::explain, tls};
use crate::hooks::store::UNFINISHED;

/// How long the manager may say nothing.
const SILENCE: Duration = Duration::from_secs(20);

/// How long the whole may take.
const WHOLE: Duration = Duration::from_secs(300);

/// Where programs come from.
#[derive(Clone)]
pub struct Source {
    /// The manager that the link is open to.
    pub route: Route,
    /// The TLS settings of the link.
    pub tls: Arc<ClientConfig>,
    /// The grid.
    pub grid: Uuid,
}

impl Source {
    /// Fetches a program into a directory, under its hash. What is not whole, or another, leaves nothing behind.
    pub async fn fetch(&self, program: &Program, dir: &Path) -> Result<()> {
        let fetched = tokio::time::timeout(WHOLE, self.fetch_slowly(program, dir)).await;
        fetched.map_err(|_| anyhow!("the manager did not send it in {} s", WHOLE.as_secs()))?
    }

    async fn fetch_slowly(&self, program: &Program, dir: &Path) -> Result<()> {
        let stream = self.route.connect(self.tls.clone(), tls::server_name(self.grid)).await;
        let stream = stream.map_err(|error| explain(&self.route, error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.context("talk to the manager")?;
        tokio::spawn(connection);
        let request = Request::get(format!("/agent/v1/blobs/{}", program.hash))
            .header(header::HOST, "manager")
            .body(Empty::<Bytes>::new())
            .context("make the request")?;
        let answer = tokio::time::timeout(SILENCE, sender.send_request(request)).await;
        let answer = answer.context("the manager did not answer")?.context("talk to the manager")?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => bail!("the manager does not have it (status 404)"),
            status => bail!("the manager does not give it (status {})", status.as_u16()),
        }
        let limit = usize::try_from(program.size).unwrap_or(MAX_PROGRAM).min(MAX_PROGRAM);
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir).context("write into the disk")?;
        let (mut hash, mut length) = (Sha256::new(), 0);
        let mut body = answer.into_body();
        while let Some(frame) = tokio::time::timeout(SILENCE, body.frame()).await.context("the manager fell silent")? {
            let Ok(data) = frame.context("the manager broke off")?.into_data() else { continue };
            length += data.len();
            if length > limit {
                bail!("the manager sends more than the {limit} bytes that it announced");
            }
            hash.update(&data);
            file.write_all(&data).context("write to the disk")?;
        }
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found != program.hash {
            bail!("what the manager sent is not the program: its SHA-256 is {found}");
        }
        let target = dir.join(&program.hash);
        tokio::task::spawn_blocking(move || keep(file, &target)).await?.context("write to the disk")
    }
}

/// Puts a whole file in its place; returns when it is on disk.
fn keep(file: tempfile::NamedTempFile, target: &PathBuf) -> std::io::Result<()> {
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o500))?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    target.parent().map_or(Ok(()), |dir| std::fs::File::open(dir)?.sync_all())
}
