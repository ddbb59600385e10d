//! Somebody else on an instance's port: the test process itself, which answers every request with 200.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A listener on somebody's port, as long as the value lives.
pub struct Squatter {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    port: u16,
    questions: Arc<AtomicUsize>,
}

impl Squatter {
    /// Takes a port of the loopback.
    pub fn take(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let questions = Arc::new(AtomicUsize::new(0));
        let counted = questions.clone();
        let answer = move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let mut request = [0; 1024];
                // Whoever asks may have gone.
                let read = stream.read(&mut request).unwrap_or(0);
                counted.fetch_add(usize::from(request[..read].starts_with(b"OPTIONS")), Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            }
        };
        Self { ended, thread: Some(thread::spawn(answer)), port, questions }
    }

    /// How often it was asked for its health, as an agent asks.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread, which then gives up the port.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
