//! `POST /agent/v1/join`.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::State,
};
use protocol::{
    join::{JoinRequest, JoinResponse, Refusal, RefusalCode},
    limits::MAX_JOIN_BODY,
};

use super::{BODY_TIMEOUT, Peer, problem::Problem};
use crate::app::App;

/// Joins a machine.
pub async fn join(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<Json<JoinResponse>, Problem> {
    let bad = |message: String| Refusal::new(RefusalCode::BadRequest, message);
    let Ok(body) = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_JOIN_BODY)).await else {
        return Err(Problem::late_body());
    };
    let body = body.map_err(|_| bad(format!("larger than {MAX_JOIN_BODY} bytes")))?;
    let request: JoinRequest = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    // Carried to its end also when the agent goes away: it will ask again, and must get the same answer.
    let joining = tokio::spawn(async move { app.join(request, &peer.from()).await });
    let joined = joining.await.map_err(|error| crate::app::AppError::Internal(error.into()))?;
    Ok(Json(joined?))
}
