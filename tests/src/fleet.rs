//! A simulated fleet: machines whose agents are real to the manager (they join with a token and link over TLS), and
//! whose Tomcats exist in words only. Orders move them, changes come on command, or many in a second.

mod instance;
mod machine;
mod plan;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use agent::link::dial::Route;
use protocol::{state::State, token::JoinToken};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    sync::{Semaphore, mpsc},
};

pub use self::instance::{START, STOP};
use self::machine::Machine;
use crate::{http, manager::TestManager, wait};

/// How long the whole fleet may take to be linked.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many machines join at once.
const JOINING: usize = 8;

/// How many commands may wait for one machine.
const COMMANDS: usize = 64;

/// What a storm writes into the reason of an instance, before the moment of its sending in microseconds since the
/// Unix epoch.
pub const STAMP: &str = "load test, sent at µs ";

/// The version that simulated agents tell; machines of it may be replaced by a fleet of the same names.
const VERSION: &str = "0.1.0-simulated";

/// What a fleet shall be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The manager's socket, which gives the join token.
    pub socket: PathBuf,
    /// The manager's URL; what `ready.json` beside the socket says, if it is `None`.
    pub url: Option<String>,
    /// How many machines.
    pub machines: usize,
    /// How many instances on each.
    pub instances: usize,
    /// Whether the states are a mix, some instances refuse and some crash; else all are active and obey.
    pub mixed: bool,
}

/// A fleet. It ends when it is dropped, without a goodbye.
pub struct Fleet {
    // An option only because it is ended by value.
    runtime: Option<Runtime>,
    machines: Vec<mpsc::Sender<Command>>,
    counts: Arc<Counts>,
    instances: usize,
}

/// What the machines of a fleet count together.
#[derive(Default)]
struct Counts {
    linked: AtomicUsize,
    told: AtomicU64,
}

/// What a machine is told to do.
enum Command {
    /// An instance changes.
    Change {
        instance: usize,
        state: State,
        reason: Option<String>,
        sent: Sender<Sent>,
    },
    /// Changes come by themselves, one in each of these times; `None` ends that.
    Storm {
        pause: Option<Duration>,
        done: Sender<()>,
    },
    /// The link is cut, until `Back`.
    Away,
    Back,
}

/// When a change was handed to the connection.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// By the monotonic clock.
    pub at: Instant,
    /// By the system's clock, in milliseconds since the Unix epoch.
    pub millis: f64,
}

impl Sent {
    /// Now.
    pub fn now() -> Self {
        Self { at: Instant::now(), millis: epoch().as_secs_f64() * 1000.0 }
    }
}

/// The time since the Unix epoch.
pub fn epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}

impl Plan {
    /// A mixed fleet of a running manager.
    pub fn new(socket: &Path, machines: usize, instances: usize) -> Self {
        Self { socket: socket.to_owned(), url: None, machines, instances, mixed: true }
    }

    fn url(&self) -> String {
        self.url.clone().unwrap_or_else(|| {
            let ready = self.socket.with_file_name("ready.json");
            let text = std::fs::read_to_string(&ready).unwrap_or_else(|error| panic!("{}: {error}", ready.display()));
            let ready: Value = serde_json::from_str(&text).expect("ready.json is JSON");
            ready["url"].as_str().expect("a URL").to_owned()
        })
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> http::Answer {
        let answer = http::request(&self.socket, method, &format!("/api/v1{path}"), body);
        answer.unwrap_or_else(|| panic!("no manager answers at {}", self.socket.display()))
    }

    fn token(&self) -> JoinToken {
        let wanted = json!({"type": "join", "ttl_seconds": 3600, "uses": self.machines.max(1)});
        let answer = self.call("POST", "/tokens", Some(&wanted));
        assert!(answer.status / 100 == 2, "no join token: {}", answer.body);
        answer.json()["secret"].as_str().expect("a secret").parse().expect("a join token")
    }

    /// Removes the machines that an earlier simulated fleet left: the keys of their agents are gone.
    fn remove_earlier(&self) {
        let status = self.call("GET", "/status", None).json();
        for machine in status["machines"].as_array().into_iter().flatten() {
            let name = machine["name"].as_str().unwrap_or_default();
            let is_ours = (0..self.machines).any(|at| plan::machine(at) == name);
            if is_ours && machine["agent_version"] == VERSION {
                let answer = self.call("DELETE", &format!("/machines/{name}?force=true"), None);
                assert!(answer.status / 100 == 2, "{name} is not removed: {}", answer.body);
            }
        }
    }
}

impl Fleet {
    /// A mixed fleet of a manager of a test, all linked.
    pub fn of(manager: &TestManager, machines: usize, instances: usize) -> Self {
        Self::start(&Plan::new(&manager.socket(), machines, instances))
    }

