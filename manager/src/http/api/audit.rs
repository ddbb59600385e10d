//! `/api/v1/audit`

use std::sync::Arc;

use axum::{Json, extract::State};
use protocol::time::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Params, page::PageQuery};
use crate::{
    app::{App, AppError, to_the_end},
    grid::{
        audit::{AuditFilter, AuditRecord},
        chain::{Head, Verdict},
        page::Page,
        schema,
    },
    http::{
        auth::Authenticated,
        openapi::answers::{BadParameters, LoginNeeded},
        problem::Problem,
    },
};

/// What `GET /audit` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Which part.
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
    /// Who.
    actor: Option<String>,
    /// What.
    action: Option<String>,
    /// What came of it.
    outcome: Option<String>,
    /// On what.
    subject: Option<String>,
    /// Not before.
    #[param(inline, value_type = Option<schema::Timestamp>)]
    since: Option<Timestamp>,
    /// Not after.
    #[param(inline, value_type = Option<schema::Timestamp>)]
    until: Option<Timestamp>,
}

/// The audit: who did what, and what was refused.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "access",
    operation_id = "audit",
    params(AuditQuery, PageQuery),
    responses((status = 200, description = "A part of it, newest first", body = Page<AuditRecord>), BadParameters, LoginNeeded),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Page<AuditRecord>>, Problem> {
    let AuditQuery { page, actor, action, outcome, subject, since, until } = query;
    let filter = AuditFilter { actor, action, outcome, subject, since, until };
    let (before, limit) = (page.cursor()?, page.limit());
    // Also who does not wait for the refusal is on record.
    Ok(Json(to_the_end(async move { app.audit(&caller, &filter, before, limit).await }).await?))
}

/// What `GET /audit/verify` takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VerifyQuery {
    /// A head that the audit must still hold, as `SEQ:HASH`.
    #[param(pattern = "^[1-9][0-9]{0,17}:[0-9a-fA-F]{64}$")]
    expect: Option<String>,
}

/// Whether the audit is whole: nothing was changed, removed, put in or moved.
#[utoipa::path(
    get,
    path = "/audit/verify",
    tag = "access",
    operation_id = "verify_audit",
    params(VerifyQuery),
    responses((status = 200, description = "What came of the check", body = Verdict), BadParameters, LoginNeeded),
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<VerifyQuery>,
) -> Result<Json<Verdict>, Problem> {
    let expect = query.expect.map(|text| text.parse::<Head>().map_err(AppError::Invalid)).transpose()?;
    Ok(Json(to_the_end(async move { app.verify_audit(&caller, expect).await }).await?))
}
