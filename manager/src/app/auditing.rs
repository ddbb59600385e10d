//! What reaches the audit: every action, by the event that records it, and every refusal.

use super::{App, Result};
use crate::grid::{
    access::{Caller, NotAllowed, Permission},
    audit::Deed,
    event::{Draft, Kind},
};

impl App {
    /// Checks that a caller may do something, and records it if not. `action` and `subject` are those of the audit.
    pub(super) async fn permit(
        &self,
        caller: &Caller,
        permission: Permission,
        action: &str,
        subject: &str,
    ) -> Result<()> {
        match caller.may(permission) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.refused(caller, action, subject, refusal).await),
        }
    }

    /// Records that a caller was not allowed to do something; returns why, as it is answered.
    pub(super) async fn refused(
        &self,
        caller: &Caller,
        action: &str,
        subject: &str,
        refusal: NotAllowed,
    ) -> super::AppError {
        let message = refusal.to_string();
        let deed = Deed::of(caller, action, subject).outcome("refused").detail(&message);
        let data = serde_json::json!({"action": action, "subject": subject, "message": message});
        let draft = Draft::new(Kind::ActionRefused).data(data).deed(deed);
        if let Err(error) = self.journal.record(draft).await {
            // It is refused all the same.
            tracing::error!("cannot record that {} may not {action}: {error}", caller.name);
        }
        refusal.into()
    }

    /// Says that somebody may do more or less than before, so that streams look again at who watches.
    pub(super) fn tell_access_changed(&self) {
        self.access_changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}
