//! The one task that owns an instance: it follows the process, asks for its health, carries out orders, and tells
//! every change of the status.

use std::path::PathBuf;

use protocol::{
    desired::InstanceSettings,
    link::{Order, Outcome},
    report::InstanceReport,
    time::Timestamp,
};
use tokio::{
    process::Child,
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{
    endpoint::Survey,
    memory::{Memory, Moment, ProcessMemory},
    orders::Stopped,
    resolving::Doubt,
    rules::{self, Answer, Facts, ProcessFacts, Sockets},
    setup::Setup,
    starting::{Launched, Launching},
};
use crate::{
    os::{
        clock::BootTime,
        process::{self, ProcessKey, Watched},
        sockets::Owned,
        users,
    },
    tomcat::{
        command_line::CommandLine,
        installation, probe,
        server_xml::{self, ServerXml},
    },
};

/// How many inputs may wait for an instance's task.
const INPUTS: usize = 64;

/// What an instance's task is told.
#[derive(Debug)]
pub enum Input {
    /// A process of this base was found.
    Appeared(Found),
    /// The agent's only regular beat, once a second.
    Tick(u64),
    /// What the manager wants to be set for it.
    Settings(Option<Box<InstanceSettings>>),
    /// Something to do.
    Order {
        /// What.
        order: Order,
        /// Until when it is worth doing.
        deadline: Instant,
        /// Where the outcome goes.
        reply: oneshot::Sender<Outcome>,
    },
}

/// A process that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which process.
    pub key: ProcessKey,
    /// Its user.
    pub uid: u32,
    /// What it was started with.
    pub command_line: CommandLine,
}

/// What an instance's task tells.
#[derive(Debug, Clone)]
pub struct News {
    /// Its full status; its own age is that of the moment below.
    pub report: InstanceReport,
    /// Since when it has been in its state.
    pub since: Moment,
}

/// Starts the task of an instance; it ends when the sender of its inputs is dropped.
pub fn spawn(setup: Setup, news: mpsc::Sender<News>, tasks: &mut JoinSet<()>) -> (mpsc::Sender<Input>, AbortHandle) {
    let (sender, inputs) = mpsc::channel(INPUTS);
    let memory = Memory::load(&setup.state_dir, &setup.base);
    let task = tasks.spawn(Task::new(setup, memory, news).run(inputs));
    (sender, task)
}

/// The process in hand.
pub(super) struct Process {
    pub(super) watched: Watched,
    /// The process as a child, by which its exit code is learned.
    pub(super) child: Option<Child>,
    pub(super) uid: u32,
    pub(super) server: ServerXml,
    /// Whether it has become the JVM, so that its command line is that of a Tomcat.
    pub(super) is_jvm: bool,
    pub(super) sockets: Sockets,
    pub(super) owned: Vec<Owned>,
    /// Who holds its port instead, by the inode of the socket: it takes a look into every process to know.
    pub(super) holder: Option<(u64, String)>,
    pub(super) target: Option<probe::Target>,
    pub(super) same_network: bool,
    pub(super) frozen: bool,
    pub(super) answer: Answer,
    /// Whether the latest answer has failed.
    pub(super) failing: bool,
    /// When sockets of its connectors were first seen.
    pub(super) listening_since: Option<Instant>,
    /// The systemd unit whose main process it is.
    pub(super) unit: Option<String>,
    pub(super) note: Option<String>,
    /// What went wrong with the latest order.
    pub(super) order_note: Option<String>,
}

