//! Keeps a task for every instance of the machine, gives each what concerns it, and posts their news on the board.

pub mod board;
pub mod claims;
pub mod discovery;
pub mod facts;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use board::Board;
use claims::Claimed;
use protocol::{
    limits::MAX_INSTANCES,
    link::{Order, Outcome},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use uuid::Uuid;

use crate::{
    config::Settings,
    instance::{
        memory::Memory,
        task::{self, Found, Input, News, Setup},
    },
    os::{
        beat::Beat,
        process::{self, ProcessKey},
        sweep::Sweep,
        users,
    },
    tomcat::{command_line, installation},
};

/// The agent's only regular beat.
pub const TICK: Duration = Duration::from_secs(1);

/// How often, in ticks, the file system is looked through.
const DISCOVERY_TICKS: u64 = 30;

/// The longest that an order may be worth carrying out, in milliseconds.
const MAX_TTL_MS: u64 = 600_000;

/// How long the instances may take to tell their status for the first time.
const FIRST_NEWS: Duration = Duration::from_secs(5);

/// How many orders may wait.
pub const ORDERS: usize = 64;

/// The supervisor.
pub struct Supervisor {
    settings: Settings,
    grid: Uuid,
    grid_name: String,
    state_dir: PathBuf,
    board: Arc<Board>,
    instances: BTreeMap<PathBuf, mpsc::Sender<Input>>,
    news: mpsc::Sender<News>,
    sweep: Sweep,
    /// What the file system gave cause to say, renewed by each discovery.
    notes: BTreeSet<String>,
    /// What a process gave cause to say, as long as it lives.
    process_notes: BTreeMap<ProcessKey, String>,
    said: HashSet<String>,
}

/// What others need to talk to it.
pub struct Links {
    /// What the manager orders.
    pub orders: mpsc::Sender<Order>,
    /// The beat, which counts up.
    pub beat: watch::Receiver<u64>,
    /// The board.
    pub board: Arc<Board>,
}

/// Starts the supervisor of a member of a grid; it ends when every sender of orders is dropped.
pub async fn spawn(settings: Settings, state_dir: PathBuf, grid: Uuid, grid_name: String) -> Result<Links> {
    let timer = Beat::every(TICK).context("make a timer")?;
    let board = Arc::new(Board::default());
    let (orders, order_inputs) = mpsc::channel(ORDERS);
    let (news, mut news_inputs) = mpsc::channel(MAX_INSTANCES);
    let (beat_sender, beat) = watch::channel(0);
    let mut supervisor = Supervisor {
        settings,
        grid,
        grid_name,
        state_dir,
        board: board.clone(),
        instances: BTreeMap::new(),
        news,
        sweep: Sweep::default(),
        notes: BTreeSet::new(),
        process_notes: BTreeMap::new(),
        said: HashSet::new(),
    };
    supervisor.discover().await;
    supervisor.sweep().await;
    supervisor.hear_everybody(&mut news_inputs).await;
    tokio::spawn(supervisor.run(timer, order_inputs, news_inputs, beat_sender));
    Ok(Links { orders, beat, board })
}

impl Supervisor {
    async fn run(
        mut self,
        timer: Beat,
        mut orders: mpsc::Receiver<Order>,
        mut news: mpsc::Receiver<News>,
        beat: watch::Sender<u64>,
    ) {
        let mut tick = 0;
        loop {
            tokio::select! {
                biased;
                Some(news) = news.recv() => self.board.put(news),
                order = orders.recv() => match order {
                    Some(order) => self.give(order),
                    None => return,
                },
                () = timer.next() => {
                    tick += 1;
                    self.beat(tick).await;
                    beat.send_replace(tick);
                }
            }
        }
    }

    /// Waits until every instance has told its status once: the manager would take one that is missing in the first
    /// hello for gone.
    async fn hear_everybody(&self, news: &mut mpsc::Receiver<News>) {
        let mut silent: BTreeSet<String> = self.instances.keys().map(|base| base.display().to_string()).collect();
        let everybody = async {
            while !silent.is_empty()
                && let Some(told) = news.recv().await
            {
                silent.remove(&told.report.base);
                self.board.put(told);
            }
        };
        // One that hangs must not keep the manager from hearing of the others.
        let _late = tokio::time::timeout(FIRST_NEWS, everybody).await;
    }

    async fn beat(&mut self, tick: u64) {
        self.sweep().await;
        if tick.is_multiple_of(DISCOVERY_TICKS) {
            self.discover().await;
        }
        for inputs in self.instances.values() {
            // A task that is busy has work in hand, and the next beat will find it again.
            let _busy = inputs.try_send(Input::Tick(tick));
        }
    }

    /// Looks through the file system, takes up what is new, and drops what is gone.
    async fn discover(&mut self) {
        let settings = self.settings.clone();
        let looked = tokio::task::spawn_blocking(move || discovery::look(&settings)).await;
        let Ok(found) = looked else { return };
        self.notes = found.notes.iter().cloned().collect();
        for base in found.bases {
            if let Err(why) = self.take_up(base) {
                self.notes.insert(why);
            }
        }
        self.process_notes.retain(|key, _| key.is_alive());
        let gone: Vec<PathBuf> = self.instances.keys().filter(|base| !base.join("conf").exists()).cloned().collect();
        for base in gone {
            tracing::info!(base = %base.display(), "the instance is gone");
            self.instances.remove(&base);
            Memory::remove(&self.state_dir, &base);
            self.board.remove(&base.display().to_string());
        }
        self.post_facts();
    }

    fn post_facts(&mut self) {
        let notes: BTreeSet<String> = self.notes.iter().chain(self.process_notes.values()).cloned().collect();
        for note in &notes {
            if self.said.insert(note.clone()) {
                tracing::warn!("{note}");
            }
        }
        self.board.put_facts(facts::gather(notes.into_iter().collect()));
    }

    /// Starts the task of an instance, unless it has one, or belongs to another grid.
    fn take_up(&mut self, base: PathBuf) -> Result<(), String> {
        if self.instances.contains_key(&base) {
            return Ok(());
        }
        if self.instances.len() >= MAX_INSTANCES {
            return Err(format!("only {MAX_INSTANCES} instances are looked after; {} is not", base.display()));
        }
        let notes = match claims::claim(&base, self.grid, &self.grid_name) {
            Claimed::Ours => vec![],
            Claimed::Unmarked(why) => vec![why],
            Claimed::Other(why) => return Err(why),
        };
        let declared = discovery::declarations(&self.settings).remove(&base);
        let own_limit = declared.as_ref().and_then(|declared| declared.start_timeout);
        tracing::info!(base = %base.display(), "looking after this instance");
        let setup = Setup {
            base: base.clone(),
            declared,
            defaults: self.settings.tomcat.clone(),
            start_timeout: own_limit.unwrap_or(self.settings.start_timeout),
            allow: self.settings.allow.clone().into(),
            state_dir: self.state_dir.clone(),
            grid: self.grid,
            notes,
        };
        self.instances.insert(base, task::spawn(setup, self.news.clone()));
        // Its process may have been seen before its base was known.
        self.sweep.forget();
        Ok(())
    }

    /// Looks for processes that have appeared.
    async fn sweep(&mut self) {
        let mut appeared = Vec::new();
        self.sweep.look(|pid, arguments| {
            appeared.extend(command_line::recognise(arguments).map(|found| (pid, found)));
        });
        let before = self.process_notes.len();
        for (pid, command_line) in appeared {
            self.on_process(pid, command_line);
        }
        if self.process_notes.len() != before {
            self.post_facts();
        }
    }

    fn on_process(&mut self, pid: u32, command_line: command_line::CommandLine) {
        let Ok(base) = std::fs::canonicalize(&command_line.base) else { return };
        let (Some(uid), Some(key)) = (process::uid(pid), ProcessKey::of(pid)) else { return };
        let known = self.instances.contains_key(&base);
        if !known && (!self.settings.discover_processes || discovery::is_excluded(&base, &self.settings)) {
            return;
        }
        let declared = discovery::declarations(&self.settings).remove(&base);
        let configured = declared.and_then(|declared| declared.user).or_else(|| self.settings.tomcat.user.clone());
        if !installation::trusted_users(&base, configured.as_deref()).contains(&uid) {
            let note = format!(
                "process {pid} of `{}` says that it is the Tomcat of {}, whose files belong to others: it is not believed",
                users::shown(uid),
                base.display()
            );
            self.process_notes.insert(key, note);
            return;
        }
        if let Err(why) = self.take_up(base.clone()) {
            self.process_notes.insert(key, why);
        }
        let Some(inputs) = self.instances.get(&base) else { return };
        // A task that is busy sees the process again: a JVM is examined at each look.
        let _busy = inputs.try_send(Input::Appeared(Found { key, uid, command_line }));
    }

    /// Gives an order to the task of its instance, and has the outcome posted.
    fn give(&mut self, order: Order) {
        let id = order.id;
        let board = self.board.clone();
        let Some(inputs) = self.instances.get(&PathBuf::from(&order.base)) else {
            let message = format!("there is no instance at {} on this machine", protocol::limits::clip(&order.base));
            board.put_outcome(id, Outcome::Failed { message });
            return;
        };
        let (reply, outcome) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_millis(order.ttl_ms.min(MAX_TTL_MS));
        if inputs.try_send(Input::Order { order, deadline, reply }).is_err() {
            let message = "the instance has too many orders in hand".to_owned();
            board.put_outcome(id, Outcome::Failed { message });
            return;
        }
        tokio::spawn(async move {
            let gone = || Outcome::Unknown { message: "the instance was removed meanwhile".to_owned() };
            board.put_outcome(id, outcome.await.unwrap_or_else(|_| gone()));
        });
    }
}
