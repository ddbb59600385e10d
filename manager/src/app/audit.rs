//! The audit, read and checked.

use super::{App, Result};
use crate::grid::{
    access::{Caller, Permission},
    audit::{AuditFilter, AuditRecord},
    chain::{Head, Verdict},
    page::Page,
};

/// How many records are looked at for one part of the list.
const SCAN: u32 = 20_000;

/// How many records are checked at a time.
const BATCH: u32 = 1000;

/// What reading the audit is called in it, when it is refused.
const READ: &str = "audit-read";

impl App {
    /// A part of the audit, newest first; a part may have few items or none and yet not be the last.
    pub async fn audit(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<AuditRecord>> {
        self.permit(caller, Permission::ReadAudit, READ, "").await?;
        let (items, next) = self.store.audit(filter, before, limit, SCAN).await?;
        Ok(Page { items, next: next.map(|next| next.to_string()) })
    }

    /// Checks the audit; `expect` is a head that was kept elsewhere.
    pub async fn verify_audit(&self, caller: &Caller, expect: Option<Head>) -> Result<Verdict> {
        self.permit(caller, Permission::ReadAudit, READ, "").await?;
        let verdict = self.store.check_audit(expect, BATCH).await?;
        if !verdict.ok {
            tracing::error!("the audit is not whole: {}", verdict.message);
        }
        Ok(verdict)
    }
}
