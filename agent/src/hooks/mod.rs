//! Runs the manager's hook programs on this machine, each run at most once by its id.

pub mod checks;
pub mod memory;
pub mod secrets;
pub mod store;
pub mod user;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use checks::Checks;
use memory::{Memory, RunMemory};
use protocol::{
    hook::{HookEnd, HookFate, HookRun},
    time::Timestamp,
};
use runner::Launcher;
use store::Store;
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::{
    config::Settings,
    supervisor::board::{Board, InHand},
};

/// The most hooks that run at a time.
const MAX_AT_ONCE: usize = 16;

/// The most hooks that run, or wait until they can.
const MAX_IN_HAND: usize = 256;

/// The longest that a run may be worth beginning.
const MAX_TTL: Duration = Duration::from_secs(600);

/// Why a run is not begun that is not worth it any more.
const TOO_LATE: &str = "it came too late to be worth it";

/// Who runs hooks.
#[derive(Clone)]
pub struct Hooks(Arc<Inner>);

struct Inner {
    checks: Checks,
    memory: Memory,
    board: Arc<Board>,
    launcher: Launcher,
    /// What runs or waits now, with the way to abandon it.
    running: Mutex<HashMap<Uuid, oneshot::Sender<()>>>,
    /// Places of those that run at a time.
    places: Semaphore,
}

impl Hooks {
    /// Opens the memory of what ran before, and has cleared up what is left of it. To be called in the runtime. Blocks.
    pub fn open(
        settings: &Settings,
        state_dir: PathBuf,
        store: Store,
        board: Arc<Board>,
        launcher: Launcher,
    ) -> io::Result<Self> {
        let (memory, left_behind) = Memory::open(&state_dir)?;
        // It may take long. Until it is done nobody knows their ends.
        tokio::task::spawn_blocking(|| left_behind.clear_up());
        let checks = Checks::new(settings, state_dir, store);
        let places = Semaphore::new(MAX_AT_ONCE);
        Ok(Self(Arc::new(Inner { checks, memory, board, launcher, running: Mutex::default(), places })))
    }

    /// Begins a run, unless it is known; its end is put up on the board in any case.
    pub fn begin(&self, run: HookRun, received: Instant) {
        let id = run.id;
        let (abandon, abandoned) = oneshot::channel();
        {
            let mut running = self.0.running();
            if running.contains_key(&id) {
                // Whoever asks again hears of its end.
                return;
            }
            if running.len() >= MAX_IN_HAND {
                drop(running);
                // Read here, as no task may be made for it; it is seldom, and small.
                if let Some(end) = self.0.remembered(id) {
                    self.0.board.put_hook_end(id, end);
                    return;
                }
                let why = format!("{MAX_IN_HAND} hooks run or wait on this machine already: ask again later");
                self.0.board.put_hook_end(id, HookEnd::not_run(why));
                return;
            }
            running.insert(id, abandon);
        }
        let (inner, in_hand) = (self.0.clone(), InHand::of(&self.0.board));
        tokio::spawn(async move {
            let _slot = Slot(&inner, id);
            let end = inner.run(run, received, abandoned).await;
            inner.board.put_hook_end(id, end);
            drop(in_hand);
        });
    }

    /// Ends a run whose end nobody waits for any more.
    pub fn abandon(&self, run: Uuid) {
        if let Some(abandon) = self.0.running().get_mut(&run) {
            let (gone, _) = oneshot::channel();
            // It may have ended just now.
            let _ended = std::mem::replace(abandon, gone).send(());
        }
    }
}

/// A place among those that run, given up when it is dropped.
struct Slot<'a>(&'a Inner, Uuid);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.running().remove(&self.1);
    }
}

