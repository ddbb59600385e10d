//! What the agent remembers of an instance on disk, so that after its own restart it comes to the same answers.

use std::{
    collections::{HashSet, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use anyhow::Result;
use protocol::{
    link::Outcome,
    report::ExitReport,
    state::{Action, State},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::doubts::Way;
use crate::os::{
    clock::{self, BootTime},
    files::{self, write_atomically},
    process::ProcessKey,
};

/// How many orders are remembered for each instance.
const ORDERS: usize = 64;

/// The largest memory file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// A moment that can be aged after a restart of the agent (by the time since boot) and of the machine (by the clock).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    boot: BootTime,
    clock: Timestamp,
    /// In which boot of the machine it was, where that is known.
    #[serde(default)]
    boot_id: Option<Uuid>,
}

/// Which boot of the machine this is; a process sees only one.
fn this_boot() -> Option<Uuid> {
    static THIS: LazyLock<Option<Uuid>> = LazyLock::new(|| clock::boot_id().parse().ok());
    *THIS
}

impl Moment {
    /// The present.
    pub fn now() -> Self {
        Self { boot: BootTime::now(), clock: Timestamp::now(), boot_id: this_boot() }
    }

    /// Whether the machine has not booted since.
    pub fn is_of_this_boot(&self) -> bool {
        self.boot_id.is_some() && self.boot_id == this_boot()
    }

    /// How long ago it was.
    pub fn age(&self) -> Duration {
        if self.is_of_this_boot() { self.boot.age() } else { Timestamp::now().since(self.clock) }
    }
}

/// All that is remembered of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The real path of its base.
    pub base: PathBuf,
    /// In which boot of the machine the process below was.
    pub boot_id: String,
    /// Its process.
    pub process: Option<ProcessMemory>,
    /// Its state and since when it has been so.
    pub state: Option<(State, Moment)>,
    /// Why it came to be so, in words.
    #[serde(default)]
    pub reason: Option<String>,
    /// How its last process ended.
    pub last_exit: Option<ExitMemory>,
    /// The user of the last process seen.
    pub last_user: Option<u32>,
    /// `CATALINA_HOME` of the last process seen.
    pub last_home: Option<PathBuf>,
    /// The systemd unit of the last process seen.
    pub last_unit: Option<String>,
    /// The latest orders, oldest first.
    pub orders: VecDeque<OrderMemory>,
}

/// What is remembered of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMemory {
    /// Which process.
    pub key: ProcessKey,
    /// What was signalled to it last.
    pub signalled: Option<Action>,
    /// Whether that is noted, and not known to be sent: so it is between the two, and when the agent ended there.
    #[serde(default)]
    pub is_doubtful: bool,
    /// Whether it has ever given a good answer.
    pub has_answered: bool,
    /// The ports of its connectors that it has ever held.
    #[serde(default)]
    pub held: Vec<u16>,
    /// The file that its JVM removes when it ends in order.
    pub hsperf: Option<PathBuf>,
    /// The systemd unit whose main process it is.
    #[serde(default)]
    pub unit: Option<String>,
}

impl ProcessMemory {
    /// The memory of a process that nothing is known of.
    pub fn new(key: ProcessKey) -> Self {
        Self {
            key,
            signalled: None,
            is_doubtful: false,
            has_answered: false,
            held: Vec::new(),
            hsperf: None,
            unit: None,
        }
    }

    /// Whether it was told to end, and that is known to be sent.
    pub fn is_told_to_end(&self) -> bool {
        matches!(self.signalled, Some(Action::Stop | Action::Kill)) && !self.is_doubtful
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitMemory {
    /// When.
    pub at: Moment,
    /// The exit code, if known.
    pub code: Option<i32>,
    /// The signal, if known.
    pub signal: Option<i32>,
    /// Whether somebody wanted it.
    pub wanted: bool,
    /// In words.
    pub how: String,
}

/// An order, and what became of it; without an outcome it was begun, and the agent ended before it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderMemory {
    /// The order's id.
    pub id: Uuid,
    /// What it asked for.
    pub action: Action,
    /// What became of it.
    pub outcome: Option<Outcome>,
    /// The process that it was meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessKey>,
    /// How it was to be carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// When it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
}

impl OrderMemory {
    /// The process that it was meant for, unless the machine has booted since.
    pub fn process_of_this_boot(&self) -> Option<ProcessKey> {
        self.process.filter(|_| self.at.is_some_and(|at| at.is_of_this_boot()))
    }
}

impl Memory {
    /// The memory of an instance that nothing is known of.
    pub fn new(base: &Path) -> Self {
        Self {
            base: base.to_path_buf(),
            boot_id: clock::boot_id(),
            process: None,
            state: None,
            reason: None,
            last_exit: None,
            last_user: None,
            last_home: None,
            last_unit: None,
            orders: VecDeque::new(),
        }
    }

