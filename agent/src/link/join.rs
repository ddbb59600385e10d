//! Joining a grid: `POST /agent/v1/join` with a token, until it is answered.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use protocol::{
    join::{JoinRequest, JoinResponse, Refusal, RefusalCode},
    token::JoinToken,
};
use rcgen::KeyPair;

use super::{dial::Route, tls};

/// How long the manager may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Why an attempt to join, or to link, came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The manager refuses.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// Something else, which may pass.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// Tries once to join through one manager.
pub async fn try_join(route: &Route, token: &JoinToken, request: &JoinRequest) -> Result<JoinResponse, Failure> {
    let stream = route
        .connect(tls::joining(token.authority)?, tls::server_name(token.grid))
        .await
        .map_err(|error| explain(route, error))?;
    let response = tokio::time::timeout(ANSWER_TIMEOUT, post(stream, request))
        .await
        .map_err(|_| anyhow!("the manager did not answer in {} s", ANSWER_TIMEOUT.as_secs()))??;
    if response.grid != token.grid {
        return Err(anyhow!("the manager answered for another grid").into());
    }
    Ok(response)
}

/// Says what a failure to connect means.
pub fn explain(route: &Route, error: std::io::Error) -> anyhow::Error {
    if tls::is_wrong_peer(&error) {
        return anyhow!(
            "who answers at {route} is not the manager of this grid: its certificate is not of the grid's authority ({error})"
        );
    }
    anyhow!("cannot reach the manager at {route}: {error}")
}

async fn post(stream: impl super::dial::Stream + 'static, request: &JoinRequest) -> Result<JoinResponse, Failure> {
    let body = serde_json::to_vec(request).context("write the request")?;
    let request = Request::post("/agent/v1/join")
        .header(header::HOST, "manager")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .context("make the request")?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.context("talk to the manager")?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.context("talk to the manager")?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| anyhow!("read the manager's answer: {error}"))?.to_bytes();
    if status == StatusCode::OK {
        return Ok(serde_json::from_slice(&body).context("read the manager's answer")?);
    }
    Err(refusal(status, &body))
}

/// Reads a refusal out of an HTTP answer.
pub fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) if refusal.code != RefusalCode::Unavailable => Failure::Refused(refusal),
        Ok(refusal) => Failure::Other(anyhow!("the manager is not able to now: {}", refusal.message)),
        Err(_) => Failure::Other(anyhow!("the manager answered with status {}", status.as_u16())),
    }
}

/// What an agent sends to join.
pub fn request(
    token: &JoinToken,
    key: &KeyPair,
    machine: protocol::name::MachineName,
    facts: protocol::report::MachineFacts,
) -> Result<JoinRequest> {
    let csr = crate::identity::signing_request(key)?;
    if csr.len() > protocol::limits::MAX_JOIN_BODY / 2 {
        bail!("the signing request is too large");
    }
    Ok(JoinRequest { token: token.to_string(), csr, machine, facts })
}