impl Inner {
    fn running(&self) -> MutexGuard<'_, HashMap<Uuid, oneshot::Sender<()>>> {
        // Nothing in here can be left half done by a panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: &Arc<Self>, run: HookRun, received: Instant, mut abandoned: oneshot::Receiver<()>) -> HookEnd {
        let id = run.id;
        let inner = self.clone();
        match tokio::task::spawn_blocking(move || inner.remembered(id)).await {
            Ok(None) => {}
            Ok(Some(end)) => return end,
            Err(error) => return HookEnd::not_run(format!("the agent failed at it: {error}")),
        }
        // Whoever asked allows so much for the wait, and the hook's own time besides.
        let ttl = Duration::from_millis(run.ttl_ms).min(MAX_TTL);
        let place = tokio::select! {
            biased;
            place = timeout_at(received + ttl, self.places.acquire()) => match place {
                Ok(Ok(place)) => Ok(place),
                _ if ttl.is_zero() => Err(TOO_LATE.to_owned()),
                _ => Err(format!("{MAX_AT_ONCE} other hooks run on this machine, and none of them ended in time")),
            },
            Ok(()) = &mut abandoned => Err("it was abandoned while it waited for others".to_owned()),
        };
        let (inner, no_place) = (self.clone(), place.as_ref().err().cloned());
        // Reads and writes files, and verifies the program.
        let prepared = tokio::task::spawn_blocking(move || inner.prepare(run, received, no_place)).await;
        let (run, known) = match prepared {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(end)) => return *end,
            Err(error) => return HookEnd::not_run(format!("the agent failed at it: {error}")),
        };
        fail::fail_point!("hook_noted", |_| std::process::abort());
        tracing::info!(run = %id, hook = known.name, "a hook runs");
        let board = self.board.clone();
        let told = move |text: &str| board.put_hook_output(id, text.to_owned());
        let is_abandoned = async move {
            // An agent that ends drops the sender, and the run is killed with the future.
            if abandoned.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let end = runner::run(run, &self.launcher, told, is_abandoned).await;
        tracing::info!(run = %id, hook = known.name, fate = ?end.fate, "the hook has ended");
        self.note(id, RunMemory { end: Some(end.clone()), ..known }).await;
        end
    }

    /// What is told of a run that is remembered. Blocks.
    fn remembered(&self, id: Uuid) -> Option<HookEnd> {
        let known = self.memory.get(id)?;
        Some(known.end.unwrap_or_else(|| HookEnd {
            fate: HookFate::Unknown { why: "the agent ended while the hook ran".to_owned() },
            output: String::new(),
            dropped: 0,
            duration_ms: 0,
        }))
    }

    /// Checks a run that is not remembered and notes it, or answers with its end. Blocks.
    fn prepare(
        &self,
        run: HookRun,
        received: Instant,
        no_place: Option<String>,
    ) -> Result<(runner::Run, RunMemory), Box<HookEnd>> {
        let id = run.id;
        let name = protocol::limits::clip(&run.name);
        let not_run = |why: String| {
            let end = HookEnd::not_run(protocol::limits::clip(&why));
            // Asked again, the answer is the same: what was told must stay true.
            let known = RunMemory { at: Timestamp::now(), name: name.clone(), uid: 0, end: Some(end.clone()) };
            if let Err(error) = self.memory.put(id, &known) {
                tracing::error!(run = %id, "cannot remember that a hook was not run: {error:#}");
            }
            Box::new(end)
        };
        if let Some(why) = no_place {
            return Err(not_run(why));
        }
        if received.elapsed() >= Duration::from_millis(run.ttl_ms).min(MAX_TTL) {
            return Err(not_run(TOO_LATE.to_owned()));
        }
        if let Err(error) = self.memory.tidy() {
            tracing::error!("cannot forget old runs of hooks: {error}");
        }
        let report = run.base.as_deref().map(|base| self.board.report(base));
        let run = self.checks.check(run, report).map_err(not_run)?;
        let uid = run.account.as_ref().map_or_else(crate::os::users::current, |account| account.uid);
        let known = RunMemory { at: Timestamp::now(), name: name.clone(), uid, end: None };
        if let Err(error) = self.memory.put(id, &known) {
            let why = format!("it was not run, because it could not be remembered: {error:#}");
            return Err(Box::new(HookEnd::not_run(protocol::limits::clip(&why))));
        }
        Ok((run, known))
    }

    async fn note(self: &Arc<Self>, id: Uuid, run: RunMemory) {
        let inner = self.clone();
        let noted = tokio::task::spawn_blocking(move || inner.memory.put(id, &run)).await;
        if let Err(error) = noted.map_err(anyhow::Error::from).and_then(|noted| noted) {
            tracing::error!(run = %id, "cannot remember the end of a hook: {error:#}");
        }
    }
}
