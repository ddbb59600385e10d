//! What agents that are linked tell, how they leave, and what is remembered of it over a restart of the manager.

use std::{collections::BTreeSet, sync::Arc};

use protocol::{limits::SILENCE, report::InstanceReport, time::Timestamp};

use super::App;
use crate::{
    grid::fleet::{ConnectionNumber, Fleet, LastLink, Named},
    store::machines::Registration,
};

/// How long after its start the manager waits for the agents that it knows: as long as for any other silence, and for
/// their next attempt to dial.
const GRACE: std::time::Duration = SILENCE.saturating_add(std::time::Duration::from_secs(5));

impl App {
    /// An instance is no longer on its machine.
    pub fn gone(&self, agent: &Registration, number: ConnectionNumber, base: &str) {
        self.change(|fleet, _| {
            if fleet.is_current(&agent.machine, number) {
                self.journal.forget(agent.id, base);
            }
            fleet.gone(&agent.machine, number, base)
        });
    }

    /// An agent is no longer linked. [`LastLink::Linked`] is for one that the manager leaves, because it ends.
    pub fn left(&self, agent: &Registration, number: ConnectionNumber, last: LastLink) {
        self.change(|fleet, now| {
            if fleet.is_current(&agent.machine, number) {
                self.journal.remember_link(agent.id, last.clone());
            }
            match &last {
                LastLink::Linked { .. } => fleet.lost(&agent.machine, number, "the manager ends", now),
                LastLink::Ended { why, .. } => fleet.goodbye(&agent.machine, number, why, now),
                LastLink::Lost { why, .. } => fleet.lost(&agent.machine, number, why, now),
            }
        });
    }

    /// Remembers what an agent told; `whole` if that is all it has. Called under the fleet's lock before it is changed,
    /// so that what is remembered last is what was told last.
    pub(super) fn remember(&self, fleet: &Fleet, agent: &Registration, told: &[Named], whole: bool, now: Timestamp) {
        if whole {
            let told: BTreeSet<&str> = told.iter().map(|named| named.report.base.as_str()).collect();
            let left_out = fleet.bases(&agent.machine).filter(|base| !told.contains(base));
            left_out.for_each(|base| self.journal.forget(agent.id, base));
        }
        told.iter().for_each(|named| self.journal.remember(agent.id, now, &named.report));
    }

    /// The bases of an agent's instances, with those that it tells of now.
    pub(super) fn bases_with(&self, agent: &Registration, reports: &[InstanceReport]) -> BTreeSet<String> {
        let fleet = self.fleet();
        let known = fleet.bases(&agent.machine).map(str::to_owned);
        known.chain(reports.iter().map(|report| report.base.clone())).collect()
    }

    /// Stops waiting for agents that do not come after the manager's start.
    pub(super) async fn miss_the_absent(self: Arc<Self>) {
        tokio::time::sleep(GRACE).await;
        self.change(|fleet, _| fleet.stop_waiting());
    }
}
