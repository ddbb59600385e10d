//! Keeps the hook programs of the machine: fetches those that are wanted, removes the others, and tells which are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use protocol::desired::{MissingProgram, Program, Programs, ToldSecret};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{backoff::Backoff, blobs::Source};
use crate::{
    config::{Permission, ProgramHash, Settings},
    hooks::{secrets, store::Store},
    supervisor::board::Board,
};

/// How many inputs may wait.
const INPUTS: usize = 16;

/// The longest reason for a program that is not there, in characters: all of them fit into one message.
const MAX_WHY: usize = 200;

/// How often the secrets are looked at while there is a link: people write them whenever they like.
const LOOK: Duration = Duration::from_secs(30);

/// What the keeper is told.
enum Input {
    Wanted(Vec<Program>),
    Linked(Option<Box<Source>>),
}

/// The way to the keeper of programs.
#[derive(Clone)]
pub struct Keeper(mpsc::Sender<Input>);

impl Keeper {
    /// Starts the keeper; it ends when the last way to it is dropped.
    pub fn spawn(settings: &Settings, store: Store, board: Arc<Board>) -> Self {
        let (sender, inputs) = mpsc::channel(INPUTS);
        let keeping = Keeping {
            pinned: settings.hook_programs.clone(),
            is_allowed: settings.allow.contains(&Permission::Hooks),
            state_dir: store.dir().parent().unwrap_or_else(|| Path::new("/")).to_path_buf(),
            secrets: None,
            store,
            board,
            wanted: Vec::new(),
            missing: BTreeMap::new(),
            source: None,
            fetching: JoinSet::new(),
            backoff: Backoff::default(),
            tried: BTreeSet::new(),
            next: None,
        };
        tokio::spawn(keeping.run(inputs));
        Self(sender)
    }

    /// Sets which programs are wanted.
    pub async fn want(&self, programs: Vec<Program>) {
        // It ends with the agent only.
        let _ending = self.0.send(Input::Wanted(programs)).await;
    }

    /// Says from where programs can be fetched now, if from anywhere.
    pub async fn linked(&self, source: Option<Source>) {
        let _ending = self.0.send(Input::Linked(source.map(Box::new))).await;
    }
}

struct Keeping {
    pinned: Option<Vec<ProgramHash>>,
    is_allowed: bool,
    /// Where the secrets are.
    state_dir: PathBuf,
    /// What was told of them.
    secrets: Option<Vec<ToldSecret>>,
    store: Store,
    board: Arc<Board>,
    wanted: Vec<Program>,
    /// Why programs are not there; whatever is wanted and not in here is there.
    missing: BTreeMap<String, Why>,
    source: Option<Source>,
    /// The one that is being fetched.
    fetching: JoinSet<(String, anyhow::Result<()>)>,
    backoff: Backoff,
    /// The programs that could not be fetched in this round.
    tried: BTreeSet<String>,
    /// When the next round begins.
    next: Option<Instant>,
}

/// Why a program is not there.
struct Why {
    words: String,
    /// Whether fetching it can change that.
    can_be_fetched: bool,
}

