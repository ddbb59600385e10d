//! `start`, `stop`, `kill`, `restart`, `killstart`, and `operations`.

use std::{num::NonZeroU32, str::FromStr};

use clap::{Args, Subcommand, ValueEnum};

use super::Span;
use crate::grid::config::{Budget, OnFailure};

/// `start`, `stop`, `kill`, `restart`, `killstart`
#[derive(Debug, Args)]
pub struct OperateArgs {
    /// Services and collections to act on
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<String>,
    /// Work on all that is named at once, or with `=N` on so many at a time. Collections have an order of their own, which
    /// this changes for one that is named alone
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true)]
    pub parallel: Option<Option<NonZeroU32>>,
    /// What to do at the first failure [default: as the collection says, else stop]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub on_failure: Option<OnFailureArg>,
    /// Begin no other once more services than this have failed: a number, or a percentage such as 10%
    #[arg(long, value_name = "N|P%")]
    pub failure_budget: Option<BudgetArg>,
    /// Show only what would be done, with every time limit
    #[arg(long)]
    pub dry_run: bool,
    /// How to wait
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// How to wait for an operation.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Print the operation's id and do not wait
    #[arg(long)]
    pub detach: bool,
    /// Show nothing unless something failed: for cron
    #[arg(long, short, conflicts_with = "detach")]
    pub quiet: bool,
    /// How often to tell what is in hand, beside every change [default: the grid's progress_interval]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub interval: Option<Span>,
}

fn interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if span.0.is_zero() { Err("an interval is longer than nothing".to_owned()) } else { Ok(span) }
}

/// What to do at the first failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailureArg {
    /// Finish what is in hand, and begin no other
    Stop,
    /// Go on with the others
    Continue,
}

impl From<OnFailureArg> for OnFailure {
    fn from(argument: OnFailureArg) -> Self {
        match argument {
            OnFailureArg::Stop => OnFailure::Stop,
            OnFailureArg::Continue => OnFailure::Continue,
        }
    }
}

/// How many services may fail: `3`, or `10%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetArg(pub Budget);

impl FromStr for BudgetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let budget = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|percent| *percent <= 100).map(Budget::Percent),
            None => text.parse().ok().map(Budget::Count),
        };
        budget.map(Self).ok_or_else(|| format!("`{text}` is no failure budget: write a number like 3, or 10%"))
    }
}

/// `operations`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct OperationsArgs {
    /// What to do [default: list]
    #[command(subcommand)]
    pub action: Option<OperationsAction>,
    /// What to show
    #[command(flatten)]
    pub list: OperationsListArgs,
}

/// `operations list`
#[derive(Debug, Args)]
pub struct OperationsListArgs {
    /// Show only those that are running, cancelling, interrupted or ended
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Show only what this user, token or schedule asked for
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Show only what is about this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Show this many at most, the latest
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// What can be done with operations. An id may be shortened to a beginning that no other has.
#[derive(Debug, Subcommand)]
pub enum OperationsAction {
    /// Show operations, the latest first
    List(OperationsListArgs),
    /// Show an operation with every step
    Show {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// Show also its log
        #[arg(long)]
        log: bool,
    },
    /// Cancel an operation: what is in hand is finished, and nothing else is begun
    Cancel {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// Leave what is in hand as it is
        #[arg(long)]
        now: bool,
    },
    /// Wait for an operation, and end with the exit code that its command would have had
    Wait {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Go on with an operation that was interrupted, and wait for it
    Resume {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Try again what an operation did not do, as a new operation, and wait for it
    Retry {
        /// Its id, or a beginning of it that no other has
        id: String,
        /// Show only which services would be tried again
        #[arg(long)]
        dry_run: bool,
        /// How to wait
        #[command(flatten)]
        wait: WaitArgs,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read() {
        for (text, budget) in [
            ("3", Some(Budget::Count(3))),
            ("10%", Some(Budget::Percent(10))),
            ("101%", None),
            ("-1", None),
            ("%", None),
            ("many", None),
        ] {
            assert_eq!(text.parse::<BudgetArg>().ok().map(|budget| budget.0), budget, "{text}");
        }
    }
}