    /// Loads what is remembered of a base. What cannot be read is set aside and said: see [`Self::lost`]. Blocks.
    pub fn load(state_dir: &Path, base: &Path) -> Self {
        let file = file(state_dir, base);
        let loaded = files::read_patiently(&file, MAX_FILE)
            .and_then(|content| serde_json::from_slice::<Self>(&content).map_err(io::Error::from));
        match loaded {
            Ok(memory) if memory.base == base => memory,
            Ok(_) => {
                files::set_aside(&file);
                Self::new(base)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::new(base),
            Err(error) => {
                tracing::error!(file = %file.display(), "what was remembered of {} is lost: {error}", base.display());
                files::set_aside(&file);
                Self::new(base)
            }
        }
    }

    /// When what was remembered of a base could not be read for the last time, if that ever was.
    pub fn lost(state_dir: &Path, base: &Path) -> Option<Timestamp> {
        files::set_aside_at(&file(state_dir, base))
    }

    /// The orders of all instances whose outcome is not known; `None` if a file cannot be read. Blocks.
    pub fn unresolved(state_dir: &Path) -> Option<HashSet<Uuid>> {
        let mut unresolved = HashSet::new();
        for entry in std::fs::read_dir(state_dir.join("instances")).ok()? {
            let path = entry.ok()?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let memory: Self = serde_json::from_slice(&files::read_bounded(&path, MAX_FILE).ok()?).ok()?;
                unresolved.extend(memory.orders.iter().filter(|order| order.outcome.is_none()).map(|order| order.id));
            }
        }
        Some(unresolved)
    }

    /// Stores it; returns when it is on disk.
    pub async fn store(&self, state_dir: &Path) -> Result<()> {
        let file = file(state_dir, &self.base);
        let content = serde_json::to_vec(self)?;
        // The disk may take its time, and other instances must not wait for it.
        tokio::task::spawn_blocking(move || write_atomically(&file, &content)).await?
    }

    /// Removes what is remembered of a base.
    pub fn remove(state_dir: &Path, base: &Path) {
        // It may never have been written.
        let _absent = std::fs::remove_file(file(state_dir, base));
    }

    /// Whether its process was in this boot of the machine.
    pub fn same_boot(&self) -> bool {
        !self.boot_id.is_empty() && self.boot_id == clock::boot_id()
    }

    /// What is remembered of a process, if it is that one.
    pub fn of_process(&mut self, key: ProcessKey) -> Option<&mut ProcessMemory> {
        let same_boot = self.same_boot();
        self.process.as_mut().filter(|process| same_boot && process.key == key)
    }

    /// Notes an order before anything is done for it; one that is known is noted anew.
    pub fn begin_order(&mut self, id: Uuid, action: Action, process: Option<ProcessKey>, way: Option<Way>) {
        self.orders.retain(|order| order.id != id);
        if self.orders.len() >= ORDERS {
            // One without an outcome may still be asked for, and must not be carried out again.
            match self.orders.iter().position(|order| order.outcome.is_some()) {
                Some(at) => drop(self.orders.remove(at)),
                None if self.orders.len() >= 2 * ORDERS => drop(self.orders.pop_front()),
                None => {}
            }
        }
        self.orders.push_back(OrderMemory { id, action, outcome: None, process, way, at: Some(Moment::now()) });
    }

    /// Notes what became of an order.
    pub fn end_order(&mut self, id: Uuid, outcome: &Outcome) {
        if let Some(order) = self.orders.iter_mut().rev().find(|order| order.id == id) {
            order.outcome = Some(outcome.clone());
        }
    }

    /// An order that was received before.
    pub fn order(&self, id: Uuid) -> Option<&OrderMemory> {
        self.orders.iter().rev().find(|order| order.id == id)
    }

    /// What became of an order that was received before, if that is known.
    pub fn outcome_of(&self, id: Uuid) -> Option<Outcome> {
        self.order(id)?.outcome.clone()
    }

