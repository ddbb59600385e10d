//! Behaves like a Tomcat towards a supervisor: listens where `conf/server.xml` says, answers every
//! request with 200, ends on SIGTERM. `conf/fake.properties` of its base makes it misbehave.
//!
//! Times are in milliseconds. Read at the start: `start_delay_ms` before it listens, `no_listen=true`,
//! `crash_after_ms` with `crash_code` (1). Read at each request: `answer_delay_ms`, `hang=true`
//! (accepts and never answers). Read at SIGTERM: `ignore_term=true`, `stop_delay_ms` between the
//! closing of the port and the end, `exit_code` (143).
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// How often one that hangs looks whether it still should.
const LOOK: Duration = Duration::from_millis(50);

fn main() {
    // First of all, so that a SIGTERM during a slow start ends it in the ordinary way.
    let mut signals = Signals::new([SIGTERM]).expect("register for SIGTERM");
    let base = base();
    let properties = Properties::read(&base);

    note(&base, "start");
    if let Some(delay) = properties.time("crash_after_ms") {
        let code = properties.get("crash_code").unwrap_or(1);
        thread::spawn(move || {
            thread::sleep(delay);
            process::exit(code);
        });
    }
    let stopping = Arc::new(AtomicBool::new(false));
    let starter = {
        let (base, stopping) = (base.clone(), Arc::clone(&stopping));
        thread::spawn(move || start(&base, &properties, &stopping))
    };

    for _ in signals.forever() {
        note(&base, "term");
        let properties = Properties::read(&base);
        if properties.is_true("ignore_term") {
            continue;
        }
        stopping.store(true, Ordering::SeqCst);
        // A start that is still sleeping has no port to close.
        if starter.is_finished() {
            close(starter.join().expect("the starter does not panic"));
            properties.pause("stop_delay_ms");
        }
        process::exit(properties.get("exit_code").unwrap_or(143));
    }
}

/// Keeps a record of its own of what really happened to it, where its base has a directory `work`.
fn note(base: &Path, what: &str) {
    let record = fs::File::options().create(true).append(true).open(base.join("work/fake.record"));
    let _ = record.and_then(|mut record| writeln!(record, "{what} {}", process::id()));
}

/// A listening address and the thread that owns its socket.
type Acceptor = (String, JoinHandle<()>);

fn start(base: &Path, properties: &Properties, stopping: &Arc<AtomicBool>) -> Vec<Acceptor> {
    properties.pause("start_delay_ms");
    let mut acceptors = Vec::new();
    if !properties.is_true("no_listen") {
        for address in connectors(base) {
            match TcpListener::bind(&address) {
                Ok(listener) => {
                    let (base, stopping) = (base.to_owned(), Arc::clone(stopping));
                    let acceptor = thread::spawn(move || accept(&listener, &base, &stopping));
                    acceptors.push((address, acceptor));
                }
                // The real one goes on without this connector too.
                Err(error) => eprintln!("SEVERE: cannot listen on {address}: {error}"),
            }
        }
    }
    eprintln!("INFO: Server startup in [1] milliseconds");
    acceptors
}

fn accept(listener: &TcpListener, base: &Path, stopping: &AtomicBool) {
    for connection in listener.incoming() {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        let base = base.to_owned();
        // A client that goes away is no matter of ours.
        thread::spawn(move || connection.and_then(|stream| answer(stream, &base)));
    }
}

/// Wakes each acceptor with a connection of our own; it ends and so closes its port.
fn close(acceptors: Vec<Acceptor>) {
    for (address, acceptor) in acceptors {
        let _ = TcpStream::connect(address);
        let _ = acceptor.join();
    }
}

fn answer(stream: TcpStream, base: &Path) -> io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    let mut length = 0;
    while reader.read_line(&mut header)? > 2 {
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        header.clear();
    }
    // An unread body would turn the end of the connection into a reset.
    io::copy(&mut io::Read::take(&mut reader, length), &mut io::sink())?;

    let properties = Properties::read(base);
    stream.set_read_timeout(Some(LOOK))?;
    while Properties::read(base).is_true("hang") {
        if matches!(io::Read::read(&mut reader, &mut [0]), Ok(0)) {
            // Whoever asked has given up.
            return Ok(());
        }
    }
    properties.pause("answer_delay_ms");
    let body = body(&request);
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Speaks like the test application of the real Tomcat.
fn body(request: &str) -> String {
    static SLEEPERS: AtomicUsize = AtomicUsize::new(0);

    let path = request.split(' ').nth(1).unwrap_or_default();
    if path == "/p/sleepers" {
        return SLEEPERS.load(Ordering::SeqCst).to_string();
    }
    let Some(Ok(time)) = path.strip_prefix("/p/sleep?ms=").map(str::parse) else {
        return "ok".to_owned();
    };
    SLEEPERS.fetch_add(1, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(time));
    SLEEPERS.fetch_sub(1, Ordering::SeqCst);
    "slept".to_owned()
}

/// CATALINA_BASE, from the command line as with the real one.
fn base() -> PathBuf {
    std::env::args()
        .find_map(|argument| argument.strip_prefix("-Dcatalina.base=").map(PathBuf::from))
        .expect("started with -Dcatalina.base=")
}

/// The addresses of all connectors; the loopback where none is given.
fn connectors(base: &Path) -> Vec<String> {
    let mut xml = fs::read_to_string(base.join("conf/server.xml")).unwrap_or_else(|error| {
        eprintln!("SEVERE: conf/server.xml: {error}");
        process::exit(1);
    });
    while let Some((before, comment)) = xml.split_once("<!--") {
        let after = comment.split_once("-->").map_or("", |(_, after)| after);
        xml = format!("{before}{after}");
    }
    xml.split("<Connector")
        .skip(1)
        .filter_map(|rest| {
            let element = rest.split('>').next()?;
            let address = attribute(element, "address").unwrap_or("127.0.0.1");
            Some(format!("{address}:{}", attribute(element, "port")?))
        })
        .collect()
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    element.split_whitespace().find_map(|word| {
        let value = word.strip_prefix(name)?.strip_prefix("=\"")?;
        value.split('"').next()
    })
}

/// The lines of `conf/fake.properties`.
struct Properties(String);

impl Properties {
    fn read(base: &Path) -> Self {
        // A base without the file runs with default behaviour.
        Self(fs::read_to_string(base.join("conf/fake.properties")).unwrap_or_default())
    }

    fn get<T: FromStr>(&self, key: &str) -> Option<T> {
        let value = self
            .0
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim())?;
        let parsed = value.parse().ok();
        // A typing error in a story must not pass for default behaviour.
        assert!(parsed.is_some(), "cannot read {key}={value}");
        parsed
    }

    fn is_true(&self, key: &str) -> bool {
        self.get(key).unwrap_or(false)
    }

    fn time(&self, key: &str) -> Option<Duration> {
        self.get(key).map(Duration::from_millis)
    }

    fn pause(&self, key: &str) {
        if let Some(time) = self.time(key) {
            thread::sleep(time);
        }
    }
}
