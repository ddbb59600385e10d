//! `status --watch`: a snapshot, and from then on every change at once. On a terminal the table is redrawn; in a
//! pipe each change is a line.

use std::{collections::BTreeSet, time::Duration};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    queue,
    terminal::{Clear, ClearType},
};
use eventsource_stream::Eventsource;
use futures_util::{Stream, StreamExt};
use protocol::{name::ServiceName, time::Timestamp};
use serde::Deserialize;

use super::{
    args::Format,
    client::Client,
    exit::{Exit, Failure},
    interrupt::told_to_end,
    output::{Output, harmless, mark, size},
    status::{only_named, render, since},
};
use crate::grid::{
    event::{Event, Kind},
    operation::view::{OperationState, OperationView},
    target::{Target, TargetError},
    view::{HeldBy, ServiceView, Status},
};

/// How often the ages in the table grow.
const REDRAW: Duration = Duration::from_secs(1);

/// How long the manager may be silent: its streams show that they live more often.
const SILENCE: Duration = Duration::from_secs(12);

/// How long to wait before a stream that broke is opened again.
pub const AGAIN: Duration = Duration::from_secs(1);

/// What a stream of events tells.
pub enum Told {
    /// An event.
    Event(Box<Event>),
    /// An event that is only of the moment: its id is that of the last before it.
    Passing(Box<Event>),
    /// Everything anew.
    Reset(Option<Box<Status>>),
    /// An event that is not understood: its id, and why.
    Unreadable(String, String),
}

