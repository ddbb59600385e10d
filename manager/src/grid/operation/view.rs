//! Operations as everybody sees them.

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{NodeKind, StepState};
use crate::grid::{command::Command, schema};

/// An operation, without its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationView {
    /// Its id.
    pub id: Uuid,
    /// The command.
    pub command: Command,
    /// The targets, as they were given.
    pub targets: Vec<String>,
    /// How far it is.
    pub state: OperationState,
    /// How it ended; `null` before.
    pub result: Option<StepState>,
    /// The same in words.
    pub message: String,
    /// Who asked for it; `schedule:NAME` for a schedule.
    pub actor: String,
    /// When it was asked for.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub ended_at: Option<Timestamp>,
    /// The operation whose failed part it tries again.
    pub retry_of: Option<Uuid>,
    /// Who cancelled it; `null` if nobody did.
    #[serde(default)]
    pub cancelled_by: Option<String>,
    /// How many services are how far.
    pub services: Counts,
    /// When it was interrupted, the earliest first; the latest that are remembered, where it was often. These times
    /// count into how long it took.
    #[serde(default)]
    pub interruptions: Vec<Interruption>,
    /// How often its progress is to be told to those who wait, in milliseconds; `null` where that is not known.
    #[serde(default)]
    pub progress_interval_ms: Option<u64>,
}

/// The most interruptions of an operation that are remembered.
const MOST_INTERRUPTIONS: usize = 50;

/// A time in which no manager carried an operation out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Interruption {
    /// The end of the manager; where it was killed, the last that is known of the operation before that.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// Whether that is the very moment.
    pub exact: bool,
    /// When it was resumed; `null` if it was not.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub resumed_at: Option<Timestamp>,
    /// By whom.
    pub resumed_by: Option<String>,
}

impl Interruption {
    /// It in words.
    pub fn words(&self) -> String {
        let at = if self.exact { "at" } else { "some time after" };
        let interrupted = format!("interrupted {at} {}", self.at);
        match (self.resumed_at, &self.resumed_by) {
            (Some(resumed), Some(by)) => format!("{interrupted}, resumed at {resumed} by {by}"),
            (Some(resumed), None) => format!("{interrupted}, resumed at {resumed}"),
            (None, _) => interrupted,
        }
    }
}

impl OperationView {
    /// It is interrupted.
    pub fn note_interruption(&mut self, at: Timestamp, exact: bool) {
        if self.interruptions.len() >= MOST_INTERRUPTIONS {
            self.interruptions.remove(0);
        }
        self.interruptions.push(Interruption { at, exact, resumed_at: None, resumed_by: None });
    }

    /// It is resumed by somebody.
    pub fn note_resumption(&mut self, at: Timestamp, by: &str) {
        if let Some(last) = self.interruptions.last_mut().filter(|last| last.resumed_at.is_none()) {
            (last.resumed_at, last.resumed_by) = (Some(at), Some(by.to_owned()));
        }
    }
}

/// How many services of an operation are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// All.
    pub total: u32,
    /// Not begun.
    pub planned: u32,
    /// In hand.
    pub running: u32,
    /// Done.
    pub done: u32,
    /// Without need.
    pub ignored: u32,
    /// Not done, for whatever reason.
    pub failed: u32,
    /// Never begun, because something before failed, or by a cancel.
    pub skipped: u32,
}

impl Counts {
    /// How many there are, in words.
    pub fn many(&self) -> String {
        if self.total == 1 { "1 service".to_owned() } else { format!("{} services", self.total) }
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperationState {
    /// It is being carried out.
    Running,
    /// It is being carried out to the end of what is in hand.
    Cancelling,
    /// The manager ended while it was carried out; it can be resumed.
    Interrupted,
    /// It has ended.
    Ended,
    /// It was never begun: a dry run.
    Planned,
}

impl OperationState {
    /// The state as JSON and tables show it.
    pub fn word(self) -> &'static str {
        match self {
            OperationState::Running => "running",
            OperationState::Cancelling => "cancelling",
            OperationState::Interrupted => "interrupted",
            OperationState::Ended => "ended",
            OperationState::Planned => "planned",
        }
    }

    /// The state as a sentence about an operation goes on with it.
    pub fn standing(self) -> String {
        match self {
            OperationState::Ended => "has ended".to_owned(),
            OperationState::Cancelling => "is being cancelled".to_owned(),
            state => format!("is {}", state.word()),
        }
    }
}

/// An operation with its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationDetail {
    /// The operation.
    #[serde(flatten)]
    pub operation: OperationView,
    /// Its nodes: the first is the root, and each comes after its parent.
    pub steps: Vec<StepView>,
}

/// A node of an operation's tree, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// Its number, from 0 on.
    pub number: u32,
    /// The number of its parent; `null` for the root.
    pub parent: Option<u32>,
    /// What it is.
    #[serde(flatten)]
    pub kind: NodeKind,
    /// How far it is.
    pub state: StepState,
    /// How, why, or what is going on.
    #[serde(default)]
    pub message: String,
    /// When it began.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub ended_at: Option<Timestamp>,
}

/// A line of an operation's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Its number within the operation, from 1 on.
    pub number: u64,
    /// When.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// The step that it is about.
    pub step: u32,
    /// What a hook wrote, or what happened to a service. May hold several lines, and holds whole ones; one that is longer
    /// than 4 KiB comes in parts.
    pub text: String,
}

/// What is new of an operation that is watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "news", rename_all = "lowercase")]
pub enum OperationNews {
    /// Everything: the first, and whenever something was missed.
    Whole(Box<OperationDetail>),
    /// The operation itself has changed.
    Operation(Box<OperationView>),
    /// A step has changed.
    Step(Box<StepView>),
    /// Something was written to its log.
    Log(LogLine),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_interruptions_in_words() {
        let (at, later) = (Timestamp::EPOCH, Timestamp::from_millis(61_000));
        let by = |by: &str| Some(by.to_owned());
        for (exact, resumed_at, resumed_by, words) in [
            (true, None, None, "interrupted at 1970-01-01T00:00:00.000Z"),
            (false, None, None, "interrupted some time after 1970-01-01T00:00:00.000Z"),
            (
                true,
                Some(later),
                by("anna"),
                "interrupted at 1970-01-01T00:00:00.000Z, resumed at 1970-01-01T00:01:01.000Z by anna",
            ),
        ] {
            assert_eq!(Interruption { at, exact, resumed_at, resumed_by }.words(), words);
        }
    }
}