pub(super) struct Task {
    pub(super) setup: Setup,
    pub(super) memory: Memory,
    pub(super) process: Option<Process>,
    /// The start that was triggered, as long as there is no process of it.
    pub(super) launching: Option<Launching>,
    /// What is asked of systemd about it.
    pub(super) checking: JoinSet<Option<Launched>>,
    /// The instance's own stop program, while it runs.
    pub(super) stopping: JoinSet<Stopped>,
    /// Why the latest start failed, if it did.
    pub(super) start_failure: Option<String>,
    /// The answer that is awaited; none outlives its process.
    pub(super) asking: JoinSet<Option<probe::Answer>>,
    /// When to ask next, while an answer is waited for impatiently.
    pub(super) ask_at: Option<Instant>,
    /// When what was remembered was damaged, if it was.
    pub(super) lost: Option<Timestamp>,
    /// Orders of which it is not known what became of them.
    pub(super) doubts: Vec<Doubt>,
    /// When to look at those next.
    pub(super) look_at: Option<Instant>,
    pub(super) tick: u64,
    /// What is configured, while no process tells more.
    pub(super) configuration: server_xml::Cache,
    news: mpsc::Sender<News>,
    told: Option<InstanceReport>,
}

impl Task {
    fn new(setup: Setup, memory: Memory, news: mpsc::Sender<News>) -> Self {
        Self {
            lost: Memory::lost(&setup.state_dir, &setup.base),
            setup,
            memory,
            process: None,
            launching: None,
            checking: JoinSet::new(),
            stopping: JoinSet::new(),
            start_failure: None,
            asking: JoinSet::new(),
            ask_at: None,
            doubts: Vec::new(),
            look_at: None,
            tick: 0,
            configuration: server_xml::Cache::default(),
            news,
            told: None,
        }
    }

