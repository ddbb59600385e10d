//! Whether a hook's program can run where it would have to.

use protocol::name::MachineName;

use super::{Hooks, distribution::Standing, here::no_program};
use crate::grid::explain::Readiness;

impl Hooks {
    /// Whether a program can run on a machine, or without one on the manager's host.
    pub(in crate::app) fn readiness(&self, program: &str, machine: Option<&MachineName>) -> Readiness {
        let why = match machine {
            Some(machine) => match self.standing(machine, program) {
                Standing::Ready(_) => None,
                Standing::NoProgram => Some(no_program(program)),
                Standing::Missing(_, why) => Some(why),
            },
            None => {
                let hash = self.lock().programs.get(program).map(|program| program.hash.clone());
                let is_there = hash.is_some_and(|hash| self.blobs.path(&hash).is_some());
                (!is_there).then(|| no_program(program))
            }
        };
        Readiness { ready: Some(why.is_none()), why }
    }
}
