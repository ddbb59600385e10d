//! Bounds on what one side accepts from the other.

use std::time::Duration;

/// The largest message on the link, in bytes.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// The most instances one agent may report.
pub const MAX_INSTANCES: usize = 256;

/// The longest free text (reason, note) in a report, in characters.
pub const MAX_TEXT: usize = 400;

/// The longest path in a report, in bytes.
pub const MAX_PATH: usize = 4096;

/// The largest body of a join request, in bytes.
pub const MAX_JOIN_BODY: usize = 32 * 1024;

/// How often an agent pings the manager while the link is idle.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Silence after which either side takes the other for lost.
pub const SILENCE: Duration = Duration::from_secs(10);

/// How long each side waits for the first message of the other.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Cuts `text` to at most [`MAX_TEXT`] characters.
pub fn clip(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
