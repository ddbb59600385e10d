//! What reaches the audit: every action, by the event that records it, and every refusal.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use protocol::time::Timestamp;

use super::{App, AppError, Result, journal::Journal};
use crate::{
    grid::{
        access::{Caller, NotAllowed, Permission},
        audit::{Deed, in_one_line},
        event::{Draft, Kind},
        repeats::{Held, MINUTE, Repeats, Verdict},
    },
    store::StoreError,
};

/// Refusals that came too often to write each down.
#[derive(Default)]
pub(super) struct HeldRefusals {
    // Held for moments only, never across an await.
    inner: Mutex<Repeats<Refused>>,
}

/// A refusal.
struct Refused {
    deed: Deed,
    message: String,
}

impl Refused {
    fn draft(self, count: u32, what: &BTreeSet<String>) -> Draft {
        let Self { mut deed, message } = self;
        let what = in_one_line(what.iter().cloned());
        if count > 1 {
            deed = deed.detail(format!("{count} refusals of a minute, of which this was the first: {what}"));
        }
        let data = serde_json::json!({
            "action": deed.action, "subject": deed.subject, "message": message, "count": count, "what": what,
        });
        Draft::new(Kind::ActionRefused).data(data).deed(deed)
    }
}

impl HeldRefusals {
    fn lock(&self) -> MutexGuard<'_, Repeats<Refused>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn record_held(journal: &Journal, held: Held<Refused>) {
    record(journal, held.first, held.count, &held.what).await;
}

async fn record(journal: &Journal, refused: Refused, count: u32, what: &BTreeSet<String>) {
    let (actor, action) = (refused.deed.actor.clone(), refused.deed.action.clone());
    if let Err(error) = journal.record(refused.draft(count, what)).await {
        // It is refused all the same.
        tracing::error!("cannot record that {actor} may not {action}: {error}");
    }
}

impl App {
    /// Checks that a caller may do something, and records it if not. `action` and `subject` are those of the audit.
    pub(super) async fn permit(
        &self,
        caller: &Caller,
        permission: Permission,
        action: &str,
        subject: &str,
    ) -> Result<()> {
        self.allow(caller, caller.may(permission), action, subject).await
    }

    /// Passes on whether something is allowed, and records it if not.
    pub(super) async fn allow(
        &self,
        caller: &Caller,
        allowed: std::result::Result<(), NotAllowed>,
        action: &str,
        subject: &str,
    ) -> Result<()> {
        match allowed {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.refused(caller, action, subject, refusal).await),
        }
    }

    /// Records that a caller was not allowed to do something; returns why, as it is answered. What one caller is
    /// refused again and again is counted, and recorded after a minute.
    pub(super) async fn refused(&self, caller: &Caller, action: &str, subject: &str, refusal: NotAllowed) -> AppError {
        self.actions_refused.count();
        let message = refusal.to_string();
        let deed = Deed::of(caller, action, subject).outcome("refused").detail(&message);
        let refused = Refused { deed: deed.clone(), message: message.clone() };
        // A token does not use up what its owner's other tokens and sessions have.
        let token = caller.token.as_deref().unwrap_or_default();
        let known_by = format!("{} {token} {}", caller.credential.as_str(), caller.name);
        let about = format!("{action} {subject}").trim_end().to_owned();
        let verdict = self.held.lock().note(&known_by, about, || Refused { deed, message }, Instant::now());
        match verdict {
            Verdict::Write => {
                let journal = self.journal.clone();
                // To the end, also when whoever asked goes away meanwhile.
                let recording = tokio::spawn(async move { record(&journal, refused, 1, &BTreeSet::new()).await });
                if let Err(error) = recording.await {
                    tracing::error!("a refusal was not recorded: {error}");
                }
            }
            Verdict::Hold => {}
            Verdict::HoldFirst => {
                let (held, journal) = (self.held.clone(), self.journal.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(MINUTE).await;
                    let due = held.lock().due(Instant::now());
                    for held in due {
                        record_held(&journal, held).await;
                    }
                });
            }
        }
        refusal.into()
    }

    /// Passes on what came of something, and records it if it was not allowed.
    pub async fn recorded<T>(&self, caller: &Caller, action: &str, subject: &str, came_of_it: Result<T>) -> Result<T> {
        match came_of_it {
            Err(AppError::NotAllowed(refusal)) => Err(self.refused(caller, action, subject, refusal).await),
            came_of_it => came_of_it,
        }
    }

    /// Records that a page of another site made a caller's browser ask for something.
    pub async fn note_cross_site(&self, caller: &Caller, what: &str) {
        let refusal = NotAllowed::CrossSite { caller: caller.name.clone() };
        let _answered = self.refused(caller, "cross-site", what, refusal).await;
    }

    /// Records the refusals that were only counted so far, because the manager ends.
    pub async fn record_held_refusals(&self) {
        let held = self.held.lock().all();
        for held in held {
            record_held(&self.journal, held).await;
        }
    }

    /// Records something of which there is no event. What was done is done, also where the disk is full; returns
    /// whether it is on record.
    pub(super) async fn record_deed(&self, deed: &Deed) -> bool {
        let recorded = self.journal.noting(self.store.record_deed(Timestamp::now(), deed).await);
        if let Err(error) = &recorded {
            tracing::error!("cannot record the {} by {}: {error}", deed.action, deed.actor);
        }
        recorded.is_ok()
    }

    /// Records an event together with what it is about. That something was in the way of it is on record, too.
    pub(super) async fn carry_out<T>(
        &self,
        draft: Draft,
        write: impl AsyncFnOnce(&crate::store::events::EventRow) -> std::result::Result<T, StoreError>,
    ) -> Result<T> {
        let deed = draft.deed.clone();
        let done = self.journal.record_with(draft, async |event| self.journal.noting(write(&event).await)).await;
        if let (Err(StoreError::Conflict(why)), Some(deed)) = (&done, deed) {
            self.record_deed(&deed.outcome("failed").detail(why)).await;
        }
        Ok(done?)
    }

    /// Says that somebody may do more or less than before, so that streams look again at who watches.
    pub(super) fn tell_access_changed(&self) {
        self.access_changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// What was refused, shared with the tasks that wait for a minute to end.
pub(super) type SharedRefusals = Arc<HeldRefusals>;

#[cfg(test)]
mod tests;
