//! The tables of schedules.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn timetable(cron: &str, zone: &str) -> Timetable {
    Timetable::read(cron, zone).unwrap()
}

/// The first runs after a moment, as the wall clock of the zone shows them.
fn runs(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let timetable = timetable(cron, zone);
    let zone = TimeZone::get(zone).unwrap();
    let runs = std::iter::successors(timetable.next(at(after)), |run| timetable.next(*run));
    let shown = |run: Timestamp| {
        let zoned = jiff::Timestamp::from_millisecond(run.as_millis()).unwrap().to_zoned(zone.clone());
        zoned.strftime("%m-%d %H:%M%:z").to_string()
    };
    runs.take(count).map(shown).collect()
}

#[test]
fn the_table_of_runs() {
    for (cron, zone, after, expected) in [
        ("0 3 * * SUN", "Europe/Berlin", "2026-01-01T00:00:00Z", ["01-04 03:00+01:00", "01-11 03:00+01:00"]),
        ("*/20 * * * *", "UTC", "2026-01-01T00:00:00Z", ["01-01 00:20+00:00", "01-01 00:40+00:00"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", ["02-29 00:00+00:00", "02-29 00:00+00:00"]),
        ("0 0 31 12 *", "UTC", "2026-01-01T00:00:00Z", ["12-31 00:00+00:00", "12-31 00:00+00:00"]),
        ("0 12 1,15 * MON", "UTC", "2026-06-01T13:00:00Z", ["06-08 12:00+00:00", "06-15 12:00+00:00"]),
        ("30 4 * jan-mar mon-fri", "Asia/Tokyo", "2026-03-30T00:00:00Z", ["03-31 04:30+09:00", "01-01 04:30+09:00"]),
        // A time of day that is skipped, and one that comes twice.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["03-29 03:00+02:00", "03-30 02:30+02:00"]),
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["03-29 03:00+02:00", "03-29 03:30+02:00"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["10-25 02:30+02:00", "10-26 02:30+01:00"]),
        // Time as it passes.
        ("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", ["03-29 01:30+01:00", "03-29 03:30+02:00"]),
        ("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", ["10-25 02:30+02:00", "10-25 02:30+01:00"]),
        ("*/30 */2 * * *", "Europe/Berlin", "2026-10-25T00:40:00Z", ["10-25 02:00+01:00", "10-25 02:30+01:00"]),
        // Half an hour is skipped and repeated there.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", ["10-04 02:30+11:00", "10-05 02:15+11:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", ["04-05 01:45+11:00", "04-06 01:45+10:30"]),
        ("*/30 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", ["04-05 01:30+11:00", "04-05 01:30+10:30"]),
    ] {
        assert_eq!(runs(cron, zone, after, 2), expected, "{cron} {zone} after {after}");
    }
}

#[test]
fn no_run_is_left_out_or_doubled_when_clocks_change() {
    for (zone, from, until, days) in [
        ("Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-31T12:00:00Z", 3),
        ("America/New_York", "2026-10-31T12:00:00Z", "2026-11-03T12:00:00Z", 3),
        ("Australia/Lord_Howe", "2026-04-03T12:00:00Z", "2026-04-06T12:00:00Z", 3),
    ] {
        let count = |cron: &str| timetable(cron, zone).between(at(from), at(until)).unwrap().0;
        assert_eq!((count("*/30 * * * *"), count("15 2 * * *")), (2 * 24 * days, days), "{zone}");
    }
}

#[test]
fn the_table_of_what_is_no_timetable() {
    for (cron, zone, told) in [
        ("* * * *", "UTC", "`* * * *` is no cron expression: it has 4 fields, and takes five"),
        ("* * * * * UTC", "UTC", "it has 6 fields"),
        ("", "UTC", "it has 0 fields"),
        ("60 * * * *", "UTC", "must be in range 0..=59; found 60"),
        ("* * * * FRI-MON", "UTC", "ascending"),
        ("* * * * MOON", "UTC", "`MOON` is not understood"),
        ("0 0 L * *", "UTC", "`L` is not understood"),
        ("0 0 * * 5#3", "UTC", "`5#3` is not understood"),
        ("0 0 15W * *", "UTC", "`15W` is not understood"),
        ("*/0 * * * *", "UTC", "is no cron expression: "),
        ("1,,2 * * * *", "UTC", "is no cron expression: "),
        ("@daily", "UTC", "it has 1 field,"),
        ("0 0 30 2 *", "UTC", "`0 0 30 2 *` names a day that never comes"),
        ("* * * * *", "Mars/Olympus", "`Mars/Olympus` is no time zone: one is named like UTC or Europe/Berlin"),
        ("* * * * *", "", "`` is no time zone"),
        ("* * * * *", "+02:00", "`+02:00` is no time zone"),
        ("* * * * *", "../../etc/passwd", "is no time zone"),
    ] {
        let error = Timetable::read(cron, zone).unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains('\n'), "{cron} {zone}: {error}");
    }
}

#[test]
fn the_table_of_what_is_due() {
    let nine = timetable("*/10 * * * *", "UTC");
    let day = |time: &str| at(&format!("2026-01-01T{time}Z"));
    let run = |time: &str| Some(day(time));
    let missed = |count, time: &str| Some((count, day(time)));
    for (seen, now, away, begun, lost) in [
        ("09:00:00", "09:09:59.999", false, None, None),
        ("09:00:00", "09:10:00", false, run("09:10:00"), None),
        ("09:10:00", "09:10:05", false, None, None),
        ("09:00:00", "09:11:30", false, run("09:10:00"), None),
        ("09:00:00", "09:11:31", false, None, missed(1, "09:10:00")),
        ("09:00:00", "09:30:10", false, run("09:30:00"), missed(2, "09:20:00")),
        ("09:00:00", "09:30:10", true, None, missed(3, "09:30:00")),
        ("09:00:00", "12:05:00", false, None, missed(18, "12:00:00")),
        ("09:00:00", "08:00:00", false, None, None),
    ] {
        let due = nine.due(day(seen), day(now), away);
        assert_eq!(due, Due { run: begun, missed: lost }, "{seen} {now} {away}");
    }
}

#[test]
fn what_was_missed_for_years_is_bounded_and_its_last_is_found() {
    let each = timetable("* * * * *", "Europe/Berlin");
    let missed = each.between(at("2016-01-01T00:00:00Z"), at("2026-01-01T00:00:30Z")).unwrap();
    assert_eq!(missed, (MOST_COUNTED, at("2026-01-01T00:00:00Z")));
}

#[test]
fn a_clock_that_was_wrong_holds_nothing_up() {
    let now = at("2026-01-01T12:00:00Z");
    for (seen, expected) in [
        ("2026-01-01T11:00:00Z", "2026-01-01T11:00:00Z"),
        ("2026-01-01T14:59:00Z", "2026-01-01T14:59:00Z"),
        ("2027-01-01T00:00:00Z", "2026-01-01T12:00:00Z"),
    ] {
        assert_eq!(seen_by_clock(at(seen), now), at(expected), "{seen}");
    }
}
