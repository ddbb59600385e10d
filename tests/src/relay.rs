//! A TCP relay between a browser and the manager, whose cable can be pulled: the only way to break a stream that is
//! open, because a browser that is told to be offline lets it live.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::manager::TestManager;

/// How the cable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Whole,
    Frozen,
    Cut,
}

/// A relay. It listens until the test's process ends.
pub struct Relay {
    port: u16,
    cable: Arc<Cable>,
}

#[derive(Default)]
struct Cable {
    state: Mutex<State>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Relays to a manager's TLS port.
    pub fn to(manager: &TestManager) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let cable = Arc::<Cable>::default();
        let (address, shared) = (manager.address(), cable.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A manager that is away refuses, and so does the relay.
                let Ok(server) = TcpStream::connect(&address) else { continue };
                if *shared.state.lock().unwrap() != State::Cut {
                    // One that breaks at once is as good as none.
                    let _broken = shared.join(&client, &server);
                }
            }
        });
        Self { port, cable }
    }

    /// The address to dial.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Lets nothing through any more, without anybody being told.
    pub fn freeze(&self) {
        self.cable.set(State::Frozen);
    }

    /// Ends all connections, and every one that is tried.
    pub fn cut(&self) {
        self.cable.set(State::Cut);
        for stream in self.cable.open.lock().unwrap().drain(..) {
            // It may have ended by itself.
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.cable.set(State::Whole);
    }
}

impl Cable {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    fn join(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) -> io::Result<()> {
        self.open.lock().unwrap().extend([client.try_clone()?, server.try_clone()?]);
        for (from, to) in [(client, server), (server, client)] {
            let (from, to, cable) = (from.try_clone()?, to.try_clone()?, self.clone());
            to.set_nodelay(true)?;
            thread::spawn(move || {
                // However it ends, both sides learn it.
                let _broken = cable.pass(&from, &to);
                let _ended = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            });
        }
        Ok(())
    }

    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer)?;
            let state = self.state.lock().unwrap();
            drop(self.changed.wait_while(state, |state| *state == State::Frozen).unwrap());
            if length == 0 {
                return Ok(());
            }
            to.write_all(&buffer[..length])?;
        }
    }
}
