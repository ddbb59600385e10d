//! `events`

use futures_util::StreamExt;
use serde_json::Value;

use super::{
    args::{EventsArgs, Format},
    client::Client,
    exit::{Exit, Failure},
    output::{Output, harmless},
    watch::{Told, events},
};
use crate::grid::event::{Event, EventId, Kind};

/// Shows what happened.
pub async fn run(client: &Client, output: &mut Output, arguments: &EventsArgs) -> Result<Exit, Failure> {
    if let Some(since) = &arguments.since {
        since.parse::<EventId>().map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    if arguments.follow {
        return follow(client, output, arguments.since.clone()).await;
    }
    let path = match &arguments.since {
        Some(since) => format!("/journal?limit={}&since={since}", arguments.limit),
        None => format!("/journal?limit={}", arguments.limit),
    };
    let mut found: Vec<Event> = client.get(&path).await?;
    // Without a beginning the latest are asked for, and shown as they happened.
    if arguments.since.is_none() {
        found.reverse();
    }
    if output.format() == Format::Json {
        output.json(&found);
    } else {
        found.iter().for_each(|event| show(output, event));
    }
    Ok(Exit::Done)
}

async fn follow(client: &Client, output: &mut Output, since: Option<String>) -> Result<Exit, Failure> {
    let mut last = since;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let response = client.stream("/events", last.as_deref()).await?;
        let mut stream = std::pin::pin!(events(response));
        loop {
            let told = tokio::select! {
                _ = &mut interrupted => return Ok(Exit::Done),
                told = stream.next() => told,
            };
            match told {
                Some(Ok(Told::Event(event))) => {
                    last = Some(event.id.clone());
                    show(output, &event);
                }
                Some(Ok(Told::Reset(status))) => {
                    last = status.map(|status| status.seq).or(last);
                    output.note("events are missing here: those asked for are no longer kept");
                }
                Some(Err(_)) | None => break,
            }
        }
        output.note("the stream broke; opening it again");
    }
}

fn show(output: &mut Output, event: &Event) {
    let text = match output.format() {
        Format::Json => serde_json::to_string(event).unwrap_or_default(),
        Format::Name => event.id.clone(),
        Format::Table => line(event),
    };
    output.line(&text);
}

/// An event as people read it.
fn line(event: &Event) -> String {
    let draft = &event.draft;
    let kind = serde_json::to_value(draft.kind).ok();
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    let subject =
        draft.service.as_ref().map(ToString::to_string).or_else(|| draft.machine.as_ref().map(ToString::to_string));
    let words: &[&str] = match draft.kind {
        Kind::ServiceState => &["state", "reason"],
        _ => &["action", "outcome", "message", "code", "type", "role", "id", "from", "version"],
    };
    let mut details: Vec<String> =
        words.iter().filter_map(|word| draft.data.get(word)?.as_str().map(str::to_owned)).collect();
    details.extend(
        draft
            .data
            .get("connected")
            .and_then(Value::as_bool)
            .map(|connected| if connected { "linked".to_owned() } else { "away".to_owned() }),
    );
    details.extend(draft.actor.as_ref().map(|actor| format!("by {actor}")));
    let subject = subject.unwrap_or_else(|| "-".to_owned());
    harmless(format!("{}  {:<10} {kind:<16} {subject:<24} {}", event.at, event.id, details.join("  ")).trim_end())
}