impl Keeping {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next = self.next;
            let again = async move {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(Input::Wanted(programs)) => self.want(programs).await,
                    Some(Input::Linked(source)) => {
                        self.source = source.map(|source| *source);
                        self.begin_anew();
                        self.fetching = JoinSet::new();
                    }
                    None => return,
                },
                Some(fetched) = self.fetching.join_next() => {
                    let failed = |error| (String::new(), Err(anyhow::Error::from(error)));
                    let (hash, fetched) = fetched.unwrap_or_else(failed);
                    self.on_fetched(&hash, fetched);
                }
                () = again => self.next = None,
                _ = look.tick(), if self.source.is_some() => {
                    if self.look_at_secrets().await {
                        self.tell();
                    }
                }
            }
            self.fetch();
        }
    }

    async fn want(&mut self, programs: Vec<Program>) {
        let may_be_there = |program: &&Program| {
            self.is_allowed
                && self.pinned.as_ref().is_none_or(|pinned| pinned.iter().any(|pin| pin.as_str() == program.hash))
        };
        let hashes: BTreeSet<String> =
            programs.iter().filter(may_be_there).map(|program| program.hash.clone()).collect();
        let store = self.store.clone();
        let checked = tokio::task::spawn_blocking(move || {
            if let Err(error) = store.want(hashes.clone()) {
                tracing::error!("cannot remove hook programs that are not wanted any more: {error}");
            }
            let missing = hashes.into_iter().filter_map(|hash| Some((store.get(&hash).err()?, hash)));
            missing.map(|(why, hash)| (hash, why)).collect::<BTreeMap<_, _>>()
        });
        let missing = checked.await.unwrap_or_default();
        self.missing = missing.into_iter().map(|(hash, words)| (hash, Why { words, can_be_fetched: true })).collect();
        for program in &programs {
            if may_be_there(&program) {
                continue;
            }
            let words = if self.is_allowed {
                "the agent's own configuration does not list it in `hook_programs`"
            } else {
                "the agent's own configuration does not allow `hooks` (see `allow` there)"
            };
            self.missing.insert(program.hash.clone(), Why { words: words.to_owned(), can_be_fetched: false });
        }
        self.wanted = programs;
        self.begin_anew();
        self.look_at_secrets().await;
        self.tell();
    }

    /// Begins to fetch the next program, unless one is being fetched, or it is not time yet. All are tried before any is
    /// tried again, so that one that cannot be had keeps no other waiting.
    fn fetch(&mut self) {
        let Some(source) = self.source.clone().filter(|_| self.fetching.is_empty() && self.next.is_none()) else {
            return;
        };
        let can_be = |program: &&Program| self.missing.get(&program.hash).is_some_and(|why| why.can_be_fetched);
        let mut missing = self.wanted.iter().filter(can_be);
        let Some(program) = missing.find(|program| !self.tried.contains(&program.hash)).cloned() else {
            if !self.tried.is_empty() {
                self.tried.clear();
                self.next = Some(Instant::now() + self.backoff.wait());
            }
            return;
        };
        let dir = self.store.dir().to_path_buf();
        self.fetching.spawn(async move {
            let fetched = source.fetch(&program, &dir).await;
            (program.hash, fetched)
        });
    }

    /// Looks which secrets there are; says whether that is another answer than before.
    async fn look_at_secrets(&mut self) -> bool {
        if !self.is_allowed {
            return false;
        }
        let dir = self.state_dir.clone();
        let found = tokio::task::spawn_blocking(move || secrets::told(&dir)).await.unwrap_or_default();
        let is_other = found != self.secrets;
        self.secrets = found;
        is_other
    }

    /// Begins with the first round of fetching.
    fn begin_anew(&mut self) {
        self.tried.clear();
        (self.backoff, self.next) = (Backoff::default(), None);
    }

    fn on_fetched(&mut self, hash: &str, fetched: anyhow::Result<()>) {
        match fetched {
            Ok(()) if !self.store.is_wanted(hash) => {
                // What is wanted has changed meanwhile.
                let _gone = std::fs::remove_file(self.store.dir().join(hash));
                return;
            }
            Ok(()) => {
                tracing::info!(hash, "a hook program was fetched");
                self.missing.remove(hash);
            }
            Err(error) => {
                tracing::warn!(hash, "a hook program cannot be fetched: {error:#}");
                self.tried.insert(hash.to_owned());
                if let Some(why) = self.missing.get_mut(hash) {
                    why.words = format!("{error:#}").chars().take(MAX_WHY).collect();
                }
            }
        }
        self.tell();
    }

    fn tell(&self) {
        let is_there = |program: &&Program| !self.missing.contains_key(&program.hash);
        let ready = self.wanted.iter().filter(is_there).map(|program| program.hash.clone()).collect();
        let missing = self.missing.iter();
        let missing = missing.map(|(hash, why)| MissingProgram { hash: hash.clone(), why: why.words.clone() });
        self.board.put_programs(Programs { ready, missing: missing.collect(), secrets: self.secrets.clone() });
    }
}
