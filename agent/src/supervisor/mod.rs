//! Keeps a task for every instance of the machine, gives each what concerns it, and posts their news on the board.

pub mod board;
pub mod claims;
pub mod discovery;
pub mod facts;
pub mod hook_news;
pub mod looking;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use board::{Board, InHand};
use claims::Claimed;
use looking::{Discovery, Looked, Looker, Verdict};
use protocol::{
    limits::MAX_INSTANCES,
    link::{Order, Outcome},
};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot, watch,
    },
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::{
    config::{Instance, Settings},
    instance::{
        memory::Memory,
        task::{self, Found, Input, News, Setup},
    },
    os::{
        beat::Beat,
        process::{self, ProcessKey},
        sweep::Sweep,
    },
    tomcat::command_line,
};

/// The agent's only regular beat.
pub const TICK: Duration = Duration::from_secs(1);

/// How often, in ticks, the file system is looked through.
const DISCOVERY_TICKS: u64 = 30;

/// How often, in ticks, while something has just vanished.
const HURRIED_TICKS: u64 = 5;

/// How long a look through the file system may take before it is worth a note.
const SLOW: Duration = Duration::from_secs(10);

/// The longest that an order may be worth carrying out, in milliseconds.
const MAX_TTL_MS: u64 = 600_000;

/// How long the instances may take to tell their status for the first time.
const FIRST_NEWS: Duration = Duration::from_secs(5);

/// How many orders may wait.
pub const ORDERS: usize = 64;

/// The supervisor.
pub struct Supervisor {
    looker: Looker,
    state_dir: PathBuf,
    board: Arc<Board>,
    instances: BTreeMap<PathBuf, Handle>,
    tasks: JoinSet<()>,
    news: mpsc::Sender<News>,
    sweep: Sweep,
    looking: JoinSet<Looked>,
    /// Since when the file system is being looked through, if it is.
    discovering: Option<Instant>,
    is_slow: bool,
    /// The declarations of the last discovery; before the first there is nothing to judge a process by.
    declarations: Option<Arc<BTreeMap<PathBuf, Instance>>>,
    /// The bases that the last discovery did not find any more.
    missing: BTreeSet<PathBuf>,
    hurry: bool,
    /// What the file system gave cause to say, renewed by each discovery.
    notes: BTreeSet<String>,
    processes: HashMap<ProcessKey, Seen>,
    said: BTreeSet<String>,
}

/// An instance's task.
struct Handle {
    inputs: mpsc::Sender<Input>,
    task: AbortHandle,
    setup: Setup,
}

/// What is known of a process that calls itself a Tomcat.
struct Seen {
    uid: u32,
    /// Whether it is being looked at now.
    asked: bool,
    /// Whether it is to be looked at again.
    again: bool,
    is_of: Option<PathBuf>,
    note: Option<String>,
}

