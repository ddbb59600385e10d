//! The use cases: what can be done with a grid, whoever asks and however. Knows neither HTTP nor terminals.

pub mod audit;
pub mod auditing;
pub mod collections;
pub mod configuration;
pub mod explain;
pub mod figures;
pub mod hooks;
pub mod joining;
pub mod journal;
pub mod links;
pub mod login;
pub mod machines;
pub mod operations;
pub mod orders;
pub mod past;
pub mod presence;
pub mod refusals;
pub mod schedules;
pub mod snapshot;
pub mod status;
pub mod tags;
#[cfg(test)]
pub(crate) mod temporary;
pub mod tokens;
pub mod traffic;
pub mod trigger;
pub mod users;
pub mod watching;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use protocol::{statement::Statement, time::Timestamp};
use tokio::sync::watch;

use self::{journal::Journal, links::Links};
use crate::{
    grid::{
        access::NotAllowed,
        event::{Change, Draft},
        fleet::Fleet,
        target::NoSuchTarget,
    },
    pki::authority::Authority,
    store::{Store, StoreError, meta::Meta},
};

/// A running manager, as every use case needs it.
pub struct App {
    /// The databases.
    pub store: Store,
    /// What the grid and this manager are.
    pub meta: Meta,
    /// The manager's host.
    pub host: Host,
    /// The certificate authority.
    pub authority: Authority,
    /// Why this manager may be obeyed.
    pub statement: Statement,
    /// The events.
    pub journal: Arc<Journal>,
    /// The agents' connections.
    pub links: Links,
    /// The connections that are open, counted.
    pub traffic: Arc<traffic::Traffic>,
    /// The triggers, counted.
    pub triggers: figures::Triggers,
    /// What somebody was not allowed to do, counted.
    pub actions_refused: traffic::Counter,
    /// When it started, by a clock that nobody sets.
    pub started: Instant,
    /// When it started, by the clock of the host.
    pub started_at: Timestamp,
    /// Changes whenever somebody may do more or less than before: who watches is looked at again.
    pub access_changed: watch::Sender<u64>,
    /// The streams of events of each caller.
    pub watchers: watching::Watchers,
    /// The configuration that is in force.
    pub configuration: configuration::Configuration,
    /// The operations in hand.
    pub operations: operations::Operations,
    /// Hook programs, and which machines have them.
    pub hooks: hooks::Hooks,
    /// The schedules.
    pub schedules: schedules::Schedules,
    // Held for moments only, never across an await.
    fleet: Mutex<Fleet>,
    tagging: tokio::sync::Mutex<()>,
    refusals: refusals::Refusals,
    snapshots: snapshot::Snapshots,
    logins: login::Logins,
    /// Where the first password was left.
    first_password: std::sync::OnceLock<std::path::PathBuf>,
    held: auditing::SharedRefusals,
    uses: tokens::Uses,
}

/// The manager's host, as far as the use cases need it.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The data directory.
    pub data: PathBuf,
    /// The user that hooks run as there; without one, who the manager runs as.
    pub hook_user: Option<String>,
    /// How they are started.
    pub launcher: runner::Launcher,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The caller may not.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// What it is about is not there.
    #[error(transparent)]
    NoSuchTarget(#[from] NoSuchTarget),
    /// What it is about has gone meanwhile.
    #[error("it is not there any more")]
    NotFound,
    /// The password that was given is not the one.
    #[error("this password is not the right one")]
    WrongPassword,
    /// Too many logins failed, or wait to be looked at.
    #[error("too many logins failed, or are being checked: try again in {} s", login::seconds(*.wait))]
    TooManyLogins {
        /// How long to wait.
        wait: Duration,
    },
    /// What was given cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// Something is in the way.
    #[error("{0}")]
    Conflict(String),
    /// The disk is full.
    #[error("the manager's disk is full: nothing was changed; what is shown is still right")]
    DiskFull,
    /// Something else, which is not the caller's business.
    #[error(transparent)]
    Internal(anyhow::Error),
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => AppError::NotFound,
            StoreError::Conflict(what) => AppError::Conflict(what),
            StoreError::DiskFull => AppError::DiskFull,
            StoreError::Other(error) => AppError::Internal(error),
        }
    }
}

/// What a use case returns.
pub type Result<T> = std::result::Result<T, AppError>;

/// Carries a change out to its end, also when whoever asked for it goes away in between: what is stored must have its
/// effect.
pub async fn to_the_end<T: Send + 'static>(change: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(change).await.map_err(|error| AppError::Internal(error.into()))?
}

impl App {
    /// Puts a manager together from what it has stored.
    pub async fn start(store: Store, meta: Meta, authority: Authority, host: Host) -> anyhow::Result<Arc<Self>> {
        let statement = authority.state_primary(meta.grid, meta.epoch, meta.manager)?;
        let journal = Journal::start(store.clone(), meta.epoch).await?;
        let mut fleet = Fleet::default();
        status::restore(&store, &mut fleet).await?;
        let hooks = hooks::Hooks::open(&host.data, &store).await?;
        let configuration = configuration::Configuration::load(&store).await?;
        fleet.configure(&configuration.current());
        let operations = operations::Operations::start(store.clone(), journal.clone());
        let app = Arc::new(Self {
            store,
            meta,
            host,
            authority,
            statement,
            journal,
            links: Links::default(),
            traffic: Arc::default(),
            triggers: figures::Triggers::default(),
            actions_refused: traffic::Counter::default(),
            started: Instant::now(),
            started_at: Timestamp::now(),
            access_changed: watch::Sender::new(0),
            watchers: watching::Watchers::default(),
            configuration,
            operations,
            hooks,
            schedules: schedules::Schedules::default(),
            fleet: Mutex::new(fleet),
            tagging: tokio::sync::Mutex::default(),
            refusals: refusals::Refusals::default(),
            snapshots: snapshot::Snapshots::default(),
            logins: login::Logins::default(),
            first_password: std::sync::OnceLock::new(),
            held: auditing::SharedRefusals::default(),
            uses: tokens::Uses::default(),
        });
        let started = Draft::new(crate::grid::event::Kind::ManagerStarted)
            .data(serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "host": app.host.name}));
        // A full disk must not keep the manager from starting.
        if let Err(error) = app.journal.record(started).await {
            tracing::error!("cannot record the start: {error}");
        }
        app.clear_up_hooks();
        if let Err(error) = app.interrupt_left().await {
            tracing::error!("cannot look for operations that were interrupted: {error}");
        }
        tokio::spawn(app.clone().miss_the_absent());
        tokio::spawn(app.clone().tell_problems());
        tokio::spawn(app.clone().distribute());
        Ok(app)
    }

    /// The fleet. Must not be held across an await.
    pub fn fleet(&self) -> MutexGuard<'_, Fleet> {
        // Its methods leave nothing half done that a later hello would not mend.
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the fleet and tells what has changed. Both happen under one lock, so that events come in the order of
    /// the changes they tell of.
    pub fn change(&self, change: impl FnOnce(&mut Fleet, Timestamp) -> Vec<Change>) {
        let mut fleet = self.fleet();
        for change in change(&mut fleet, Timestamp::now()) {
            match &change {
                Change::Service(view) => self.operations.waits.wake(&view.name),
                Change::ServiceGone(name, _) => self.operations.waits.wake(name),
                Change::Machine(_) => {}
            }
            self.journal.tell(change.into());
        }
    }
}
