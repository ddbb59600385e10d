//! `schedules`

use std::time::Duration;

use comfy_table::Cell;
use jiff::tz::TimeZone;
use protocol::time::Timestamp;

use super::{
    args::Format,
    client::Client,
    exit::{Exit, Failure},
    operation::words,
    output::{Output, harmless},
    pages,
    status::since,
};
use crate::grid::schedule::ScheduleView;

/// Shows the schedules.
pub async fn run(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let schedules: Vec<ScheduleView> = pages::all(client, "/schedules").await?;
    match output.format() {
        Format::Json => output.json(&schedules),
        Format::Name => schedules.iter().for_each(|schedule| output.line(&harmless(&schedule.name))),
        Format::Table if schedules.is_empty() => {
            output.line("No schedules. A [schedule.NAME] in the configuration makes one.");
        }
        Format::Table => show(output, &schedules),
    }
    Ok(Exit::Done)
}

fn show(output: &mut Output, schedules: &[ScheduleView]) {
    let now = Timestamp::now();
    let mut table = output.table(&["SCHEDULE", "WHEN", "COMMAND", "NEXT RUN", "LAST RUN", "MISSED"]);
    for schedule in schedules {
        table.add_row(vec![
            Cell::new(harmless(&schedule.name)),
            Cell::new(harmless(&format!("{} {}", schedule.cron, schedule.timezone))),
            Cell::new(harmless(&format!("{} {}", schedule.command, schedule.targets.join(" ")))),
            Cell::new(next(schedule, now)),
            Cell::new(last(schedule, now)),
            Cell::new(schedule.missed),
        ]);
    }
    output.show(table);
    for schedule in schedules {
        if let (Some(at), Some(why)) = (schedule.last_missed_at, &schedule.last_missed) {
            output.note(&format!("{} was missed at {at}: {}", harmless(&schedule.name), harmless(why)));
        }
    }
}

/// When it is due next: by the clock of its zone, how soon that is, and in UTC.
fn next(schedule: &ScheduleView, now: Timestamp) -> String {
    let Some(next) = schedule.next_at else {
        return if schedule.enabled { "never".to_owned() } else { "not enabled".to_owned() };
    };
    let seconds = Duration::from_secs(next.since(now).as_secs());
    let ahead = since(now, now.after(seconds));
    let at = jiff::Timestamp::from_millisecond(next.as_millis()).ok();
    let Some((zone, at)) = TimeZone::get(&schedule.timezone).ok().zip(at) else {
        return format!("in {ahead} ({next})");
    };
    let (local, utc) = (at.to_zoned(zone), at.to_zoned(TimeZone::UTC));
    let utc = match (local.datetime() == utc.datetime(), local.date() == utc.date()) {
        (true, _) => String::new(),
        (false, true) => format!(" ({} UTC)", utc.strftime("%H:%M")),
        (false, false) => format!(" ({} UTC)", utc.strftime("%a %H:%M")),
    };
    format!("{}{utc}, in {ahead}", local.strftime("%a %-d %b %H:%M"))
}

/// When it was carried out last, and what came of it.
fn last(schedule: &ScheduleView, now: Timestamp) -> String {
    let Some(at) = schedule.last_at else { return "never".to_owned() };
    let result = match (schedule.running, schedule.last_result) {
        (true, _) => "◐ running".to_owned(),
        (false, Some(result)) => format!("{} {}", words::mark(result).0, words::state(result)),
        (false, None) => "? interrupted".to_owned(),
    };
    format!("{result} {} ago", since(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_next_and_last_runs() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let view = |change: serde_json::Value| -> ScheduleView {
            let mut view = serde_json::json!({
                "name": "weekly", "cron": "0 3 * * SUN", "timezone": "Europe/Berlin", "command": "restart",
                "targets": ["front"], "enabled": true, "next_at": "2026-01-04T02:00:00Z", "last_at": null,
                "last_operation": null, "last_result": null, "running": false, "missed": 0, "last_missed_at": null,
                "last_missed": null
            });
            view.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            serde_json::from_value(view).unwrap()
        };
        let before = "2025-12-31T23:00:00Z";
        for (change, expected_next, expected_last) in [
            (serde_json::json!({}), "Sun 4 Jan 03:00 (02:00 UTC), in 3d 02h", "never"),
            (serde_json::json!({"timezone": "UTC"}), "Sun 4 Jan 02:00, in 3d 02h", "never"),
            (
                serde_json::json!({"timezone": "America/New_York"}),
                "Sat 3 Jan 21:00 (Sun 02:00 UTC), in 3d 02h",
                "never",
            ),
            (serde_json::json!({"enabled": false, "next_at": null}), "not enabled", "never"),
            (serde_json::json!({"last_at": before, "running": true, "next_at": null}), "never", "◐ running 1h 00m ago"),
            (
                serde_json::json!({"last_at": before, "last_result": "partly_failed", "next_at": null}),
                "never",
                "✗ partly failed 1h 00m ago",
            ),
        ] {
            let view = view(change);
            assert_eq!((next(&view, now).as_str(), last(&view, now).as_str()), (expected_next, expected_last));
        }
    }
}