/// What others need to talk to it.
pub struct Links {
    /// What the manager orders.
    pub orders: mpsc::Sender<Order>,
    /// The beat, which counts up, and is closed when the supervisor has ended.
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
        looker: Looker { settings: Arc::new(settings), grid, grid_name },
        state_dir,
        board: board.clone(),
        instances: BTreeMap::new(),
        tasks: JoinSet::new(),
        news,
        sweep: Sweep::default(),
        looking: JoinSet::new(),
        discovering: None,
        is_slow: false,
        declarations: None,
        missing: BTreeSet::new(),
        hurry: false,
        notes: BTreeSet::new(),
        processes: HashMap::new(),
        said: BTreeSet::new(),
    };
    supervisor.first_look().await;
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
                // News first: none may be left of an instance when it is dropped, and perhaps taken up again.
                biased;
                Some(news) = news.recv() => self.hear(news),
                order = orders.recv() => match order {
                    Some(order) => self.give(order),
                    None => return,
                },
                Some(looked) = self.looking.join_next() => self.on_looked(looked),
                Some(ended) = self.tasks.join_next_with_id() => self.on_task_ended(ended),
                () = timer.next() => {
                    tick += 1;
                    self.beat(tick);
                    beat.send_replace(tick);
                }
            }
        }
    }

    /// Looks through everything once before any instance is taken up, so that one that runs is never told to be stopped.
    async fn first_look(&mut self) {
        // A storage that hangs must not keep the manager from hearing of the others.
        let limit = Instant::now() + SLOW;
        self.discover();
        let Ok(Some(Ok(Looked::Files(discovery)))) = timeout_at(limit, self.looking.join_next()).await else { return };
        self.declarations = Some(Arc::new(discovery.declarations.clone()));
        self.sweep(&discovery.fresh.iter().map(|(base, _)| base.clone()).collect());
        let mut processes = Vec::new();
        while let Ok(Some(looked)) = timeout_at(limit, self.looking.join_next()).await {
            processes.push(looked);
        }
        self.on_looked(Ok(Looked::Files(discovery)));
        processes.into_iter().for_each(|looked| self.on_looked(looked));
    }

    /// Waits until every instance has told its status once: the manager would take one that is missing in the first
    /// hello for gone.
    async fn hear_everybody(&mut self, news: &mut mpsc::Receiver<News>) {
        let mut silent: BTreeSet<String> = self.instances.keys().map(|base| base.display().to_string()).collect();
        let everybody = async {
            while !silent.is_empty()
                && let Some(told) = news.recv().await
            {
                silent.remove(&told.report.base);
                self.hear(told);
            }
        };
        // One that hangs must not keep the manager from hearing of the others.
        let _late = tokio::time::timeout(FIRST_NEWS, everybody).await;
    }

    /// Puts news on the board, unless they are late news of an instance that was dropped.
    fn hear(&self, news: News) {
        if self.instances.contains_key(Path::new(&news.report.base)) {
            self.board.put(news);
        }
    }

    fn beat(&mut self, tick: u64) {
        self.sweep(&BTreeSet::new());
        let every = if self.hurry { HURRIED_TICKS } else { DISCOVERY_TICKS };
        if tick.is_multiple_of(every) {
            self.discover();
        }
        let is_slow = self.discovering.is_some_and(|since| since.elapsed() > SLOW);
        if std::mem::replace(&mut self.is_slow, is_slow) != is_slow {
            self.post_facts();
        }
        let fallen: Vec<Setup> = self
            .instances
            .values()
            .filter(|handle| handle.task.is_finished())
            .map(|handle| handle.setup.clone())
            .collect();
        for setup in fallen {
            self.start_task(setup);
        }
        for handle in self.instances.values() {
            // A task that is busy has work in hand, and the next beat will find it again.
            let _busy = handle.inputs.try_send(Input::Tick(tick));
        }
    }

    /// Has the file system looked through, unless that is in hand.
    fn discover(&mut self) {
        if self.discovering.is_some() {
            return;
        }
        self.discovering = Some(Instant::now());
        let (looker, known) = (self.looker.clone(), self.instances.keys().cloned().collect());
        self.looking.spawn_blocking(move || Looked::Files(looker.discover(&known)));
    }

    fn on_looked(&mut self, looked: Result<Looked, JoinError>) {
        match looked {
            Ok(Looked::Files(discovery)) => self.on_discovery(discovery),
            Ok(Looked::Process(found, verdict)) => self.on_examined(found, verdict),
            Err(error) => {
                tracing::error!("a look through the file system failed: {error}");
                self.discovering = None;
                self.processes.retain(|_, seen| !seen.asked);
            }
        }
    }

    /// Takes up what is new, and drops what is gone.
    fn on_discovery(&mut self, discovery: Discovery) {
        self.discovering = None;
        self.is_slow = false;
        self.notes = discovery.notes;
        self.declarations = Some(Arc::new(discovery.declarations));
        for (base, claimed) in discovery.fresh {
            if let Err(why) = self.take_up(base, claimed) {
                self.notes.insert(why);
            }
        }
        self.processes.retain(|key, seen| seen.asked || key.is_alive());
        for seen in self.processes.values_mut().filter(|seen| seen.is_of.is_none()) {
            seen.again = true;
            self.sweep.forget();
        }
        // A move, or a moment of maintenance, is no end: who is missed twice, and has no process, is gone.
        let before = std::mem::replace(&mut self.missing, discovery.missing);
        self.hurry = self.missing.difference(&before).next().is_some();
        for base in self.missing.intersection(&before) {
            let name = base.display().to_string();
            if self.board.has_process(&name) {
                continue;
            }
            tracing::info!(base = %name, "the instance is gone");
            if let Some(handle) = self.instances.remove(base) {
                handle.task.abort();
            }
            Memory::remove(&self.state_dir, base);
            self.board.remove(&name);
        }
        self.post_facts();
    }

    fn post_facts(&mut self) {
        let mut notes = self.notes.clone();
        notes.extend(self.processes.values().filter_map(|seen| seen.note.clone()));
        if self.is_slow {
            let seconds = SLOW.as_secs();
            notes.insert(format!(
                "the look for instances takes longer than {seconds} s: a root or a declared base is on a storage that hangs"
            ));
        }
        for note in notes.difference(&self.said) {
            tracing::warn!("{note}");
        }
        self.said = notes.clone();
        self.board.put_facts(facts::gather(&self.looker.settings.allow, notes.into_iter().collect()));
    }

    /// Starts the task of an instance, unless it has one, or belongs to another grid.
    fn take_up(&mut self, base: PathBuf, claimed: Claimed) -> Result<(), String> {
        if self.instances.contains_key(&base) {
            return Ok(());
        }
        if self.instances.len() >= MAX_INSTANCES {
            return Err(format!("only {MAX_INSTANCES} instances are looked after; {} is not", base.display()));
        }
        let notes = match claimed {
            Claimed::Ours => vec![],
            Claimed::Unmarked(why) => vec![why],
            Claimed::Other(why) => return Err(why),
        };
        let settings = &self.looker.settings;
        let declared = self.declarations.as_ref().and_then(|declarations| declarations.get(&base).cloned());
        let own_limit = declared.as_ref().and_then(|declared| declared.start_timeout);
        tracing::info!(base = %base.display(), "looking after this instance");
        self.start_task(Setup {
            base,
            declared,
            defaults: settings.tomcat.clone(),
            start_timeout: own_limit.unwrap_or(settings.start_timeout),
            allow: settings.allow.clone().into(),
            state_dir: self.state_dir.clone(),
            grid: self.looker.grid,
            notes,
        });
        Ok(())
    }

    fn start_task(&mut self, setup: Setup) {
        let (inputs, task) = task::spawn(setup.clone(), self.news.clone(), &mut self.tasks);
        self.instances.insert(setup.base.clone(), Handle { inputs, task, setup });
        // Its process may have been seen before.
        self.sweep.forget();
    }

    /// Says that a task has failed; the next beat starts it again, with what it remembers on disk.
    fn on_task_ended(&self, ended: Result<(Id, ()), JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            let whose = self.instances.values().find(|handle| handle.task.id() == error.id());
            let base = whose.map(|handle| handle.setup.base.display().to_string()).unwrap_or_default();
            tracing::error!(base, "the task of the instance failed, and is started again: {error}");
        }
    }

    /// Looks for processes that have appeared. Besides the bases in hand, those of `expected` count as known.
    fn sweep(&mut self, expected: &BTreeSet<PathBuf>) {
        let Some(declarations) = self.declarations.clone() else { return };
        let mut appeared = Vec::new();
        self.sweep.look(|pid, arguments| {
            appeared.extend(command_line::recognise(arguments).map(|found| (pid, found)));
        });
        for (pid, command_line) in appeared {
            let Some(key) = ProcessKey::of(pid) else { continue };
            if let Some(seen) = self.processes.get(&key) {
                let handle = seen.is_of.as_ref().map(|base| self.instances.get(base));
                match handle {
                    _ if seen.asked => continue,
                    None if !seen.again => continue,
                    Some(Some(handle)) => {
                        let found = Found { key, uid: seen.uid, command_line };
                        // A task that is busy sees the process again: a JVM is examined at each look.
                        let _busy = handle.inputs.try_send(Input::Appeared(found));
                        continue;
                    }
                    _ => {}
                }
            }
            let Some(uid) = process::uid(pid) else { continue };
            let note = self.processes.remove(&key).and_then(|seen| seen.note);
            self.processes.insert(key, Seen { uid, asked: true, again: false, is_of: None, note });
            let found = Found { key, uid, command_line };
            let known = self.instances.keys().chain(expected).cloned().collect();
            let (looker, declarations) = (self.looker.clone(), declarations.clone());
            self.looking.spawn_blocking(move || {
                let verdict = looker.examine(&found, &known, &declarations);
                Looked::Process(found, verdict)
            });
        }
    }

    fn on_examined(&mut self, found: Found, verdict: Verdict) {
        let (is_of, note) = match verdict {
            Verdict::Stranger(note) => (None, note),
            Verdict::Of(base, Some(claimed)) => match self.take_up(base.clone(), claimed) {
                Ok(()) => (Some(base), None),
                Err(why) => (None, Some(why)),
            },
            // Where the base was known, and is not in hand, it is looked at again.
            Verdict::Of(base, None) => (Some(base), None),
        };
        let Some(seen) = self.processes.get_mut(&found.key) else { return };
        seen.asked = false;
        let is_news = seen.note != note;
        seen.note = note;
        seen.is_of = is_of;
        if let Some(handle) = seen.is_of.as_ref().and_then(|base| self.instances.get(base)) {
            // A task that is busy sees the process again: a JVM is examined at each look.
            let _busy = handle.inputs.try_send(Input::Appeared(found));
        }
        if is_news {
            self.post_facts();
        }
    }

    /// Gives an order to the task of its instance, and has the outcome posted.
    fn give(&mut self, order: Order) {
        let id = order.id;
        let (board, in_hand) = (self.board.clone(), InHand::of(&self.board));
        let fail = |message: String| self.board.put_outcome(id, Outcome::Failed { message });
        let Some(handle) = self.instances.get(Path::new(&order.base)) else {
            let base = protocol::limits::clip(&order.base);
            return fail(format!("there is no instance at {base} on this machine"));
        };
        let (reply, outcome) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_millis(order.ttl_ms.min(MAX_TTL_MS));
        match handle.inputs.try_send(Input::Order { order, deadline, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return fail("the instance has too many orders in hand".to_owned()),
            Err(TrySendError::Closed(_)) => {
                return fail("the agent failed at this instance, and begins with it anew: ask again".to_owned());
            }
        }
        tokio::spawn(async move {
            let gone = || Outcome::Unknown { message: "the agent lost sight of the instance meanwhile".to_owned() };
            board.put_outcome(id, outcome.await.unwrap_or_else(|_| gone()));
            drop(in_hand);
        });
    }
}
