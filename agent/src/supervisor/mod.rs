//! Keeps a task for every instance of the machine, gives each what concerns it, and posts their news on the board.

pub mod asks;
pub mod board;
pub mod claims;
pub mod discovery;
pub mod facts;
pub mod hook_news;
pub mod looking;
mod processes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use asks::Ask;
use board::Board;
use claims::Claimed;
use looking::{Discovery, Looked, Looker};
use processes::Seen;
use protocol::{desired::InstanceSettings, limits::MAX_INSTANCES};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::{
    config::{Instance, Settings},
    instance::{
        memory::Memory,
        setup::Setup,
        task::{self, Input, News},
    },
    os::{beat::Beat, children::Inherited, process::ProcessKey, sweep::Sweep},
};

/// The agent's only regular beat.
pub const TICK: Duration = Duration::from_secs(1);

/// How often, in ticks, the file system is looked through.
const DISCOVERY_TICKS: u64 = 30;

/// How often, in ticks, while something has just vanished.
const HURRIED_TICKS: u64 = 5;

/// How long a look through the file system may take before it is worth a note.
const SLOW: Duration = Duration::from_secs(10);

/// How long the instances may take to tell their status for the first time.
const FIRST_NEWS: Duration = Duration::from_secs(5);

/// How many orders and settings may wait.
pub const ASKS: usize = 64;

/// The supervisor.
pub struct Supervisor {
    looker: Looker,
    state_dir: PathBuf,
    /// What the manager wants to be set for instances.
    desired: BTreeMap<PathBuf, InstanceSettings>,
    inherited: Inherited,
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
    /// Whether the task knows what is set for it.
    is_told: bool,
}

/// Where the supervisor begins.
pub struct Place {
    /// The agent's state directory.
    pub state_dir: PathBuf,
    /// What the manager wanted to be set for instances when it was last heard.
    pub desired: Vec<InstanceSettings>,
}

/// What others need to talk to it.
pub struct Links {
    /// What the manager asks.
    pub asks: mpsc::Sender<Ask>,
    /// The beat, which counts up, and is closed when the supervisor has ended.
    pub beat: watch::Receiver<u64>,
    /// The board.
    pub board: Arc<Board>,
}

/// Starts the supervisor of a member of a grid; it ends when every sender of asks is dropped.
pub async fn spawn(settings: Settings, place: Place, grid: Uuid, grid_name: String) -> Result<Links> {
    let timer = Beat::every(TICK).context("make a timer")?;
    let board = Arc::new(Board::default());
    let (asks, ask_inputs) = mpsc::channel(ASKS);
    let (news, mut news_inputs) = mpsc::channel(MAX_INSTANCES);
    let (beat_sender, beat) = watch::channel(0);
    let mut supervisor = Supervisor {
        looker: Looker { settings: Arc::new(settings), grid, grid_name },
        state_dir: place.state_dir,
        desired: place.desired.into_iter().map(|settings| (PathBuf::from(&settings.base), settings)).collect(),
        inherited: Inherited::find(),
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
    tokio::spawn(supervisor.run(timer, ask_inputs, news_inputs, beat_sender));
    Ok(Links { asks, beat, board })
}

impl Supervisor {
    async fn run(
        mut self,
        timer: Beat,
        mut asks: mpsc::Receiver<Ask>,
        mut news: mpsc::Receiver<News>,
        beat: watch::Sender<u64>,
    ) {
        let mut tick = 0;
        loop {
            tokio::select! {
                // News first: none may be left of an instance when it is dropped, and perhaps taken up again.
                biased;
                Some(news) = news.recv() => self.hear(news),
                ask = asks.recv() => match ask {
                    Some(Ask::Order(order)) => self.give(order),
                    Some(Ask::Settings(settings)) => self.set(settings),
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
        self.inherited.look();
        self.tell_settings();
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
        let desired = self.desired.get(&base).cloned();
        tracing::info!(base = %base.display(), "looking after this instance");
        self.start_task(Setup {
            base,
            declared,
            defaults: settings.tomcat.clone(),
            start_timeout: settings.start_timeout,
            desired,
            allow: settings.allow.clone().into(),
            state_dir: self.state_dir.clone(),
            grid: self.looker.grid,
            managers_clock: self.board.managers_clock.clone(),
            notes,
        });
        Ok(())
    }

    fn start_task(&mut self, setup: Setup) {
        let (inputs, task) = task::spawn(setup.clone(), self.news.clone(), &mut self.tasks);
        self.instances.insert(setup.base.clone(), Handle { inputs, task, setup, is_told: true });
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
}
