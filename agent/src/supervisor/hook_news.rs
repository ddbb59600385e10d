//! What is to be told of hooks: what they write, how they end, and which programs are there.

use std::collections::VecDeque;

use protocol::{
    desired::Programs,
    hook::{HookEnd, MAX_CHUNK},
    link::FromAgent,
};
use uuid::Uuid;

/// How many bytes of output may wait for a link. The oldest is dropped: the end of the run brings the whole.
const OUTPUT: usize = 256 * 1024;

/// How many ends may wait for a link. The oldest is dropped: who still wants it asks again by its id.
const ENDS: usize = 64;

/// News of hooks that wait for a link.
#[derive(Default)]
pub struct HookNews {
    output: VecDeque<(Uuid, String)>,
    bytes: usize,
    ends: VecDeque<(Uuid, HookEnd)>,
    programs: Option<Programs>,
}

impl HookNews {
    /// Adds what a hook wrote.
    pub fn put_output(&mut self, run: Uuid, text: String) {
        self.bytes += text.len();
        self.output.push_back((run, text));
        while self.bytes > OUTPUT
            && let Some((_, dropped)) = self.output.pop_front()
        {
            self.bytes -= dropped.len();
        }
    }

    /// Adds how a run ended.
    pub fn put_end(&mut self, run: Uuid, end: HookEnd) {
        self.ends.retain(|(known, _)| *known != run);
        if self.ends.len() >= ENDS {
            self.ends.pop_front();
        }
        self.ends.push_back((run, end));
    }

    /// Sets which programs are there.
    pub fn put_programs(&mut self, programs: Programs) {
        self.programs = Some(programs);
    }

    /// Takes everything, in the order in which it is to be told.
    pub fn take(&mut self, messages: &mut Vec<FromAgent>) {
        messages.extend(self.programs.take().map(FromAgent::Programs));
        self.bytes = 0;
        for (run, text) in self.output.drain(..) {
            match messages.last_mut() {
                // What has waited is told in as few messages as can be.
                Some(FromAgent::HookOutput { run: last, text: before })
                    if *last == run && before.len() + text.len() <= MAX_CHUNK =>
                {
                    before.push_str(&text);
                }
                _ => messages.push(FromAgent::HookOutput { run, text }),
            }
        }
        messages.extend(self.ends.drain(..).map(|(run, end)| FromAgent::HookDone { run, end }));
    }
}

#[cfg(test)]
mod tests {
    use protocol::{
        hook::{HookFate, MAX_OUTPUT},
        limits::MAX_MESSAGE,
        link,
    };

    use super::*;

    #[test]
    fn what_waits_is_bounded_and_the_end_comes_last() {
        let mut news = HookNews::default();
        let run = Uuid::nil();
        for _ in 0..1000 {
            news.put_output(run, "x".repeat(1024));
        }
        for _ in 0..2 {
            news.put_end(run, HookEnd::not_run("why"));
        }
        for id in 1..=100 {
            news.put_end(Uuid::from_u128(id), HookEnd::not_run("why"));
        }
        let mut messages = Vec::new();
        news.take(&mut messages);
        let outputs = messages.iter().filter(|message| matches!(message, FromAgent::HookOutput { .. })).count();
        assert_eq!(outputs, OUTPUT / MAX_CHUNK);
        assert_eq!(messages.len() - outputs, ENDS);
        assert!(matches!(messages.last(), Some(FromAgent::HookDone { .. })));
        news.take(&mut messages);
        assert_eq!(messages.len(), outputs + ENDS, "once");
    }

    #[test]
    fn the_longest_output_fits_into_a_message() {
        let end = HookEnd {
            fate: HookFate::Ran { exit_code: 0 },
            output: "\u{1}".repeat(MAX_OUTPUT),
            dropped: u64::MAX,
            duration_ms: u64::MAX,
        };
        assert!(link::write(&FromAgent::HookDone { run: Uuid::max(), end }).len() < MAX_MESSAGE);
    }
}
