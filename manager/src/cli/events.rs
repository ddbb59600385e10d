//! `events`

use std::str::FromStr;

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::{
    args::{EventsArgs, Format},
    client::Client,
    exit::{Exit, Failure},
    interrupt::told_to_end,
    output::{Output, harmless},
    pages,
    watch::{AGAIN, Told, events},
};
use crate::grid::{
    event::{Event, EventId, Kind},
    search::{self, About, EventFilter},
    view::Status,
};

/// Shows what happened.
pub async fn run(client: &Client, output: &mut Output, arguments: &EventsArgs) -> Result<Exit, Failure> {
    if let Some(since) = &arguments.since {
        since.parse::<EventId>().map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    let filter = filter(arguments)?;
    if arguments.follow {
        return follow(client, output, arguments.since.clone(), &filter).await;
    }
    let mut found: Vec<Value> = pages::get(client, &path(arguments), arguments.limit).await?;
    // Without a beginning the latest are asked for, and shown as they happened.
    if arguments.since.is_none() {
        found.reverse();
    }
    if output.format() == Format::Json {
        output.json(&found);
        return Ok(Exit::Done);
    }
    for event in found {
        match Event::deserialize(&event) {
            Ok(event) => show(output, &event),
            Err(why) => note_unreadable(output, event["id"].as_str().unwrap_or_default(), &why.to_string()),
        }
    }
    Ok(Exit::Done)
}

/// What the caller wants to see.
fn filter(arguments: &EventsArgs) -> Result<EventFilter, Failure> {
    fn read<T: FromStr<Err: ToString>>(text: Option<&String>) -> Result<Option<T>, Failure> {
        text.map(|text| text.parse().map_err(|error: T::Err| Failure::new(Exit::Usage, error.to_string()))).transpose()
    }
    let EventsArgs { kind, service, machine, actor, .. } = arguments;
    Ok(EventFilter {
        kinds: search::kinds(&kind.join(",")).map_err(|error| Failure::new(Exit::Usage, error))?,
        service: read(service.as_ref())?,
        machine: read(machine.as_ref())?,
        actor: actor.clone(),
        state: None,
    })
}

/// The API's path for what the caller wants to see.
fn path(arguments: &EventsArgs) -> String {
    let kind = Some(arguments.kind.join(",")).filter(|kind| !kind.is_empty());
    let parameters = [
        ("since", &arguments.since),
        ("kind", &kind),
        ("service", &arguments.service),
        ("machine", &arguments.machine),
        ("actor", &arguments.actor),
    ];
    pages::query("/journal", parameters)
}

fn note_unreadable(output: &mut Output, id: &str, why: &str) {
    output.note(&format!("the event {id} cannot be read ({why}): are both of one version?"));
}

async fn follow(
    client: &Client,
    output: &mut Output,
    since: Option<String>,
    filter: &EventFilter,
) -> Result<Exit, Failure> {
    // From now on, with an id: an outage that comes before the first event must not hide one.
    let mut last = match since {
        Some(since) => since,
        None => client.get::<Status>("/status").await?.seq,
    };
    let mut interrupted = std::pin::pin!(told_to_end());
    let mut is_first = true;
    loop {
        let response = match client.stream("/events", Some(&last)).await {
            Ok(response) => response,
            Err(failure) if is_first || failure.exit != Exit::Unreachable => return Err(failure),
            Err(_) => {
                tokio::select! {
                    _ = &mut interrupted => return Ok(Exit::Done),
                    () = tokio::time::sleep(AGAIN) => continue,
                }
            }
        };
        is_first = false;
        let mut stream = std::pin::pin!(events(response));
        while !output.is_closed() {
            let told = tokio::select! {
                _ = &mut interrupted => return Ok(Exit::Done),
                told = stream.next() => told,
            };
            match told {
                Some(Ok(Told::Event(event))) => {
                    last.clone_from(&event.id);
                    if filter.fits(&About::from(&event.draft)) {
                        show(output, &event);
                    }
                }
                // What is not kept is not of the journal.
                Some(Ok(Told::Passing(_))) => {}
                Some(Ok(Told::Unreadable(id, why))) => {
                    note_unreadable(output, &id, &why);
                    last = id;
                }
                Some(Ok(Told::Reset(status))) => {
                    last = status.map_or(last, |status| status.seq);
                    output.note("events are missing here: those asked for are no longer kept");
                }
                Some(Err(_)) | None => break,
            }
        }
        if output.is_closed() {
            return Ok(Exit::Done);
        }
        output.note("the stream broke; opening it again");
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            () = tokio::time::sleep(AGAIN) => {}
        }
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

/// A value as people read it; nothing for what has parts of other kinds.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(values) => Some(values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
        _ => None,
    }
}

/// An event as people read it.
fn line(event: &Event) -> String {
    let draft = &event.draft;
    let kind = draft.kind.word();
    let subject =
        draft.service.as_ref().map(ToString::to_string).or_else(|| draft.machine.as_ref().map(ToString::to_string));
    let words: &[&str] = match draft.kind {
        Kind::ServiceState => &["state", "reason"],
        Kind::OperationState => &["command", "targets", "state", "result", "message"],
        Kind::HookRan => &["event", "program", "fate", "why"],
        Kind::ScheduleMissed => &["schedule", "count", "last_due", "message"],
        _ => &[
            "action", "subject", "user", "what", "outcome", "message", "code", "type", "role", "id", "from", "version",
        ],
    };
    let mut details: Vec<String> = words.iter().filter_map(|word| text(draft.data.get(word)?)).collect();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_happened_is_told_in_a_line() {
        for (kind, data, said) in [
            (
                "operation.state",
                json!({"command": "restart", "targets": ["front", "@web-1"], "state": "ended", "result": "done", "message": ""}),
                "restart  front @web-1  ended  done  by anna",
            ),
            (
                "hook.ran",
                json!({"event": "pre-stop", "program": "drain.sh", "fate": "timed_out", "why": null}),
                "pre-stop  drain.sh  timed_out  by anna",
            ),
            (
                "schedule.missed",
                json!({"schedule": "weekly", "count": 3, "last_due": "2026-01-01T03:00:00.000Z", "message": "it was away"}),
                "weekly  3  2026-01-01T03:00:00.000Z  it was away  by anna",
            ),
        ] {
            let event =
                json!({"id": "1-7", "at": "2026-01-01T00:00:00.000Z", "kind": kind, "actor": "anna", "data": data});
            let line = line(&serde_json::from_value(event).unwrap());
            assert!(line.ends_with(said), "{line}");
        }
    }
}
