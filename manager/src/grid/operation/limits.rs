//! Limits that hold for a service, each with where it was set: the nearest wins.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use protocol::name::ServiceName;

use crate::grid::config::{GridConfig, Limits};

/// Where a limit was set; its text is the part of `grid.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// Nowhere: it is built in.
    BuiltIn,
    /// For the grid, in `[defaults]`.
    Defaults,
    /// For a collection.
    Collection(&'a ServiceName),
    /// For the service itself.
    Service(&'a ServiceName),
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("built in"),
            Origin::Defaults => f.write_str("[defaults]"),
            Origin::Collection(name) => write!(f, "[collection.{}]", Key(name)),
            Origin::Service(name) => write!(f, "[service.{}]", Key(name)),
        }
    }
}

/// A name as a key of `grid.toml`, in quotes where it needs them.
struct Key<'a>(&'a ServiceName);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_str();
        let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if is_bare { f.write_str(name) } else { write!(f, "\"{name}\"") }
    }
}

/// A value, and where it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sourced<'a, T> {
    /// The value.
    pub value: T,
    /// Where it was set.
    pub from: Origin<'a>,
}

impl<'a, T> Sourced<'a, T> {
    fn built_in(value: T) -> Self {
        Self { value, from: Origin::BuiltIn }
    }

    fn or_nearer(self, nearer: Option<T>, from: Origin<'a>) -> Self {
        nearer.map_or(self, |value| Self { value, from })
    }
}

/// The limits that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effective<'a> {
    /// How long a start may take.
    pub start_timeout: Sourced<'a, Duration>,
    /// How long a stop may take.
    pub stop_timeout: Sourced<'a, Duration>,
    /// How long a kill may take.
    pub kill_timeout: Sourced<'a, Duration>,
    /// Whether a stop that takes too long is followed by a kill.
    pub auto_kill: Sourced<'a, bool>,
    /// The pause between stop and start.
    pub restart_delay: Sourced<'a, Duration>,
}

impl<'a> Effective<'a> {
    /// What holds where nothing is set.
    pub fn built_in() -> Self {
        Self {
            start_timeout: Sourced::built_in(Duration::from_secs(180)),
            stop_timeout: Sourced::built_in(Duration::from_secs(60)),
            kill_timeout: Sourced::built_in(Duration::from_secs(10)),
            auto_kill: Sourced::built_in(false),
            restart_delay: Sourced::built_in(Duration::ZERO),
        }
    }

    /// What holds where only the grid's defaults apply.
    pub fn defaults(config: &GridConfig) -> Self {
        Self::built_in().with(&config.defaults, Origin::Defaults)
    }

    /// The same with what is set nearer.
    pub fn with(self, nearer: &Limits, from: Origin<'a>) -> Self {
        Self {
            start_timeout: self.start_timeout.or_nearer(nearer.start_timeout, from),
            stop_timeout: self.stop_timeout.or_nearer(nearer.stop_timeout, from),
            kill_timeout: self.kill_timeout.or_nearer(nearer.kill_timeout, from),
            auto_kill: self.auto_kill.or_nearer(nearer.auto_kill, from),
            restart_delay: self.restart_delay.or_nearer(nearer.restart_delay, from),
        }
    }

    /// The same with what is set for a service.
    pub fn of_service(self, config: &'a GridConfig, service: &ServiceName) -> Self {
        let set = config.services.get_key_value(service);
        set.map_or(self, |(name, settings)| self.with(&settings.limits, Origin::Service(name)))
    }
}

/// The collections that hold something, found once for a whole plan.
#[derive(Debug)]
pub struct Holders<'a> {
    config: &'a GridConfig,
    parents: BTreeMap<&'a ServiceName, Vec<&'a ServiceName>>,
}

impl<'a> Holders<'a> {
    /// Turns the configuration's members around.
    pub fn new(config: &'a GridConfig) -> Self {
        let mut parents: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
        // By name, as the map of collections is.
        for (name, collection) in &config.collections {
            for member in &collection.members {
                parents.entry(member).or_default().push(name);
            }
        }
        Self { config, parents }
    }

    /// The collections that hold a service or a collection at any depth: nearest first, then by name.
    pub fn of(&self, name: &ServiceName) -> Vec<&'a ServiceName> {
        let mut found: Vec<&'a ServiceName> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut layer: Vec<&'a ServiceName> = self.parents.get(name).cloned().unwrap_or_default();
        while !layer.is_empty() {
            layer.sort_unstable();
            layer.retain(|holder| seen.insert(*holder));
            found.extend(&layer);
            layer = layer.iter().filter_map(|holder| self.parents.get(holder)).flatten().copied().collect();
        }
        found
    }

    /// What holds for the members of whatever holds a service or a collection, before anything that is set nearer.
    pub fn limits(&self, name: &ServiceName) -> Effective<'a> {
        self.of(name).into_iter().rev().fold(Effective::defaults(self.config), |limits, holder| {
            let collection = self.config.collections.get(holder);
            collection.map_or(limits, |collection| limits.with(&collection.limits, Origin::Collection(holder)))
        })
    }

    /// What holds for a service that is reached through these collections, the outermost first.
    pub fn limits_on(&self, path: &[&'a ServiceName], service: &ServiceName) -> Effective<'a> {
        let outer = self.limits(path.first().copied().unwrap_or(service));
        let through = path.iter().fold(outer, |limits, name| match self.config.collections.get(*name) {
            Some(collection) => limits.with(&collection.limits, Origin::Collection(name)),
            None => limits,
        });
        through.of_service(self.config, service)
    }
}
