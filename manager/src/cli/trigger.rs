//! `trigger-start`, `trigger-stop`, `trigger-kill`

use comfy_table::{Cell, Color};
use protocol::state::Action;

use super::{
    args::{Format, TriggerArgs},
    client::Client,
    exit::{Exit, Failure},
    output::{Output, harmless},
};
use crate::{
    grid::view::TriggerOutcome,
    http::api::triggers::{TriggerRequest, TriggerResponse},
};

/// Triggers services, and shows what became of it on each.
pub async fn run(
    client: &Client,
    output: &mut Output,
    action: Action,
    arguments: &TriggerArgs,
) -> Result<Exit, Failure> {
    let request = TriggerRequest { action, targets: arguments.targets.clone(), dry_run: arguments.dry_run };
    let response: TriggerResponse = client.post("/trigger", &request).await?;
    let results = &response.results;
    match output.format() {
        Format::Json => output.json(&response),
        Format::Name => results.iter().for_each(|result| output.line(result.service.as_str())),
        Format::Table if results.is_empty() => output.line("No instances: nothing to do."),
        Format::Table => {
            let mut table = output.table(&["SERVICE", "OUTCOME", "HOW"]);
            for result in results {
                let colour = match result.outcome {
                    TriggerOutcome::Done | TriggerOutcome::Planned => Color::Green,
                    TriggerOutcome::Ignored => Color::Reset,
                    _ => Color::Red,
                };
                table.add_row(vec![
                    Cell::new(&result.service),
                    Cell::new(result.outcome.as_str()).fg(colour),
                    Cell::new(harmless(&result.message)),
                ]);
            }
            output.show(table);
        }
    }
    Ok(Exit::of_trigger(results))
}
