//! `token`

use comfy_table::Cell;
use protocol::time::Timestamp;
use reqwest::Method;

use super::{
    args::{Format, TokenAction},
    client::Client,
    exit::{Exit, Failure},
    output::{Output, harmless},
    pages,
    status::since,
};
use crate::{
    grid::access::Role,
    http::api::tokens::{TokenRequest, TokenResponse},
    store::tokens::{Token, TokenType},
};

/// Makes, lists and revokes tokens.
pub async fn run(client: &Client, output: &mut Output, action: &TokenAction) -> Result<Exit, Failure> {
    match action {
        TokenAction::Create { ttl, uses, machine, api, role, targets, description, owner } => {
            let ttl_seconds = ttl.0.as_secs();
            let request = if *api {
                TokenRequest::Api {
                    ttl_seconds,
                    role: role.unwrap_or(Role::Viewer),
                    targets: (!targets.is_empty()).then(|| targets.clone()),
                    description: description.clone().unwrap_or_default(),
                    owner: owner.clone(),
                }
            } else {
                let machine = machine.as_ref().map(|name| name.parse()).transpose();
                let machine =
                    machine.map_err(|error: protocol::name::NameError| Failure::new(Exit::Usage, error.to_string()))?;
                TokenRequest::Join { ttl_seconds, uses: *uses, machine }
            };
            let response: TokenResponse = client.post("/tokens", &request).await?;
            match output.format() {
                Format::Json => {
                    let text = serde_json::to_string_pretty(&response).unwrap_or_default();
                    output.secret(&text);
                }
                Format::Table | Format::Name => output.secret(&response.secret),
            }
            Ok(Exit::Done)
        }
        TokenAction::List => list(client, output).await,
        TokenAction::Revoke { id } => {
            if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Failure::new(Exit::Usage, format!("`{id}` is no token id: `token list` shows them")));
            }
            client.act(Method::DELETE, &format!("/tokens/{id}")).await?;
            output.line(&format!("the token {id} is revoked"));
            Ok(Exit::Done)
        }
    }
}

async fn list(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let tokens: Vec<Token> = pages::all(client, "/tokens").await?;
    match output.format() {
        Format::Json => output.json(&tokens),
        Format::Name => tokens.iter().for_each(|token| output.line(&token.id)),
        Format::Table if tokens.is_empty() => output.line("No tokens."),
        Format::Table => {
            let now = Timestamp::now();
            let mut table = output.table(&[
                "ID",
                "TYPE",
                "FOR",
                "OWNER",
                "USES",
                "LAST USED",
                "STATE",
                "MADE BY",
                "AGE",
                "DESCRIPTION",
            ]);
            for token in &tokens {
                let kind = match token.r#type {
                    TokenType::Join => "join",
                    TokenType::Api => "api",
                };
                let uses = match (token.uses, token.max_uses) {
                    (Some(uses), Some(max)) => format!("{uses} of {max}"),
                    _ => String::new(),
                };
                let used = match (token.last_used_at, &token.last_used_from) {
                    (Some(at), Some(from)) => format!("{} ago from {from}", since(at, now)),
                    (Some(at), None) => format!("{} ago", since(at, now)),
                    (None, _) => "-".to_owned(),
                };
                table.add_row(vec![
                    Cell::new(&token.id),
                    Cell::new(kind),
                    Cell::new(purpose(token)),
                    Cell::new(token.owner.as_deref().unwrap_or("-")),
                    Cell::new(uses),
                    Cell::new(used),
                    Cell::new(state(token, now)),
                    Cell::new(&token.created_by),
                    Cell::new(since(token.created_at, now)),
                    Cell::new(harmless(&token.description)),
                ]);
            }
            output.show(table);
        }
    }
    Ok(Exit::Done)
}

/// What a token is for, in words.
fn purpose(token: &Token) -> String {
    match (&token.machine, token.role, &token.targets) {
        (Some(machine), ..) => machine.clone(),
        (None, Some(role), Some(targets)) => format!("{role} of {}", targets.join(", ")),
        (None, Some(role), None) => role.to_string(),
        (None, None, _) => "any machine".to_owned(),
    }
}

fn state(token: &Token, now: Timestamp) -> String {
    if token.revoked_at.is_some() {
        return "revoked".to_owned();
    }
    if token.expires_at <= now {
        return "expired".to_owned();
    }
    if token.max_uses.is_some() && token.uses >= token.max_uses {
        return "used up".to_owned();
    }
    format!("good for {}", since(now, token.expires_at))
}
