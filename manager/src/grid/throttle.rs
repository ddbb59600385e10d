//! How often names and passwords may be tried. What fails is free a few times, and then takes longer and longer.
//!
//! Failures are counted by user, by address, and by both together. Whoever logged in well lately from an address is
//! not locked out there by what others do.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// How many failures of a user from one address are free.
const FREE_OF_PAIR: u32 = 5;

/// How many failures of a user are free, from wherever.
const FREE_OF_USER: u32 = 10;

/// How many failures from an address are free, as whomever.
const FREE_OF_SOURCE: u32 = 20;

/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait of a user from one address, and of an address.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// The longest wait of a user from wherever: anybody can make others wait so, and must not lock them out.
const LONGEST_WAIT_OF_USER: Duration = Duration::from_secs(5);

/// After so long without a failure everything is forgotten.
const QUIET: Duration = Duration::from_secs(15 * 60);

/// How long a good login is remembered.
const TRUST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most that each table remembers.
const MOST: usize = 10_000;

/// From where somebody comes: an address, or of IPv6 the network of a site, within which addresses cost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl Source {
    /// The source of an address as text; none for what is no address, such as the Unix socket.
    pub fn of(from: &str) -> Option<Self> {
        match from.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Some(Self(Ipv6Addr::from(network).into()))
            }
            address => Some(Self(address)),
        }
    }
}

/// Why a login is not even looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// How long it takes until one is looked at again.
    pub wait: Duration,
    /// Whether this block was not told of before.
    pub is_news: bool,
}

type Pair = (String, Option<Source>);

/// What failed lately.
#[derive(Debug)]
pub struct Throttle {
    pairs: Counters<Pair>,
    users: Counters<String>,
    sources: Counters<Source>,
    /// Who logged in well lately, and when.
    trusted: HashMap<Pair, Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            pairs: Counters::new(FREE_OF_PAIR, LONGEST_WAIT),
            users: Counters::new(FREE_OF_USER, LONGEST_WAIT_OF_USER),
            sources: Counters::new(FREE_OF_SOURCE, LONGEST_WAIT),
            trusted: HashMap::new(),
        }
    }
}

impl Throttle {
    /// An attempt begins. It counts as failed until it is known to be good, so that many at once gain nothing.
    pub fn begin(&mut self, user: &str, source: Option<Source>, now: Instant) -> Result<(), Block> {
        let pair = (user.to_owned(), source);
        let strange = !self.is_trusted(&pair, now);
        let mut waiting = vec![self.pairs.waiting(&pair, now)];
        if strange {
            waiting.push(self.users.waiting(&pair.0, now));
            waiting.extend(source.map(|source| self.sources.waiting(&source, now)));
        }
        if let Some((wait, told)) = waiting.into_iter().flatten().max_by_key(|(wait, _)| *wait) {
            return Err(Block { wait, is_news: !std::mem::replace(told, true) });
        }
        self.pairs.count(pair, now);
        if strange {
            self.users.count(user.to_owned(), now);
            if let Some(source) = source {
                self.sources.count(source, now);
            }
        }
        Ok(())
    }

    /// An attempt that began was good.
    pub fn succeeded(&mut self, user: &str, source: Option<Source>, now: Instant) {
        let pair = (user.to_owned(), source);
        self.take_back(user, source, now);
        self.pairs.counters.remove(&pair);
        if self.trusted.len() >= MOST && !self.trusted.contains_key(&pair) {
            self.trusted.retain(|_, at| now.duration_since(*at) < TRUST);
            evict(&mut self.trusted, |at| *at);
        }
        self.trusted.insert(pair, now);
    }

    /// An attempt that began was not looked at, for a reason that is not its own.
    pub fn take_back(&mut self, user: &str, source: Option<Source>, now: Instant) {
        let pair = (user.to_owned(), source);
        self.pairs.uncount(&pair);
        if !self.is_trusted(&pair, now) {
            self.users.uncount(&pair.0);
            if let Some(source) = source {
                self.sources.uncount(&source);
            }
        }
    }

    /// Whether a user logged in well lately from there.
    pub fn trusts(&self, user: &str, source: Option<Source>, now: Instant) -> bool {
        self.is_trusted(&(user.to_owned(), source), now)
    }

    fn is_trusted(&self, pair: &Pair, now: Instant) -> bool {
        self.trusted.get(pair).is_some_and(|at| now.duration_since(*at) < TRUST)
    }
}

/// Failures, by what they are counted by.
#[derive(Debug)]
struct Counters<K> {
    free: u32,
    longest: Duration,
    counters: HashMap<K, Counter>,
}

#[derive(Debug)]
struct Counter {
    failures: u32,
    last: Instant,
    /// Whether the block that the last failure began was told of.
    told: bool,
    /// What the last two were before the last failure, which may be taken back.
    before: Option<(Instant, bool)>,
}

impl<K: Hash + Eq + Clone> Counters<K> {
    fn new(free: u32, longest: Duration) -> Self {
        Self { free, longest, counters: HashMap::new() }
    }

    /// How long it takes until the next attempt, if it does, and whether that was told.
    fn waiting(&mut self, key: &K, now: Instant) -> Option<(Duration, &mut bool)> {
        let (free, longest) = (self.free, self.longest);
        let counter = self.counters.get_mut(key)?;
        let beyond = counter.failures.checked_sub(free)?;
        let passed = now.duration_since(counter.last);
        let wait = FIRST_WAIT.saturating_mul(1 << beyond.min(16)).min(longest).checked_sub(passed)?;
        (!wait.is_zero()).then_some((wait, &mut counter.told))
    }

    fn count(&mut self, key: K, now: Instant) {
        let is_quiet = |counter: &Counter| now.duration_since(counter.last) >= QUIET;
        if self.counters.len() >= MOST && !self.counters.contains_key(&key) {
            self.counters.retain(|_, counter| !is_quiet(counter));
            // What failed most often is what must not be forgotten.
            evict(&mut self.counters, |counter| (counter.failures, counter.last));
        }
        let counter = self.counters.entry(key).or_insert(Counter { failures: 0, last: now, told: false, before: None });
        if is_quiet(counter) {
            counter.failures = 0;
        }
        let before = (counter.failures > 0).then_some((counter.last, counter.told));
        *counter = Counter { failures: counter.failures.saturating_add(1), last: now, told: false, before };
    }

    fn uncount(&mut self, key: &K) {
        let Some(counter) = self.counters.get_mut(key) else { return };
        counter.failures = counter.failures.saturating_sub(1);
        // What was not looked at prolongs no wait.
        if let Some((last, told)) = counter.before.take() {
            (counter.last, counter.told) = (last, told);
        }
        if counter.failures == 0 {
            self.counters.remove(key);
        }
    }
}

/// Makes room for one more.
fn evict<K: Hash + Eq + Clone, V, O: Ord>(table: &mut HashMap<K, V>, worth: impl Fn(&V) -> O) {
    if table.len() < MOST {
        return;
    }
    let least = table.iter().min_by_key(|(_, value)| worth(value)).map(|(key, _)| key.clone());
    if let Some(least) = least {
        table.remove(&least);
    }
}

#[cfg(test)]
mod tests;
