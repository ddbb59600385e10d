//! Strangers at the port: who says nothing, or stops in the middle of a word, holds up nobody and nothing for long.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::Duration,
};

use protocol::state::State;
use tests::{
    https::Https,
    manager::TestManager,
    raw_agent::{RawAgent, joining_client, report},
};

/// How long a stranger may hold a connection: the manager's ten seconds, and room for a slow machine.
const AT_MOST: Duration = Duration::from_secs(25);

#[test]
fn silent_connections_hold_up_nobody() {
    let manager = TestManager::start();
    let mut agent = RawAgent::join(&manager, "web-1");
    let silent: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(manager.address()).unwrap()).collect();
    let mut agent = agent.link_with(&manager, vec![report("/srv/a", State::Active)]);
    manager.wait_state("a@web-1", "active");
    assert_eq!(Https::of(&manager).get("/healthz").status, 200);
    agent.settle();
    for mut stream in silent {
        stream.set_nonblocking(true).unwrap();
        let still_open = stream.read(&mut [0]).unwrap_err();
        assert_eq!(still_open.kind(), ErrorKind::WouldBlock, "they were gone before they could hold up anybody");
    }
}

/// Waits until the manager ends a connection on which nothing more is sent.
fn assert_ends(what: &str, mut stream: impl Read) {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{what} is kept open");
    }
}

#[test]
fn what_stops_in_the_middle_is_ended() {
    let manager = TestManager::start();
    let dial = || {
        let stream = TcpStream::connect(manager.address()).unwrap();
        stream.set_read_timeout(Some(AT_MOST)).unwrap();
        stream
    };
    let over_tls = |https: &Https, text: &str| {
        let mut stream = https.connect().unwrap();
        stream.sock.set_read_timeout(Some(AT_MOST)).unwrap();
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        stream.write_all(text.as_bytes()).unwrap();
        stream.flush().unwrap();
        stream
    };
    let body = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{")
    };
    let (people, agents) = (Https::of(&manager), joining_client(&manager));
    let local = |text: &str| {
        let mut stream = UnixStream::connect(manager.socket()).unwrap();
        stream.set_read_timeout(Some(AT_MOST)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    std::thread::scope(|scope| {
        scope.spawn(|| assert_ends("a connection without a word", dial()));
        scope.spawn(|| assert_ends("a browser that asks nothing", over_tls(&people, "")));
        scope.spawn(|| assert_ends("half a preface of HTTP/2", over_tls(&people, "PRI * HTTP/2.0\r\n")));
        scope.spawn(|| assert_ends("a whole preface", over_tls(&people, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")));
        scope.spawn(|| assert_ends("half a login", over_tls(&people, &body("/api/v1/session"))));
        scope.spawn(|| assert_ends("an agent that asks nothing", over_tls(&agents, "")));
        scope.spawn(|| assert_ends("half a wish to join", over_tls(&agents, &body("/agent/v1/join"))));
        scope.spawn(|| assert_ends("a local connection without a word", local("")));
        scope.spawn(|| assert_ends("half a local request", local("GET /healthz HT")));
    });
    assert_eq!(people.get("/healthz").status, 200);
}

#[test]
fn whoever_stops_reading_is_cut_off() {
    let manager = TestManager::start();
    // More answers than there is room for on the way, to questions that fit.
    let questions = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: m\r\n\r\n".repeat(1000);
    let mut remote = Https::of(&manager).connect().unwrap();
    let mut local = UnixStream::connect(manager.socket()).unwrap();
    remote.write_all(questions.as_bytes()).unwrap();
    local.write_all(questions.as_bytes()).unwrap();
    manager.wait_figure("tomcat_grid_connections{face=\"people\"}", 1.0);
    manager.wait_figure("tomcat_grid_connections_cut_off_total", 2.0);
    manager.wait_figure("tomcat_grid_connections{face=\"people\"}", 0.0);
}
