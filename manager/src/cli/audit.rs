//! `audit`

use comfy_table::{Cell, Color};

use super::{
    args::{AuditAction, AuditArgs, AuditListArgs, Format},
    client::Client,
    exit::{Exit, Failure},
    output::{Output, harmless},
    pages,
};
use crate::grid::{
    audit::AuditRecord,
    chain::{Head, Verdict},
};

/// Shows the audit, or checks it.
pub async fn run(client: &Client, output: &mut Output, arguments: &AuditArgs) -> Result<Exit, Failure> {
    match &arguments.action {
        None => list(client, output, &arguments.list).await,
        Some(AuditAction::List(arguments)) => list(client, output, arguments).await,
        Some(AuditAction::Verify { expect }) => verify(client, output, expect.clone()).await,
    }
}

async fn list(client: &Client, output: &mut Output, arguments: &AuditListArgs) -> Result<Exit, Failure> {
    let AuditListArgs { actor, action, outcome, subject, since, until, limit } = arguments;
    let (since, until) = (since.map(|since| since.0.to_string()), until.map(|until| until.0.to_string()));
    let parameters = [
        ("actor", actor),
        ("action", action),
        ("outcome", outcome),
        ("subject", subject),
        ("since", &since),
        ("until", &until),
    ];
    let mut records: Vec<AuditRecord> = pages::get(client, &pages::query("/audit", parameters), *limit).await?;
    // The latest are asked for, and shown as they happened.
    records.reverse();
    match output.format() {
        Format::Json => output.json(&records),
        Format::Name => records.iter().for_each(|record| output.line(&record.seq.to_string())),
        Format::Table if records.is_empty() => output.line("No records."),
        Format::Table => {
            let mut table =
                output.table(&["SEQ", "TIME", "WHO", "BY", "FROM", "ACTION", "SUBJECT", "OUTCOME", "DETAIL"]);
            for record in &records {
                let colour = match record.outcome.as_str() {
                    "done" | "ignored" => Color::Reset,
                    _ => Color::Red,
                };
                table.add_row(vec![
                    Cell::new(record.seq),
                    Cell::new(record.at),
                    Cell::new(harmless(&record.actor)),
                    Cell::new(record.credential.as_deref().unwrap_or("-")),
                    Cell::new(harmless(&record.from)),
                    Cell::new(harmless(&record.action)),
                    Cell::new(harmless(&record.subject)),
                    Cell::new(harmless(&record.outcome)).fg(colour),
                    Cell::new(harmless(&record.detail)),
                ]);
            }
            output.show(table);
        }
    }
    Ok(Exit::Done)
}

async fn verify(client: &Client, output: &mut Output, expect: Option<String>) -> Result<Exit, Failure> {
    if let Some(expect) = &expect {
        expect.parse::<Head>().map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    let verdict: Verdict = client.get(&pages::query("/audit/verify", [("expect", &expect)])).await?;
    match output.format() {
        Format::Json => output.json(&verdict),
        Format::Name => verdict.head.iter().for_each(|head| output.line(head)),
        Format::Table if verdict.ok => {
            output.line(&verdict.message);
            if let Some(head) = &verdict.head {
                output.line(&format!("head: {head}"));
            }
        }
        Format::Table => {}
    }
    if verdict.ok {
        return Ok(Exit::Done);
    }
    output.error(&format!("the audit is not whole: {}", verdict.message));
    Ok(Exit::Failed)
}
