//! Keeps the hook programs of the machine: fetches those that are wanted, removes the others, and tells which are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use protocol::{
    desired::{MissingProgram, Program, Programs},
    limits::clip,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{backoff::Backoff, blobs::Source};
use crate::{
    config::{Permission, ProgramHash, Settings},
    hooks::store::Store,
    supervisor::board::Board,
};

/// How many inputs may wait.
const INPUTS: usize = 16;

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
            store,
            board,
            wanted: Vec::new(),
            missing: BTreeMap::new(),
            source: None,
            fetching: JoinSet::new(),
            backoff: Backoff::default(),
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
    store: Store,
    board: Arc<Board>,
    wanted: Vec<Program>,
    /// Why programs are not there; whatever is wanted and not in here is there.
    missing: BTreeMap<String, Why>,
    source: Option<Source>,
    /// The one that is being fetched.
    fetching: JoinSet<(String, anyhow::Result<()>)>,
    backoff: Backoff,
    /// When to fetch again after a failure.
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
                        (self.backoff, self.next) = (Backoff::default(), None);
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
        (self.backoff, self.next) = (Backoff::default(), None);
        self.tell();
    }

    /// Begins to fetch the next program, unless one is being fetched, or it is not time yet.
    fn fetch(&mut self) {
        let Some(source) = self.source.clone().filter(|_| self.fetching.is_empty() && self.next.is_none()) else {
            return;
        };
        let can_be = |program: &&Program| self.missing.get(&program.hash).is_some_and(|why| why.can_be_fetched);
        let Some(program) = self.wanted.iter().find(can_be).cloned() else { return };
        let dir = self.store.dir().to_path_buf();
        self.fetching.spawn(async move {
            let fetched = source.fetch(&program, &dir).await;
            (program.hash, fetched)
        });
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
                let wait = self.backoff.wait();
                tracing::warn!(
                    hash,
                    "a hook program cannot be fetched, trying again in {:.1} s: {error:#}",
                    wait.as_secs_f64()
                );
                self.next = Some(Instant::now() + wait);
                if let Some(why) = self.missing.get_mut(hash) {
                    why.words = clip(&format!("{error:#}"));
                }
                // The others come first, so that one that cannot be had does not keep them waiting.
                let (failed, others) =
                    std::mem::take(&mut self.wanted).into_iter().partition(|program| program.hash == hash);
                self.wanted = others;
                self.wanted.extend::<Vec<Program>>(failed);
            }
        }
        self.tell();
    }

    fn tell(&self) {
        let is_there = |program: &&Program| !self.missing.contains_key(&program.hash);
        let ready = self.wanted.iter().filter(is_there).map(|program| program.hash.clone()).collect();
        let missing = self.missing.iter();
        let missing = missing.map(|(hash, why)| MissingProgram { hash: hash.clone(), why: why.words.clone() });
        self.board.put_programs(Programs { ready, missing: missing.collect() });
    }
}
