//! When schedules are due: a cron expression in a time zone, and what is to be done about the runs since the last look.
//!
//! An expression whose hour begins with `*` goes by time as it passes: every half hour is one, also while clocks are set
//! back. Any other names times of day: one that the spring skips is due when the clocks have gone forward, once, and one
//! that the autumn repeats is due the first time.

use std::time::Duration;

use cronexpr::Crontab;
use jiff::{Zoned, civil::DateTime, tz::AmbiguousOffset, tz::TimeZone};
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{command::Command, operation::StepState, schema};

/// How late a run may begin; one that is later is missed.
pub const LATE: Duration = Duration::from_secs(90);

/// How far a clock may be set back so that runs are not done twice; one that was set back further was wrong before.
pub const SET_BACK: Duration = Duration::from_secs(3 * 3600);

/// The most missed runs that are counted; more are as many.
pub const MOST_COUNTED: u32 = 1000;

/// How far ahead a run is looked for, in steps of the four years that the parser looks: a 29 February on a Monday comes
/// every 28 years, and later where a century leaves it out.
const STEPS: u32 = 10;

/// Why something is no timetable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTimetable {
    /// The expression is wrong.
    #[error("{0}")]
    Cron(String),
    /// The time zone is not known.
    #[error("{0}")]
    Zone(String),
}

/// When something is due.
#[derive(Debug, Clone)]
pub struct Timetable {
    /// In its zone, or as if the days had no changes of clocks.
    cron: Crontab,
    zone: TimeZone,
    /// Whether it goes by time as it passes, and not by times of day.
    passes: bool,
}

impl Timetable {
    /// Reads a cron expression of five fields (minute, hour, day of month, month, day of week) and the IANA name of a
    /// time zone.
    pub fn read(cron: &str, zone: &str) -> Result<Self, NoTimetable> {
        let fields: Vec<&str> = cron.split_ascii_whitespace().collect();
        if fields.len() != 5 {
            let message = format!(
                "`{cron}` is no cron expression: it has {} {}, and takes five: minute, hour, day of month, \
                 month, day of week",
                fields.len(),
                if fields.len() == 1 { "field" } else { "fields" }
            );
            return Err(NoTimetable::Cron(message));
        }
        if let Some(odd) = fields.iter().find(|field| !is_plain(field)) {
            let message = format!("`{cron}` is no cron expression: `{odd}` is not understood");
            return Err(NoTimetable::Cron(message));
        }
        let tz = zone
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte))
            .then(|| TimeZone::get(zone));
        let Some(Ok(tz)) = tz else {
            let message = format!("`{zone}` is no time zone: one is named like UTC or Europe/Berlin");
            return Err(NoTimetable::Zone(message));
        };
        let passes = fields[1].starts_with('*');
        let cron_zone = if passes { zone } else { "UTC" };
        let parsed = cronexpr::parse_crontab(&format!("{} {cron_zone}", fields.join(" "))).map_err(|error| {
            // The parser draws where the mistake is, which takes three lines.
            let error = error.to_string();
            let why = error.rsplit_once("^ ").map_or(error.as_str(), |(_, why)| why).replace('\n', " ");
            NoTimetable::Cron(format!("`{cron}` is no cron expression: {why}"))
        })?;
        let timetable = Self { cron: parsed, zone: tz, passes };
        if timetable.next(Timestamp::EPOCH).is_none() {
            return Err(NoTimetable::Cron(format!("`{cron}` names a day that never comes")));
        }
        Ok(timetable)
    }

    /// The first run after a moment.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(after.as_millis()).ok()?;
        if self.passes {
            return self.find(after).map(|found| of(&found));
        }
        // The wall clock is read as if it were that of a zone without changes.
        let mut civil = after.to_zoned(self.zone.clone()).datetime();
        // A repeated hour has at most as many times of day as there are minutes in it; a few hours are enough.
        for _ in 0..600 {
            civil = self.find(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())?.datetime();
            let run = self.moment(civil)?;
            if run > after {
                return Timestamp::from_millis(run.as_millisecond()).into();
            }
        }
        None
    }

    /// How many runs there are after a moment and up to another, at most [`MOST_COUNTED`], and the last of them.
    pub fn between(&self, after: Timestamp, until: Timestamp) -> Option<(u32, Timestamp)> {
        let (count, last) = self.count(after, until)?;
        if count < MOST_COUNTED {
            return Some((count, last));
        }
        // There are too many to go through all: the last is found from the end.
        let spans = [3600, 24 * 3600, 32 * 24 * 3600].map(Duration::from_secs);
        let near = spans.iter().find_map(|span| self.count(until.before(*span).max(after), until));
        Some((count, near.map_or(last, |(_, last)| last)))
    }

    fn count(&self, after: Timestamp, until: Timestamp) -> Option<(u32, Timestamp)> {
        let runs = std::iter::successors(self.next(after), |run| self.next(*run)).take_while(|run| *run <= until);
        let counted = runs.take(MOST_COUNTED as usize).fold((0, None), |(count, _), run| (count + 1, Some(run)));
        counted.1.map(|last| (counted.0, last))
    }

    /// The next match of the expression in the parser's zone.
    fn find(&self, after: jiff::Timestamp) -> Option<Zoned> {
        let mut from = after;
        for _ in 0..STEPS {
            if let Ok(found) = self.cron.find_next(from) {
                return Some(found);
            }
            from = from.to_zoned(TimeZone::UTC).checked_add(jiff::Span::new().years(4)).ok()?.timestamp();
        }
        None
    }

    /// When a wall clock of the zone shows a time of day for the first time; where it skips it, when it has skipped it.
    fn moment(&self, civil: DateTime) -> Option<jiff::Timestamp> {
        let ambiguous = self.zone.to_ambiguous_zoned(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                ambiguous.earlier().ok().map(|zoned| zoned.timestamp())
            }
            AmbiguousOffset::Gap { .. } => {
                // The moment before the skipped time lies before the change, by the clock that held until then.
                let before = ambiguous.earlier().ok()?.timestamp();
                self.zone.following(before).next().map(|change| change.timestamp())
            }
        }
    }
}

