//! Each execution leaves a log file, with everything that was shown and the result; old ones go.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use protocol::time::Timestamp;

use super::exit::Exit;
use crate::config;

/// The environment variable that names the directory.
const DIRECTORY: &str = "TOMCAT_GRID_LOG_DIR";

/// The environment variable that says for how many days log files are kept.
const KEEP_DAYS: &str = "TOMCAT_GRID_LOG_KEEP_DAYS";

/// For how many days they are kept without it.
const DEFAULT_DAYS: u64 = 90;

/// The longest part of a file name that the arguments make, in characters.
const MAX_ARGUMENTS: usize = 120;

/// The log file of this execution. A log that cannot be written is said once, and keeps no command from its work.
pub struct LogFile {
    file: Option<File>,
}

impl LogFile {
    /// Opens the log file of a command.
    pub fn open(command: &str) -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Self::of(command, &mask(&arguments))
    }

    /// Opens the log file of a call that could not be understood. Returns also whether a password may be in it, so that
    /// what is wrong with it must not be repeated.
    pub fn of_refused_call() -> (Self, bool) {
        let arguments: Vec<String> = std::env::args_os().skip(1).map(|text| text.to_string_lossy().into()).collect();
        let (arguments, may_hold_password) = without_passwords(mask(&arguments));
        (Self::of("usage", &arguments), may_hold_password)
    }

    fn of(command: &str, arguments: &[String]) -> Self {
        let opened = directory().and_then(|dir| {
            clean(&dir, keep());
            create(&dir, command, arguments, Timestamp::now())
        });
        match opened {
            Ok(mut file) => {
                // A full disk is no reason not to act.
                let _full = writeln!(file, "$ tomcat-grid {}", arguments.join(" "));
                Self { file: Some(file) }
            }
            Err(error) => {
                let _closed = writeln!(std::io::stderr(), "tomcat-grid: no log of this execution is kept: {error:#}");
                Self { file: None }
            }
        }
    }

    /// Writes a line.
    pub fn write(&mut self, text: &str) {
        if let Some(file) = &mut self.file {
            // A full disk is no reason not to act.
            let _full = writeln!(file, "{}", masked(text));
        }
    }

    /// Writes the result.
    pub fn finish(&mut self, exit: Exit) {
        self.write(&format!("result: {} ({}) at {}", exit.words(), exit.code(), Timestamp::now()));
    }
}

fn directory() -> anyhow::Result<PathBuf> {
    let dir = match std::env::var_os(DIRECTORY) {
        Some(dir) => PathBuf::from(dir),
        None => config::user_state()?.join("tomcat-grid/log"),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    Ok(dir)
}

fn keep() -> Duration {
    let days = std::env::var(KEEP_DAYS).ok().and_then(|days| days.parse().ok()).unwrap_or(DEFAULT_DAYS);
    Duration::from_secs(days.saturating_mul(24 * 3600))
}

/// `YYYYMMDDTHHMMSS.mmmZ_COMMAND_ARGS.log`
fn create(dir: &Path, command: &str, arguments: &[String], now: Timestamp) -> anyhow::Result<File> {
    let stamp = now.to_string().replace(['-', ':'], "");
    let rest: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != command).collect();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '@' | '#' | '=') { c } else { '_' };
    let rest: String = rest.join("_").chars().map(allowed).take(MAX_ARGUMENTS).collect();
    let stem = format!("{stamp}_{command}_{rest}");
    let stem = stem.trim_end_matches('_');
    for number in 0..100 {
        let suffix = if number == 0 { String::new() } else { format!("_{number}") };
        let path = dir.join(format!("{stem}{suffix}.log"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok(file),
            // Two cron jobs in one millisecond.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(anyhow::Error::from(error).context(format!("create {}", path.display()))),
        }
    }
    anyhow::bail!("too many executions in one millisecond")
}

/// Secrets are not for the log, nor for a file name.
fn mask(arguments: &[String]) -> Vec<String> {
    arguments.iter().map(|argument| masked(argument)).collect()
}

/// Arguments that were not understood without what may be a password, which people may write where none is taken; and
/// whether there is such.
fn without_passwords(mut arguments: Vec<String>) -> (Vec<String>, bool) {
    const KNOWN: [&str; 9] = ["list", "add", "role", "password", "logout", "remove", "viewer", "operator", "admin"];
    let Some(at) = arguments.iter().position(|argument| argument == "users") else { return (arguments, false) };
    for argument in &mut arguments[at + 1..] {
        if let Some((option, _)) = argument.split_once('=').filter(|_| argument.starts_with("--")) {
            *argument = format!("{option}=***");
        } else if !argument.starts_with("--") && !KNOWN.contains(&argument.as_str()) {
            "***".clone_into(argument);
        }
    }
    (arguments, true)
}

/// A text without the tokens in it, wherever they stand: in an option, or in a message that repeats what was given.
fn masked(text: &str) -> String {
    let mut rest = text;
    let mut shown = String::new();
    while let Some(at) = ["tgj1.", "tga1."].iter().filter_map(|prefix| rest.find(prefix)).min() {
        shown.push_str(&rest[..at]);
        shown.push_str("***");
        let secret = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        rest = rest[at..].trim_start_matches(secret);
    }
    shown + rest
}

/// Removes the log files that are too old.
fn clean(dir: &Path, keep: Duration) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        // Only what this program has written is its to remove.
        let ours = name.to_str().is_some_and(|name| {
            name.ends_with(".log")
                && name.len() > 20
                && name.as_bytes()[8] == b'T'
                && name[..8].bytes().all(|b| b.is_ascii_digit())
        });
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let old = modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > keep));
        if ours && old {
            // Another execution may have removed it.
            let _gone = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_name_tells_when_and_what() {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ["trigger-stop", "shop-a@web-1", "../x y"].map(str::to_owned);
        for _ in 0..2 {
            create(dir.path(), "trigger-stop", &arguments, Timestamp::from_millis(1_767_225_600_007)).unwrap();
        }
        assert_eq!(
            names(dir.path()),
            [
                "20260101T000000.007Z_trigger-stop_shop-a@web-1_.._x_y.log",
                "20260101T000000.007Z_trigger-stop_shop-a@web-1_.._x_y_1.log"
            ]
        );
    }

    #[test]
    fn only_old_logs_go() {
        let dir = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - Duration::from_secs(100);
        for name in ["20250101T000000.000Z_status.log", "notes.log", "20260101T000000.000Z_status.log"] {
            let file = File::create(dir.path().join(name)).unwrap();
            if !name.starts_with("2026") {
                file.set_modified(old).unwrap();
            }
        }
        clean(dir.path(), Duration::from_secs(50));
        assert_eq!(names(dir.path()), ["20260101T000000.000Z_status.log", "notes.log"]);
    }

    #[test]
    fn secrets_are_masked() {
        assert_eq!(mask(&["x".to_owned(), "tgj1.abc".to_owned()]), ["x", "***"]);
        assert_eq!(masked("`tga1.a-_b` is none, --token=tgj1.c"), "`***` is none, --token=***");
    }

    #[test]
    fn passwords_that_are_written_where_none_is_taken_are_masked() {
        for (call, kept) in [
            ("users password alice hunter2", "users password *** ***"),
            ("-o json users add --password=hunter2 --role viewer", "-o json users add --password=*** --role viewer"),
            ("status nonsense", "status nonsense"),
        ] {
            let (shown, may_hold_password) = without_passwords(call.split(' ').map(str::to_owned).collect());
            assert_eq!((shown.join(" ").as_str(), may_hold_password), (kept, kept != call), "{call}");
        }
    }
}