    async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        self.find_remembered().await;
        self.find_started().await;
        // A process that was seen already is taken up first: a running instance is never told to be stopped.
        if inputs.is_empty() {
            self.publish().await;
        }
        loop {
            let (ask_at, look_at) = (self.ask_at, self.look_at);
            tokio::select! {
                biased;
                () = ended(self.process.as_ref()) => self.on_ended().await,
                answer = asked(&mut self.asking) => self.on_answer(answer).await,
                Some(stopped) = self.stopping.join_next() => self.on_stop_program(stopped.ok()).await,
                Some(launched) = self.checking.join_next() => self.on_launch_checked(launched.ok().flatten()),
                () = at(ask_at) => self.ask(),
                () = at(look_at) => self.resolve_doubts().await,
                input = inputs.recv() => match input {
                    Some(Input::Appeared(found)) => self.on_appeared(found).await,
                    Some(Input::Tick(tick)) => self.on_tick(tick).await,
                    Some(Input::Settings(settings)) => self.on_settings(settings.map(|settings| *settings)),
                    Some(Input::Order { order, deadline, reply }) => self.carry_out(order, deadline, reply).await,
                    None => return,
                },
            }
            self.publish().await;
        }
    }

    /// The facts, for the rules.
    fn facts(&self) -> Facts {
        let Some(process) = &self.process else {
            if self.launching.is_some() {
                return Facts::Launching;
            }
            let ended =
                self.start_failure.clone().or_else(|| self.memory.last_exit.as_ref().map(|exit| exit.how.clone()));
            return Facts::NoProcess { ended };
        };
        let remembered = self.remembered();
        Facts::Process(ProcessFacts {
            age: BootTime::from_ticks(process.watched.key.start_ticks).age(),
            frozen: process.frozen,
            signalled: remembered.and_then(|process| process.signalled),
            is_doubtful: remembered.is_some_and(|process| process.is_doubtful),
            sockets: process.sockets.clone(),
            has_answered: remembered.is_some_and(|process| process.has_answered),
            answer: process.answer.clone(),
        })
    }

    pub(super) fn remembered(&self) -> Option<&ProcessMemory> {
        let key = self.process.as_ref()?.watched.key;
        self.memory.process.as_ref().filter(|process| process.key == key)
    }

    pub(super) fn judge(&self) -> rules::Verdict {
        rules::judge(&self.facts(), self.setup.start_timeout())
    }

    /// Tells the status if it has changed, and remembers a change of state.
    pub(super) async fn publish(&mut self) {
        if self.process.is_none() {
            self.configuration.read(&self.setup.base, &Default::default());
        }
        let verdict = self.judge();
        if self.memory.state.is_none_or(|(state, _)| state != verdict.state) {
            tracing::info!(
                base = %self.setup.base.display(),
                state = %verdict.state,
                reason = verdict.reason.as_deref().unwrap_or_default(),
                "state changed"
            );
            self.memory.state = Some((verdict.state, Moment::now()));
            self.memory.reason.clone_from(&verdict.reason);
            let report = self.report(verdict);
            // Told first: the disk may take its time, and nothing was promised.
            self.tell(report).await;
            self.store().await;
            return;
        }
        let report = self.report(verdict);
        self.tell(report).await;
    }

    async fn tell(&mut self, report: InstanceReport) {
        if self.told.as_ref().is_some_and(|told| told.same_as(&report)) {
            return;
        }
        self.told = Some(report.clone());
        let since = self.memory.state.map_or_else(Moment::now, |(_, since)| since);
        let news = News { report, since };
        // The supervisor ends only with the agent.
        let _ending = self.news.send(news).await;
    }

    /// Stores the memory; a failure is said, and what was to be remembered holds until the agent ends. Returns whether it
    /// is on disk.
    pub(super) async fn store(&mut self) -> bool {
        let stored = self.memory.store(&self.setup.state_dir).await;
        if let Err(error) = &stored {
            tracing::error!(base = %self.setup.base.display(), "cannot remember the state: {error:#}");
        }
        stored.is_ok()
    }

    pub(super) fn home(&self) -> Option<PathBuf> {
        let declared = self.setup.declared.as_ref().and_then(|declared| declared.home.as_deref());
        let known = declared.or(self.memory.last_home.as_deref()).or(self.setup.defaults.home.as_deref());
        installation::find_home(&self.setup.base, known)
    }

    pub(super) fn run_as(&self) -> Result<users::Account, String> {
        let declared = self.setup.declared.as_ref().and_then(|declared| declared.user.as_deref());
        let hints = installation::UserHints {
            configured: declared.or(self.setup.defaults.user.as_deref()),
            last_seen: self.memory.last_user,
        };
        installation::run_as(&self.setup.base, &hints)
    }

    /// The unit that the instance is driven through, as far as it is known without asking.
    pub(super) fn known_unit(&self) -> Option<String> {
        let declared = self.setup.declared.as_ref().and_then(|declared| declared.unit.clone());
        declared.or_else(|| self.memory.last_unit.clone())
    }

    pub(super) fn apply(&mut self, survey: Survey, owned: Vec<Owned>) {
        let Some(process) = &mut self.process else { return };
        let ports = owned.iter().map(|own| own.listener.address.port());
        let connectors: Vec<u16> =
            ports.filter(|port| process.server.connectors.iter().any(|connector| connector.port == *port)).collect();
        if !connectors.is_empty() && process.listening_since.is_none() {
            process.listening_since = Some(Instant::now());
        }
        process.sockets = survey.sockets;
        // What answers at that address here is another process.
        process.target = survey.target.filter(|_| process.same_network);
        if process.target.is_some() && process.answer == Answer::NotAskable {
            process.answer = Answer::None;
        }
        process.note = survey.note;
        process.owned = owned;
        let key = process.watched.key;
        if let Some(remembered) = self.memory.of_process(key) {
            for port in connectors {
                if !remembered.held.contains(&port) {
                    remembered.held.push(port);
                }
            }
            // Long before its first answer: a start may be killed, too.
            remembered.hsperf = remembered.hsperf.take().or_else(|| process::hsperf_file(key.pid));
        }
    }
}

async fn ended(process: Option<&Process>) {
    match process {
        Some(process) => process.watched.ended().await,
        None => std::future::pending().await,
    }
}

async fn asked(asking: &mut JoinSet<Option<probe::Answer>>) -> Option<probe::Answer> {
    match asking.join_next().await {
        Some(answer) => answer.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