fn of(zoned: &Zoned) -> Timestamp {
    Timestamp::from_millis(zoned.timestamp().as_millisecond())
}

/// Whether a field holds nothing but numbers, names of three letters, and what joins them: other signs mean something
/// else to each program that knows them.
fn is_plain(field: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "*,-/".contains(c);
    let is_value = |value: &str| {
        value.bytes().all(|byte| byte.is_ascii_digit())
            || value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    field.chars().all(known) && field.split(['*', ',', '-', '/']).all(is_value)
}

/// What is to be done about the runs since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The run that is to begin now.
    pub run: Option<Timestamp>,
    /// How many are missed, and the last of them.
    pub missed: Option<(u32, Timestamp)>,
}

impl Timetable {
    /// What is to be done at a moment about the runs after `seen`, the last that was looked after. `away` says that
    /// nobody looked in between: then nothing is begun.
    pub fn due(&self, seen: Timestamp, now: Timestamp, away: bool) -> Due {
        let Some((count, last)) = self.between(seen, now) else { return Due { run: None, missed: None } };
        if away || now.since(last) > LATE {
            return Due { run: None, missed: Some((count, last)) };
        }
        let earlier = (count > 1).then(|| self.between(seen, last.before(Duration::from_millis(1)))).flatten();
        Due { run: Some(last), missed: earlier }
    }
}

/// Up to when runs are taken as looked after: `seen`, unless the clock was so wrong before that they would not come for
/// long.
pub fn seen_by_clock(seen: Timestamp, now: Timestamp) -> Timestamp {
    if seen.since(now) > SET_BACK { now } else { seen }
}

/// A schedule, and how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// When, as a cron expression of five fields.
    pub cron: String,
    /// In which time zone, by its IANA name.
    pub timezone: String,
    /// What.
    pub command: Command,
    /// On what.
    pub targets: Vec<String>,
    /// Whether it runs.
    pub enabled: bool,
    /// When it is due next; `null` for one that is not enabled.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub next_at: Option<Timestamp>,
    /// When it was carried out last.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub last_at: Option<Timestamp>,
    /// The operation that it began then.
    pub last_operation: Option<Uuid>,
    /// How that ended; `null` before.
    pub last_result: Option<StepState>,
    /// Whether that goes on.
    pub running: bool,
    /// How many runs were due and were not carried out, since the schedule is there.
    pub missed: u64,
    /// When the last of them was due.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub last_missed_at: Option<Timestamp>,
    /// Why it was not carried out.
    pub last_missed: Option<String>,
}

#[cfg(test)]
mod tests;
