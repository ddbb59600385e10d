//! How the manager and its grid are doing, in figures.

use std::time::Duration;

use protocol::{state::Action, time::Timestamp};

use super::{App, Result, journal::JournalFigures, links::LinkFigures, traffic::Counter};
use crate::grid::{
    access::{Caller, Permission},
    fleet::Counts,
    view::TriggerOutcome,
};

/// The actions of triggers.
const ACTIONS: [Action; 3] = [Action::Start, Action::Stop, Action::Kill];

/// What can become of a trigger that is carried out.
const OUTCOMES: [TriggerOutcome; 8] = [
    TriggerOutcome::Done,
    TriggerOutcome::Ignored,
    TriggerOutcome::Refused,
    TriggerOutcome::Failed,
    TriggerOutcome::NotAvailable,
    TriggerOutcome::Unknown,
    TriggerOutcome::Conflict,
    TriggerOutcome::Vetoed,
];

/// How many triggers there were, by action and outcome.
#[derive(Debug, Default)]
pub struct Triggers([[Counter; OUTCOMES.len()]; ACTIONS.len()]);

impl Triggers {
    /// Counts one.
    pub fn count(&self, action: Action, outcome: TriggerOutcome) {
        let action = ACTIONS.iter().position(|known| *known == action);
        let outcome = OUTCOMES.iter().position(|known| *known == outcome);
        if let (Some(action), Some(outcome)) = (action, outcome) {
            self.0[action][outcome].count();
        }
    }

    fn all(&self) -> Vec<(Action, TriggerOutcome, u64)> {
        let of = |(action, row): (Action, &[Counter; OUTCOMES.len()])| {
            OUTCOMES.into_iter().zip(row).map(|(outcome, count)| (action, outcome, count.get())).collect::<Vec<_>>()
        };
        ACTIONS.into_iter().zip(&self.0).flat_map(of).collect()
    }
}

/// What the operating system tells of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// Memory that it has in RAM, in bytes.
    pub resident: u64,
    /// Processor time that it has used.
    pub cpu: Duration,
    /// Open file descriptors.
    pub descriptors: u64,
    /// The most file descriptors it may have open.
    pub most_descriptors: u64,
    /// Threads.
    pub threads: u64,
}

impl Process {
    /// Looks at this process; what cannot be read is zero.
    fn look() -> Self {
        let Ok(process) = procfs::process::Process::myself() else { return Self::default() };
        let stat = process.stat().ok();
        let ticks = stat.as_ref().map_or(0, |stat| stat.utime + stat.stime);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self {
            resident: stat.as_ref().map_or(0, |stat| stat.rss.saturating_mul(procfs::page_size())),
            cpu: Duration::from_millis(ticks.saturating_mul(1000) / procfs::ticks_per_second().max(1)),
            descriptors: process.fd_count().map_or(0, |count| count as u64),
            most_descriptors: limit.unwrap_or(0),
            threads: stat.map_or(0, |stat| u64::try_from(stat.num_threads).unwrap_or(0)),
        }
    }
}

/// How many connections there are, and what became of some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficFigures {
    /// Connections of agents that are no links.
    pub agents: u64,
    /// Connections of people and scripts at the TLS port.
    pub people: u64,
    /// Connections at the Unix socket.
    pub local: u64,
    /// Connections that have not finished their handshake.
    pub handshakes: u64,
    /// Streams of events.
    pub streams: u64,
    /// How often a watcher had to begin anew.
    pub resets: u64,
    /// Connections that were cut off because the other end took nothing.
    pub cut_off: u64,
    /// Connections that were turned away because too many came from one address, or of one user of the host.
    pub crowded: u64,
}

/// How the manager and its grid are doing.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The manager's version.
    pub version: &'static str,
    /// The epoch in which it is primary.
    pub epoch: u64,
    /// For how long it has run.
    pub uptime: Duration,
    /// When it started, since the Unix epoch.
    pub started: Duration,
    /// The services and machines.
    pub fleet: Counts,
    /// What waits on the links.
    pub links: LinkFigures,
    /// The connections.
    pub traffic: TrafficFigures,
    /// The journal.
    pub journal: JournalFigures,
    /// The triggers since the start, by action and outcome.
    pub triggers: Vec<(Action, TriggerOutcome, u64)>,
    /// What somebody was not allowed to do, since the start.
    pub actions_refused: u64,
    /// Passwords that were not looked at, because too many were wrong, since the start.
    pub logins_throttled: u64,
    /// Logins that are being checked, or wait for their turn.
    pub logins_waiting: usize,
    /// Wishes to join with a token that the grid has never made, since the start.
    pub strangers: u64,
    /// Connections to the databases that are in use, by database and by what they are for.
    pub databases: [(&'static str, &'static str, u32); 4],
    /// This process.
    pub process: Process,
}

impl App {
    /// How the manager and its grid are doing.
    pub async fn figures(&self, caller: &Caller) -> Result<Figures> {
        self.permit(caller, Permission::ReadFigures, "metrics-read", "").await?;
        // The kernel takes a while to count many descriptors.
        let process = tokio::task::spawn_blocking(Process::look).await.unwrap_or_default();
        let traffic = &self.traffic;
        Ok(Figures {
            version: env!("CARGO_PKG_VERSION"),
            epoch: self.meta.epoch,
            uptime: self.started.elapsed(),
            started: self.started_at.since(Timestamp::EPOCH),
            fleet: self.fleet().count(),
            links: self.links.figures(),
            traffic: TrafficFigures {
                agents: traffic.agents.get(),
                people: traffic.people.get(),
                local: traffic.local.get(),
                handshakes: traffic.handshakes.get(),
                streams: traffic.streams.get(),
                resets: traffic.resets.get(),
                cut_off: traffic.cut_off.get(),
                crowded: traffic.crowded.get(),
            },
            journal: self.journal.figures(),
            triggers: self.triggers.all(),
            actions_refused: self.actions_refused.get(),
            logins_throttled: self.logins.throttled.get(),
            logins_waiting: self.logins.waiting(),
            strangers: self.refusals.strangers.get(),
            databases: self.store.busy(),
            process,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_counted_by_action_and_outcome() {
        let triggers = Triggers::default();
        triggers.count(Action::Stop, TriggerOutcome::Done);
        triggers.count(Action::Stop, TriggerOutcome::Done);
        // A dry run delivers nothing.
        triggers.count(Action::Kill, TriggerOutcome::Planned);
        let counted: Vec<_> = triggers.all().into_iter().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(counted, [(Action::Stop, TriggerOutcome::Done, 2)]);
        assert_eq!(triggers.all().len(), ACTIONS.len() * OUTCOMES.len());
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let process = Process::look();
        assert!(process.resident > 1_000_000 && process.descriptors > 2 && process.threads > 0, "{process:?}");
        assert!(process.most_descriptors >= process.descriptors, "{process:?}");
    }
}
