//! `whoami`

use super::{
    args::Format,
    client::Client,
    exit::{Exit, Failure},
    output::Output,
};
use crate::http::api::me::Whoami;

/// Shows who the manager takes the caller for.
pub async fn run(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let me: Whoami = client.get("/whoami").await?;
    match output.format() {
        Format::Json => output.json(&me),
        Format::Name => output.line(&me.name),
        Format::Table => {
            let role = me.role.map_or("no role", |role| role.as_str());
            output.line(&format!("{} ({role}, by {}) in the grid {}", me.name, me.credential, me.grid));
            if let Some(targets) = me.targets {
                output.line(&format!("only for {}", targets.join(", ")));
            }
        }
    }
    Ok(Exit::Done)
}