/// Watches until it is interrupted.
pub async fn run(client: &Client, output: &mut Output, path: &str, targets: &[String]) -> Result<Exit, Failure> {
    let mut status: Status = client.get(path).await?;
    only_named(&mut status, !targets.is_empty());
    let targets: Result<Vec<Target>, TargetError> = targets.iter().map(|target| target.parse()).collect();
    let targets = targets.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let redraw = output.is_terminal() && output.format() == Format::Table;
    let _cursor = redraw.then(|| HiddenCursor::new(output));
    if redraw {
        show_all(output, &status, redraw, None);
    } else {
        show_difference(output, None, &status);
    }
    let mut interrupted = std::pin::pin!(told_to_end());
    loop {
        let lost = tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            lost = follow(client, output, path, &targets, &mut status, redraw) => lost?,
        };
        if output.is_closed() {
            return Ok(Exit::Done);
        }
        show_all(output, &status, redraw, Some(&lost));
        if !redraw {
            output.error(&format!("the stream of events broke ({lost}); opening it again"));
        }
        tokio::select! {
            _ = &mut interrupted => return Ok(Exit::Done),
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// Follows one stream to its end, and says how it ended.
async fn follow(
    client: &Client,
    output: &mut Output,
    path: &str,
    targets: &[Target],
    status: &mut Status,
    redraw: bool,
) -> Result<String, Failure> {
    let response = match client.stream("/events", Some(&status.seq)).await {
        Ok(response) => response,
        Err(failure) if failure.exit == Exit::Unreachable => return Ok(failure.message),
        Err(failure) => return Err(failure),
    };
    show_all(output, status, redraw, None);
    let mut stream = std::pin::pin!(events(response));
    let mut ticks = tokio::time::interval(REDRAW);
    loop {
        if output.is_closed() {
            return Ok("nobody reads the output".to_owned());
        }
        tokio::select! {
            told = stream.next() => match told {
                None => return Ok("the manager closed it".to_owned()),
                Some(Err(why)) => return Ok(why),
                Some(Ok(Told::Reset(_))) => {
                    let before = match client.get(path).await {
                        Ok(mut now) => {
                            only_named(&mut now, !targets.is_empty());
                            std::mem::replace(status, now)
                        }
                        Err(failure) if failure.exit == Exit::Unreachable => return Ok(failure.message),
                        Err(failure) => return Err(failure),
                    };
                    if redraw {
                        show_all(output, status, redraw, None);
                    } else {
                        show_difference(output, Some(&before), status);
                    }
                }
                Some(Ok(Told::Unreadable(id, why))) => {
                    output.note(&format!("the event {id} cannot be read ({why}): are both of one version?"));
                    status.seq = id;
                }
                Some(Ok(Told::Passing(event))) => {
                    if hold(status, &event) && redraw {
                        show_all(output, status, true, None);
                    }
                }
                Some(Ok(Told::Event(event))) => {
                    let changed = apply(status, &event, targets);
                    if let (Some(shown), false) = (changed, redraw) {
                        show_change(output, &event, &shown);
                    }
                    if redraw {
                        show_all(output, status, true, None);
                    }
                }
            },
            _ = ticks.tick(), if redraw => show_all(output, status, true, None),
        }
    }
}

/// The events of a stream; an error when it breaks or goes silent.
pub fn events(response: reqwest::Response) -> impl Stream<Item = Result<Told, String>> {
    parts(response).map(|event| {
        let event = event?;
        Ok(match event.event.as_str() {
            "reset" => Told::Reset(serde_json::from_str(&event.data).unwrap_or_default()),
            "passing" => match serde_json::from_str(&event.data) {
                Ok(known) => Told::Passing(known),
                // One of the next has all of it.
                Err(error) => Told::Unreadable(event.id, error.to_string()),
            },
            _ => match serde_json::from_str(&event.data) {
                Ok(known) => Told::Event(known),
                Err(error) => Told::Unreadable(event.id, error.to_string()),
            },
        })
    })
}

/// The data of what a stream tells; an error when it breaks or goes silent.
pub fn frames(response: reqwest::Response) -> impl Stream<Item = Result<String, String>> {
    parts(response).map(|event| Ok(event?.data))
}

/// What a stream tells, without its signs of life.
fn parts(response: reqwest::Response) -> impl Stream<Item = Result<eventsource_stream::Event, String>> {
    let bytes = response.bytes_stream();
    // Signs of life are told to nobody, so silence is watched below the events.
    let watched = futures_util::stream::unfold(Box::pin(bytes), |mut bytes| async move {
        let next = tokio::time::timeout(SILENCE, bytes.next()).await;
        let chunk = match next {
            Err(_) => Err(format!("nothing was heard for {} s", SILENCE.as_secs())),
            Ok(None) => return None,
            Ok(Some(chunk)) => chunk.map_err(|error| error.to_string()),
        };
        Some((chunk, bytes))
    });
    watched.eventsource().filter_map(|event| async {
        match event {
            Ok(event) if event.event == "alive" => None,
            Ok(event) => Some(Ok(event)),
            // What broke below is of no use to who looks at a table.
            Err(_) => Some(Err("the connection to the manager broke".to_owned())),
        }
    })
}

/// What becomes of a service that is shown.
#[derive(Debug, PartialEq)]
enum Shown {
    /// It is as this.
    Now(Box<ServiceView>),
    /// It is there no more.
    Gone,
    /// It has lost the tag, or left the collection, by which it was shown.
    Left,
}

/// Applies an event to a snapshot of the targets; returns what becomes of the service that it is about, if it is shown.
fn apply(status: &mut Status, event: &Event, targets: &[Target]) -> Option<Shown> {
    status.seq.clone_from(&event.id);
    if event.draft.kind == Kind::ManagerState
        && let Ok(manager) = serde_json::from_value(event.draft.data.clone())
    {
        status.manager = manager;
    }
    hold(status, event);
    let name = event.draft.service.as_ref()?;
    match event.draft.kind {
        Kind::ServiceState => {
            let view: ServiceView = serde_json::from_value(event.draft.data.clone()).ok()?;
            let is_wanted = targets.is_empty() || targets.iter().any(|target| target.covers(&view));
            let known = status.services.iter().position(|service| service.name == *name);
            match known {
                Some(known) if is_wanted => status.services[known] = view.clone(),
                Some(known) => {
                    status.services.remove(known);
                    return Some(Shown::Left);
                }
                None if !is_wanted => return None,
                None => {
                    status.services.push(view.clone());
                    status.services.sort_by(|a, b| {
                        (&a.machine, a.r#type.as_str(), &a.name).cmp(&(&b.machine, b.r#type.as_str(), &b.name))
                    });
                }
            }
            Some(Shown::Now(Box::new(view)))
        }
        Kind::ServiceGone => {
            let before: BTreeSet<ServiceName> = status.services.iter().map(|service| service.name.clone()).collect();
            status.services.retain(|service| service.name != *name);
            before.contains(name).then_some(Shown::Gone)
        }
        _ => None,
    }
}

/// What an operation tells of the services that it holds.
#[derive(Deserialize)]
struct Moved {
    #[serde(flatten)]
    operation: OperationView,
    /// Those that it took in hand, with their steps.
    #[serde(default)]
    taken: Vec<(ServiceName, u32)>,
    #[serde(default)]
    left: Vec<ServiceName>,
}

/// Notes which services an operation has taken in hand and left; returns whether anything is different.
fn hold(status: &mut Status, event: &Event) -> bool {
    if event.draft.kind != Kind::OperationState {
        return false;
    }
    let Ok(moved) = Moved::deserialize(&event.draft.data) else { return false };
    let (before, view) = (status.held.clone(), moved.operation);
    let is_over = matches!(view.state, OperationState::Ended | OperationState::Interrupted);
    status.held.retain(|service, held| held.operation != Some(view.id) || !is_over && !moved.left.contains(service));
    let by = HeldBy {
        operation: Some(view.id),
        command: Some(view.command),
        targets: Some(view.targets.join(" ")),
        actor: Some(view.actor),
    };
    for (service, _) in moved.taken.into_iter().filter(|_| !is_over) {
        if status.services.iter().any(|shown| shown.name == service) {
            status.held.insert(service, by.clone());
        }
    }
    before != status.held
}

fn show_all(output: &mut Output, status: &Status, redraw: bool, lost: Option<&str>) {
    if !redraw {
        return;
    }
    let now = Timestamp::now();
    let mut text = format!("{}\n", render(output, status, now));
    match lost {
        Some(why) => text.push_str(&format!("\n! NOT LIVE: {}\n", harmless(why))),
        None => text.push_str(&format!("\n{} · {} · live · Ctrl-C ends\n", status.grid, now)),
    }
    let (width, height) = size();
    let lines: Vec<&str> = text.lines().take(usize::from(height).saturating_sub(1)).collect();
    let mut screen = Vec::new();
    // Writing into memory cannot fail.
    let _ = queue!(screen, MoveTo(0, 0));
    for line in lines {
        // Lines that the terminal breaks would push the first ones out of sight.
        screen.extend_from_slice(console::truncate_str(line, usize::from(width), "…").as_bytes());
        let _ = queue!(screen, Clear(ClearType::UntilNewLine));
        screen.extend_from_slice(b"\r\n");
    }
    let _ = queue!(screen, Clear(ClearType::FromCursorDown));
    output.raw(&String::from_utf8_lossy(&screen));
}

/// Shows in a pipe what a snapshot tells that the one before did not.
fn show_difference(output: &mut Output, before: Option<&Status>, status: &Status) {
    let now = Timestamp::now();
    let known = before.map(|before| before.services.as_slice()).unwrap_or_default();
    if output.format() == Format::Json {
        let line = serde_json::to_string(status).unwrap_or_default();
        return output.line(&line);
    }
    for gone in known.iter().filter(|known| !status.services.iter().any(|service| service.name == known.name)) {
        show_service(output, now, &gone.name, &Shown::Gone);
    }
    for service in status.services.iter().filter(|service| !known.contains(service)) {
        show_service(output, now, &service.name, &Shown::Now(Box::new(service.clone())));
    }
}

fn show_change(output: &mut Output, event: &Event, shown: &Shown) {
    if output.format() == Format::Json {
        let line = serde_json::to_string(event).unwrap_or_default();
        return output.line(&line);
    }
    if let Some(name) = &event.draft.service {
        show_service(output, event.at, name, shown);
    }
}

/// A line about a service.
fn show_service(output: &mut Output, at: Timestamp, name: &ServiceName, shown: &Shown) {
    let line = match shown {
        _ if output.format() == Format::Name => name.to_string(),
        Shown::Gone => format!("{at}  - gone          {name}"),
        Shown::Left => format!("{at}  - left          {name}"),
        Shown::Now(service) => {
            let reason = service.reason.as_deref().map(|reason| format!("  {}", harmless(reason))).unwrap_or_default();
            let (mark, _) = mark(service.state);
            format!("{at}  {mark} {:<13} {name}  since {}{reason}", service.state, since(service.since, at))
        }
    };
    output.line(&line);
}

/// Hides the cursor, and shows it again.
struct HiddenCursor;

impl HiddenCursor {
    fn new(output: &mut Output) -> Self {
        let mut screen = Vec::new();
        // Writing into memory cannot fail.
        let _ = queue!(screen, Hide, Clear(ClearType::All));
        output.raw(&String::from_utf8_lossy(&screen));
        Self
    }
}

impl Drop for HiddenCursor {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = crossterm::execute!(std::io::stdout(), Show);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn event(name: &str, tags: &[&str]) -> Event {
        let event = serde_json::json!({
            "id": "1-7", "at": "2026-01-01T00:00:00.000Z", "kind": "service.state", "service": name, "machine": "web-1",
            "data": {
                "name": name, "machine": "web-1", "type": "instance", "state": "active", "last_state": null,
                "reason": null, "last_exit": null, "since": "2026-01-01T00:00:00.000Z", "pid": null,
                "catalina_base": null, "tags": tags
            }
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_service_comes_and_goes_with_the_tag_that_is_watched() {
        let status = serde_json::json!({
            "grid": "test", "manager": {"name": "m", "role": "primary", "epoch": 1}, "seq": "1-1", "machines": [],
            "services": []
        });
        let mut status: Status = serde_json::from_value(status).unwrap();
        let targets = ["#prod".parse().unwrap()];
        assert_eq!(apply(&mut status, &event("a@web-1", &["blue"]), &targets), None);
        assert!(matches!(apply(&mut status, &event("a@web-1", &["prod"]), &targets), Some(Shown::Now(_))));
        assert_eq!(status.services.len(), 1);
        assert_eq!(apply(&mut status, &event("a@web-1", &[]), &targets), Some(Shown::Left));
        assert_eq!((status.services.len(), status.seq.as_str()), (0, "1-7"));
    }
    #[test]
    fn who_works_on_a_service_is_known_until_it_is_left() {
        let by = HeldBy { operation: Some(Uuid::from_u128(1)), ..HeldBy::default() };
        let held = |names: &[&str]| names.iter().map(|name| (name.parse().unwrap(), by.clone())).collect();
        let told = |state: &str, taken: &[&str], left: &[&str]| {
            let mut event = event("a@web-1", &[]);
            event.draft.kind = Kind::OperationState;
            event.draft.data = serde_json::json!({
                "id": Uuid::from_u128(1), "command": "stop", "targets": ["all"], "state": state, "result": null,
                "message": "", "actor": "anna", "created_at": Timestamp::EPOCH, "ended_at": null, "retry_of": null,
                "services": {"total": 2, "planned": 0, "running": 2, "done": 0, "ignored": 0, "failed": 0, "skipped": 0},
                "taken": taken.iter().map(|name| (name, 1)).collect::<Vec<_>>(), "left": left,
            });
            event
        };
        for (before, event, after) in [
            (&[][..], told("running", &["a@web-1", "of-nobody@web-9"], &[]), &["a@web-1"][..]),
            (&["a@web-1", "b@web-1"], told("running", &[], &["a@web-1"]), &["b@web-1"]),
            (&["a@web-1"], told("cancelling", &[], &[]), &["a@web-1"]),
            (&["a@web-1", "b@web-1"], told("ended", &[], &[]), &[]),
        ] {
            let mut status: Status = serde_json::from_value(serde_json::json!({
                "grid": "test", "manager": {"name": "m", "role": "primary", "epoch": 1}, "seq": "1-1", "machines": [],
                "services": [self::event("a@web-1", &[]).draft.data],
            }))
            .unwrap();
            status.held = held(before);
            assert_eq!(hold(&mut status, &event), before != after);
            assert_eq!(status.held.keys().map(|name| name.as_str()).collect::<Vec<_>>(), after);
        }
    }
}