    /// The last exit as it is reported.
    pub fn exit_report(&self) -> Option<ExitReport> {
        let exit = self.last_exit.as_ref()?;
        let age = exit.at.age();
        Some(ExitReport {
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            code: exit.code,
            signal: exit.signal,
            wanted: exit.wanted,
            how: exit.how.clone(),
        })
    }
}

fn file(state_dir: &Path, base: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let name: String =
        Sha256::digest(base.as_os_str().as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    state_dir.join("instances").join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::clock::ManagersClock;

    fn state_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("instances")).unwrap();
        dir
    }

    #[tokio::test]
    async fn an_order_is_answered_by_what_is_remembered() {
        let dir = state_dir();
        let base = Path::new("/srv/a");
        let (begun, done) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let outcome = Outcome::Done { message: "signalled".to_owned() };
        let mut memory = Memory::new(base);
        let key = ProcessKey { pid: 1, start_ticks: 2 };
        memory.begin_order(begun, Action::Stop, Some(key), Some(Way::Signal {}));
        memory.begin_order(done, Action::Stop, None, None);
        memory.end_order(done, &outcome);
        memory.store(dir.path()).await.unwrap();

        let loaded = Memory::load(dir.path(), base);
        assert_eq!(loaded.outcome_of(done), Some(outcome));
        assert_eq!(loaded.outcome_of(begun), None);
        assert_eq!(loaded.order(begun).unwrap().process_of_this_boot(), Some(key));
        assert_eq!(loaded.outcome_of(Uuid::from_u128(3)), None);
    }

    #[test]
    fn only_so_many_orders_are_remembered() {
        let mut memory = Memory::new(Path::new("/srv/a"));
        for id in 0..=ORDERS as u128 {
            memory.begin_order(Uuid::from_u128(id), Action::Start, None, None);
            if id > 0 {
                memory.end_order(Uuid::from_u128(id), &Outcome::Expired {});
            }
        }
        assert_eq!(memory.orders.len(), ORDERS);
        assert!(memory.order(Uuid::from_u128(0)).is_some(), "what became of it is not known");
        assert!(memory.order(Uuid::from_u128(1)).is_none());
        for id in 1000..1000 + 3 * ORDERS as u128 {
            memory.begin_order(Uuid::from_u128(id), Action::Start, None, None);
        }
        assert_eq!(memory.orders.len(), 2 * ORDERS);
        let old = r#"{"id":"00000000-0000-0000-0000-000000000001","action":"stop","outcome":null}"#;
        let of_an_older_version: OrderMemory = serde_json::from_str(old).unwrap();
        assert_eq!(of_an_older_version.way, None);
    }

    #[test]
    fn a_damaged_file_is_no_obstacle() {
        let dir = state_dir();
        let base = Path::new("/srv/a");
        std::fs::write(file(dir.path(), base), "{").unwrap();
        assert_eq!(Memory::lost(dir.path(), base), None);
        assert_eq!(Memory::load(dir.path(), base), Memory::new(base));
        let lost = Memory::lost(dir.path(), base);
        assert!(lost.is_some() && Memory::load(dir.path(), base) == Memory::new(base), "it is said for good");
        assert!(files::may_be_forgotten(Uuid::from_u128(1), lost, &ManagersClock::default()));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!files::may_be_forgotten(Uuid::now_v7(), lost, &ManagersClock::default()), "it was made afterwards");
    }

    #[test]
    fn a_process_of_an_earlier_boot_is_not_mistaken() {
        let key = ProcessKey { pid: 1, start_ticks: 2 };
        let mut memory = Memory { process: Some(ProcessMemory::new(key)), ..Memory::new(Path::new("/srv/a")) };
        assert!(memory.of_process(key).is_some());
        memory.boot_id = "another".to_owned();
        assert!(memory.of_process(key).is_none());
    }

    #[test]
    fn a_moment_of_another_boot_is_aged_by_the_clock() {
        let now = Moment::now();
        assert!(now.age() < Duration::from_secs(60));
        let hour = Duration::from_secs(3600);
        let json = serde_json::json!({ "boot": BootTime::now(), "clock": Timestamp::now().before(hour) });
        let of_an_older_version: Moment = serde_json::from_value(json).unwrap();
        assert!(of_an_older_version.age() >= hour);
        let earlier = Moment { boot_id: Some(Uuid::from_u128(1)), ..of_an_older_version };
        assert!(earlier.age() >= hour);
        assert!(Moment { boot_id: this_boot(), ..earlier }.age() < hour);
    }
}
