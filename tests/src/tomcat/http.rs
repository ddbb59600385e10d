//! A blocking HTTP GET by hand: what a test sees of a Tomcat must not depend on a client's cleverness.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Status and body of `GET path` on the loopback, or `None` when there is no whole answer within `limit`.
pub(super) fn get(port: u16, path: &str, limit: Duration) -> Option<(u16, String)> {
    let deadline = Instant::now() + limit;
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    };

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, left()?).ok()?;
    stream.set_write_timeout(Some(left()?)).ok()?;
    // HTTP/1.0: the answer is never chunked, and its end is the end of the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;

    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        stream.set_read_timeout(Some(left()?)).ok()?;
        match stream.read(&mut buffer).ok()? {
            0 => break,
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_has_status_and_body() {
        let answer = "HTTP/1.1 404 \r\nContent-Length: 4\r\n\r\ngone";
        assert_eq!(parse(answer), Some((404, "gone".to_owned())));
    }

    #[test]
    fn a_cut_answer_is_none() {
        assert_eq!(parse("HTTP/1.1 200 \r\nContent-Le"), None);
        assert_eq!(parse(""), None);
    }
}
