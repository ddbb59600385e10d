//! Before anything is sent, its id is on disk.

use uuid::Uuid;

use super::Run;
use crate::grid::operation::StepState;

impl Run {
    /// A step begins for which something is sent; why it must not be, if it cannot be stored.
    pub(super) async fn begin_sending(&self, number: u32, id: Uuid) -> Result<(), String> {
        // What is on disk is not stored again: it may have been sent, also where the disk takes nothing now.
        if self.live.step(number).is_some_and(|step| step.order == Some(id)) {
            self.set(number, StepState::Running);
            return Ok(());
        }
        let stored = self.recorder.begin_sending(&self.live, number, id).await;
        if let Err(why) = stored {
            return Err(format!("nothing was done, because the step cannot be stored first: {}", why.0));
        }
        self.set(number, StepState::Running);
        fail::fail_point!("step_stored", |_| std::process::abort());
        Ok(())
    }
}