    /// Starts a fleet; returns when all its machines are linked.
    pub fn start(plan: &Plan) -> Self {
        plan.remove_earlier();
        let route = Route::parse(&plan.url(), None).expect("the manager's URL");
        let token = plan.token();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let counts = Arc::<Counts>::default();
        let turns = Arc::new(Semaphore::new(JOINING));
        let start = |at| {
            let (commands, inbox) = mpsc::channel(COMMANDS);
            let machine = Machine::new(at, plan, route.clone(), counts.clone(), inbox);
            runtime.spawn(machine.run(token.clone(), turns.clone()));
            commands
        };
        let machines = (0..plan.machines).map(start).collect();
        let fleet = Self { machines, counts, instances: plan.instances, runtime: Some(runtime) };
        fleet.wait_linked(plan.machines);
        fleet
    }

    /// Waits until so many machines are linked.
    pub fn wait_linked(&self, machines: usize) {
        wait::until(&format!("{machines} machines to be linked"), PATIENCE, || {
            (self.linked() == machines).then_some(())
        });
    }

    /// How many machines are linked now.
    pub fn linked(&self) -> usize {
        self.counts.linked.load(Ordering::Relaxed)
    }

    /// How many changes were told so far.
    pub fn told(&self) -> u64 {
        self.counts.told.load(Ordering::Relaxed)
    }

    /// How many machines there are.
    pub fn machines(&self) -> usize {
        self.machines.len()
    }

    /// How many instances there are.
    pub fn size(&self) -> usize {
        self.machines.len() * self.instances
    }

    /// The name of a machine, counted from 0.
    pub fn machine(&self, machine: usize) -> String {
        plan::machine(machine)
    }

    /// The name that the manager gives an instance of a machine, both counted from 0.
    pub fn service(&self, machine: usize, instance: usize) -> String {
        format!("{}@{}", plan::instance(instance), plan::machine(machine))
    }

    /// Where a service is: its machine and its instance, counted from 0.
    pub fn find(&self, service: &str) -> Option<(usize, usize)> {
        let (instance, machine) = service.split_once('@')?;
        let machine = (0..self.machines.len()).find(|at| plan::machine(*at) == machine)?;
        Some((machine, (0..self.instances).find(|at| plan::instance(*at) == instance)?))
    }

    /// Has an instance change, and returns when its agent sent that.
    pub fn change(&self, machine: usize, instance: usize, state: State) -> Sent {
        self.change_with(machine, instance, state, None)
    }

    /// Like [`Fleet::change`], with a reason.
    pub fn change_with(&self, machine: usize, instance: usize, state: State, reason: Option<&str>) -> Sent {
        let (sent, was_sent) = channel();
        let reason = reason.map(str::to_owned);
        self.tell(machine, Command::Change { instance, state, reason, sent });
        was_sent.recv_timeout(Duration::from_secs(30)).expect("a linked agent tells a change")
    }

    /// Lets changes come, so many a second over the whole fleet; 0 ends that. Each turns one instance between `active`
    /// and `unresponsive`, with the [`STAMP`] in its reason. Returns when all machines know it.
    pub fn storm(&self, rate: u32) {
        let machines = u32::try_from(self.machines.len()).expect("no such fleet");
        let pause = (rate > 0).then(|| Duration::from_secs(1) * machines / rate);
        let (done, all_done) = channel();
        (0..self.machines.len()).for_each(|at| self.tell(at, Command::Storm { pause, done: done.clone() }));
        drop(done);
        all_done.iter().for_each(drop);
    }

    /// Cuts the link of a machine, without a goodbye, until it is told to come back.
    pub fn away(&self, machine: usize) {
        self.tell(machine, Command::Away);
    }

    /// Links a machine again that is away.
    pub fn back(&self, machine: usize) {
        self.tell(machine, Command::Back);
    }

    fn tell(&self, machine: usize, command: Command) {
        // Not `blocking_send`, which refuses to work within an async test.
        let mut left = Some(command);
        wait::until("a machine to listen", Duration::from_secs(30), || {
            match self.machines[machine].try_send(left.take()?) {
                Ok(()) => Some(()),
                Err(mpsc::error::TrySendError::Full(command)) => {
                    left = Some(command);
                    None
                }
                Err(mpsc::error::TrySendError::Closed(_)) => panic!("{} is turned away", plan::machine(machine)),
            }
        });
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Waiting for the tasks is forbidden within an async test, and needless.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
