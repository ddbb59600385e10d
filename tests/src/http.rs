//! A small HTTP client over a Unix socket: no connection is kept, so every answer is of now.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends a request; `None` if nobody answers.
pub fn request(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
    let mut stream = open(socket, method, path, body, "").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

/// Opens a stream of server-sent events, past the head of the answer.
pub fn stream(socket: &Path, path: &str, headers: &str) -> std::io::Result<BufReader<UnixStream>> {
    let mut reader = BufReader::new(open(socket, "GET", path, None, headers)?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line != "\r\n" {
        line.clear();
    }
    Ok(reader)
}

fn open(socket: &Path, method: &str, path: &str, body: Option<&Value>, headers: &str) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    // HTTP/1.0: the body ends with the connection, and is not sent in chunks.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(stream)
}
