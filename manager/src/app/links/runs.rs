//! Runs of hooks on machines, whose output and end are waited for. A run outlives the link that it was sent on: its end
//! comes on whichever link its agent has then.

use std::collections::hash_map::Entry;

use protocol::{
    hook::{HookEnd, HookFate, MAX_CHUNK, MAX_OUTPUT},
    limits::clip,
    link::{Outcome, ToAgent},
};
use tokio::sync::{futures::Notified, mpsc, oneshot};
use uuid::Uuid;

use super::Links;
use crate::grid::fleet::ConnectionNumber;

/// How many runs are waited for at most.
const MOST: usize = 20_000;

/// How many parts of output wait for whoever follows a run. What is beyond is in its end.
const PARTS: usize = 16;

pub(super) struct WaitingRun {
    agent: Uuid,
    output: mpsc::Sender<String>,
    ended: Option<oneshot::Sender<HookEnd>>,
}

/// What comes of a run.
pub struct RunNews {
    /// What it writes, in parts.
    pub output: mpsc::Receiver<String>,
    /// How it ends.
    pub ended: oneshot::Receiver<HookEnd>,
}

impl Links {
    /// Waits for what comes of a run of an agent; `None` if somebody does already, or too many runs are waited for.
    pub fn expect_run(&self, agent: Uuid, run: Uuid) -> Option<RunNews> {
        let mut inner = self.lock();
        if inner.runs.len() >= MOST {
            return None;
        }
        let Entry::Vacant(place) = inner.runs.entry(run) else { return None };
        let (output, parts) = mpsc::channel(PARTS);
        let (ended, end) = oneshot::channel();
        place.insert(WaitingRun { agent, output, ended: Some(ended) });
        Some(RunNews { output: parts, ended: end })
    }

    /// Gives up waiting for a run.
    pub fn forget_run(&self, run: Uuid) {
        self.lock().runs.remove(&run);
    }

    /// An agent tells what a run writes.
    pub fn run_output(&self, agent: Uuid, run: Uuid, text: &str) {
        let inner = self.lock();
        if let Some(waiting) = inner.runs.get(&run).filter(|waiting| waiting.agent == agent) {
            // What has no room now is in the end of the run.
            let _full = waiting.output.try_send(harmless(text, MAX_CHUNK));
        }
    }

    /// An agent tells how a run ended.
    pub fn run_ended(&self, agent: Uuid, run: Uuid, mut end: HookEnd) {
        end.output = harmless(&end.output, MAX_OUTPUT);
        if let HookFate::NotRun { why } | HookFate::Unknown { why } = &mut end.fate {
            *why = words(why);
        }
        let mut inner = self.lock();
        if let Some(waiting) = inner.runs.get_mut(&run).filter(|waiting| waiting.agent == agent)
            && let Some(ended) = waiting.ended.take()
        {
            // Whoever waited may have given up.
            let _gone = ended.send(end);
        }
    }

    /// The number of an agent's connection, if it is linked.
    pub fn connection(&self, agent: Uuid) -> Option<ConnectionNumber> {
        self.lock().mailboxes.get(&agent).map(|mailbox| mailbox.number)
    }

    /// Sends a message to an agent; returns the number of the connection that it is sent on.
    pub fn send_on(&self, agent: Uuid, message: ToAgent) -> Option<ConnectionNumber> {
        let mailbox = self.lock().mailboxes.get(&agent).cloned()?;
        mailbox.post(message).then_some(mailbox.number)
    }

    /// Waits until the next agent is linked.
    pub fn next_entered(&self) -> Notified<'_> {
        self.entered.notified()
    }
}

/// Why something came about, as an agent says it: short, and without what would act on a terminal.
pub(in crate::app) fn words(text: &str) -> String {
    clip(&harmless(&clip(text), usize::MAX))
}

/// An outcome as an agent says it, its words made harmless.
pub(super) fn harmless_outcome(mut outcome: Outcome) -> Outcome {
    match &mut outcome {
        Outcome::Done { message }
        | Outcome::Ignored { message }
        | Outcome::Failed { message }
        | Outcome::Refused { message }
        | Outcome::Unknown { message } => *message = words(message),
        Outcome::Expired {} => {}
    }
    outcome
}

/// A text of an agent, cut, and without what would act on a terminal: an agent need not be an honest one.
fn harmless(text: &str, limit: usize) -> String {
    let end = text.floor_char_boundary(limit);
    text[..end].chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);
    const RUN: Uuid = Uuid::from_u128(7);

    fn end(output: &str) -> HookEnd {
        HookEnd { fate: HookFate::Ran { exit_code: 0 }, output: output.to_owned(), dropped: 0, duration_ms: 1 }
    }

    #[tokio::test]
    async fn only_the_agent_that_was_asked_ends_a_run() {
        let links = Links::default();
        let mut news = links.expect_run(AGENT, RUN).unwrap();
        assert!(links.expect_run(AGENT, RUN).is_none(), "one waits already");
        links.run_output(OTHER, RUN, "false");
        links.run_output(AGENT, RUN, "one\u{1b}[2J\n");
        links.run_ended(OTHER, RUN, end("false"));
        links.run_ended(AGENT, RUN, end("one"));
        links.run_ended(AGENT, RUN, end("two"));
        assert_eq!(news.output.recv().await.as_deref(), Some("one[2J\n"));
        assert_eq!(news.ended.await, Ok(end("one")));
        links.forget_run(RUN);
        assert_eq!(links.figures().runs, 0);
    }

    #[tokio::test]
    async fn what_an_agent_says_acts_on_no_terminal_and_is_short() {
        let bad = format!("\u{1b}[2J{}", "x".repeat(100_000));
        let links = Links::default();
        let news = links.expect_run(AGENT, RUN).unwrap();
        links.run_ended(AGENT, RUN, HookEnd::not_run(bad.clone()));
        let HookFate::NotRun { why } = news.ended.await.unwrap().fate else { panic!("it was not run") };
        let Outcome::Failed { message } = harmless_outcome(Outcome::Failed { message: bad }) else {
            panic!("it failed")
        };
        for text in [why, message] {
            assert!(text.starts_with("[2Jxxx") && text.len() < 10_000, "{}", text.len());
        }
    }

    #[tokio::test]
    async fn a_flood_is_cut() {
        let links = Links::default();
        let mut news = links.expect_run(AGENT, RUN).unwrap();
        for _ in 0..100 {
            links.run_output(AGENT, RUN, &"é".repeat(MAX_OUTPUT));
        }
        links.run_ended(AGENT, RUN, end(&"x".repeat(2 * MAX_OUTPUT)));
        links.forget_run(RUN);
        let mut parts = 0;
        while let Some(part) = news.output.recv().await {
            assert!(part.len() <= MAX_CHUNK);
            parts += 1;
        }
        assert_eq!(parts, PARTS);
        assert_eq!(news.ended.await.unwrap().output.len(), MAX_OUTPUT);
    }
}
