//! What happened: the journal, for those who may see it.

use super::{App, Result};
use crate::{
    grid::{
        access::{Caller, Permission},
        event::{Kind, Topic},
        page::MOST,
        search::{About, EventFilter},
    },
    store::journal::Span,
};

/// About how many events are looked at for one part.
const SCAN: usize = 10_000;

/// How many events are read at a time.
const CHUNK: u32 = 500;

impl App {
    /// A part of the journal, each event as JSON, and beyond which number there may be more. A part may have few events
    /// or none and yet not be the last: so many are looked at and no more, also where most are not for the caller.
    pub async fn past_events(
        &self,
        caller: &Caller,
        filter: &EventFilter,
        span: Span,
        limit: u32,
    ) -> Result<(Vec<String>, Option<u64>)> {
        caller.may(Permission::Read)?;
        let limit = limit.clamp(1, MOST);
        // What comes while both databases are read might be seen in one and not in the other.
        let span = span.until(self.journal.last().seq);
        let (mut span, mut looked_at, mut bodies) = (span, 0, Vec::new());
        // Most often the first look finds enough.
        let mut chunk = limit + 1;
        loop {
            let found = self.store.candidates(filter, span, chunk).await?;
            let count = found.events.len();
            for (index, (seq, body)) in found.events.into_iter().enumerate() {
                if self.wants(caller, filter, &body) {
                    bodies.push(body);
                }
                if bodies.len() >= limit as usize {
                    let is_last = index + 1 == count && found.end.is_none();
                    return Ok((bodies, (!is_last).then_some(seq)));
                }
            }
            looked_at += count;
            match found.end {
                None => return Ok((bodies, None)),
                Some(end) if looked_at >= SCAN => return Ok((bodies, Some(end))),
                Some(end) => span = span.beyond(end),
            }
            chunk = CHUNK;
        }
    }

    /// Whether an event is for a caller and fits.
    fn wants(&self, caller: &Caller, filter: &EventFilter, body: &str) -> bool {
        match About::of_body(body) {
            Some(about) if about.kind == Kind::OperationState => {
                filter.fits(&about) && self.sees(caller, &Topic::of_body(body))
            }
            Some(about) => filter.fits(&about) && self.sees(caller, &about.topic()),
            // Whoever asks for everything must not miss what only a later version can read.
            None => *filter == EventFilter::default() && self.sees(caller, &Topic::of_body(body)),
        }
    }
}
