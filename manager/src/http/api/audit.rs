//! `/api/v1/audit`

use std::sync::Arc;

use axum::{Json, extract::State};
use protocol::time::Timestamp;
use serde::Deserialize;

use super::{Params, page::PageQuery};
use crate::{
    app::{App, AppError},
    grid::{
        audit::{AuditFilter, AuditRecord},
        chain::{Head, Verdict},
        page::Page,
    },
    http::{auth::Authenticated, problem::Problem},
};

/// What `GET /audit` takes.
#[derive(Debug, Default, Deserialize)]
pub struct AuditQuery {
    /// Which part.
    #[serde(flatten)]
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
    since: Option<Timestamp>,
    /// Not after.
    until: Option<Timestamp>,
}

/// `GET /audit`: newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Page<AuditRecord>>, Problem> {
    let AuditQuery { page, actor, action, outcome, subject, since, until } = query;
    let filter = AuditFilter { actor, action, outcome, subject, since, until };
    Ok(Json(app.audit(&caller, &filter, page.cursor()?, page.limit()).await?))
}

/// What `GET /audit/verify` takes.
#[derive(Debug, Default, Deserialize)]
pub struct VerifyQuery {
    /// A head that the audit must still hold, as `SEQ:HASH`.
    expect: Option<String>,
}

/// `GET /audit/verify`
pub async fn verify(
    State(app): State<Arc<App>>,
    Authenticated(caller): Authenticated,
    Params(query): Params<VerifyQuery>,
) -> Result<Json<Verdict>, Problem> {
    let expect = query.expect.map(|text| text.parse::<Head>().map_err(AppError::Invalid)).transpose()?;
    Ok(Json(app.verify_audit(&caller, expect).await?))
}
