//! When schedules are due: cron expressions of five fields, and time zones by their IANA names.

use cronexpr::{Crontab, MakeTimestamp};
use jiff::{Timestamp, tz::TimeZone};

/// The longest cron expression, in characters.
const LONGEST: usize = 200;

/// Why nobody can say when a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchTime {
    /// The cron expression is none, or never comes true.
    #[error("{0}")]
    Cron(String),
    /// There is no such time zone.
    #[error("{0}")]
    TimeZone(String),
}

/// Reads when a schedule is due.
pub fn when(cron: &str, timezone: &str) -> Result<Crontab, NoSuchTime> {
    // A letter first: neither paths nor offsets, and nothing that could be read as another field.
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+'))
    };
    if !is_name(timezone) || TimeZone::get(timezone).is_err() {
        let what = format!("there is no time zone `{}`: write one like \"Europe/Berlin\" or \"UTC\"", shown(timezone));
        return Err(NoSuchTime::TimeZone(what));
    }
    let wrong = |why: &str| NoSuchTime::Cron(format!("`{}` is no cron expression: {why}", shown(cron)));
    let fields = cron.split_whitespace().count();
    if fields != 5 || cron.len() > LONGEST || cron.contains('\n') {
        return Err(wrong("it has five fields (minute, hour, day of month, month, day of week), like \"0 3 * * SUN\""));
    }
    let crontab = cronexpr::parse_crontab(&format!("{cron} {timezone}"));
    // The first line says that it is wrong; the last one says why.
    let crontab = crontab.map_err(|error| wrong(error.to_string().lines().last().unwrap_or_default().trim()))?;
    let now = MakeTimestamp::from(Timestamp::now());
    crontab.find_next(now).map_err(|_| wrong("it never comes true"))?;
    Ok(crontab)
}

fn shown(text: &str) -> String {
    super::read::shown(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_times() {
        for (cron, timezone, why) in [
            ("0 3 * * SUN", "Europe/Berlin", None),
            ("*/5 * * * 1-5", "UTC", None),
            ("0 0 29 2 *", "America/New_York", None),
            ("0 3 * * SUN", "Europe/Atlantis", Some("there is no time zone")),
            ("0 3 * * SUN", "", Some("there is no time zone")),
            ("0 3 * * SUN", "../etc", Some("there is no time zone")),
            ("0 3 * * SUN", "UTC UTC", Some("there is no time zone")),
            ("0 3 * *", "UTC", Some("five fields")),
            ("0 3 * * * UTC", "UTC", Some("five fields")),
            ("0 25 * * *", "UTC", Some("no cron expression")),
            ("x 3 * * *", "UTC", Some("no cron expression")),
            ("0 0 30 2 *", "UTC", Some("never comes true")),
        ] {
            let found = when(cron, timezone).err().map(|error| error.to_string());
            let fits = match (&found, why) {
                (None, None) => true,
                (Some(found), Some(why)) => found.contains(why),
                _ => false,
            };
            assert!(fits, "{cron} {timezone}: {found:?}");
        }
    }
}
