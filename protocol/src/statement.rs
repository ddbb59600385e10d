//! The right to be primary: who manages the grid, signed by the grid's certificate authority.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Says that `manager` is the primary of `grid` in `epoch`.
///
/// An agent obeys no lower epoch than the highest it has seen, and in the same epoch no other manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The grid.
    pub grid: Uuid,
    /// The number of the activation, from 1 on.
    pub epoch: u64,
    /// The manager that was activated.
    pub manager: Uuid,
    /// ECDSA (P-256, SHA-256, ASN.1 form, base64) of [`Statement::signed_bytes`] by the grid's authority.
    pub signature: String,
}

/// Why a statement is not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotObeyed {
    /// Its epoch is over.
    #[error("the manager is of epoch {offered}, and epoch {seen} has been seen: it is not the primary any more")]
    OldEpoch {
        /// The epoch of the manager that was turned away.
        offered: u64,
        /// The highest epoch seen.
        seen: u64,
    },
    /// Two managers claim one epoch.
    #[error("another manager than the known one claims epoch {0}")]
    OtherManager(u64),
    /// For another grid.
    #[error("the manager's statement is for another grid")]
    OtherGrid,
}

impl Statement {
    /// The bytes that the signature covers.
    pub fn signed_bytes(grid: Uuid, epoch: u64, manager: Uuid) -> Vec<u8> {
        format!("tomcat-grid primary 1\n{grid}\n{epoch}\n{manager}\n").into_bytes()
    }

    /// Whether an agent that has seen `highest` obeys this one. The signature is checked elsewhere.
    pub fn obeyed_after(&self, highest: Option<&Statement>) -> Result<(), NotObeyed> {
        match highest {
            None => Ok(()),
            Some(seen) if seen.grid != self.grid => Err(NotObeyed::OtherGrid),
            Some(seen) if self.epoch < seen.epoch => Err(NotObeyed::OldEpoch { offered: self.epoch, seen: seen.epoch }),
            Some(seen) if self.epoch == seen.epoch && self.manager != seen.manager => {
                Err(NotObeyed::OtherManager(self.epoch))
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(epoch: u64, manager: u128) -> Statement {
        Statement { grid: Uuid::nil(), epoch, manager: Uuid::from_u128(manager), signature: String::new() }
    }

    #[test]
    fn only_the_highest_epoch_is_obeyed() {
        let seen = statement(3, 1);
        assert_eq!(statement(1, 9).obeyed_after(None), Ok(()));
        assert_eq!(statement(3, 1).obeyed_after(Some(&seen)), Ok(()));
        assert_eq!(statement(4, 2).obeyed_after(Some(&seen)), Ok(()));
        assert_eq!(statement(2, 1).obeyed_after(Some(&seen)), Err(NotObeyed::OldEpoch { offered: 2, seen: 3 }));
        assert_eq!(statement(3, 2).obeyed_after(Some(&seen)), Err(NotObeyed::OtherManager(3)));
        let other = Statement { grid: Uuid::from_u128(5), ..statement(4, 1) };
        assert_eq!(other.obeyed_after(Some(&seen)), Err(NotObeyed::OtherGrid));
    }
}
