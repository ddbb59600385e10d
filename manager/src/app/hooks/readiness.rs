//! Whether a hook can run where it would have to.

use protocol::name::MachineName;

use super::{Hooks, distribution::Standing, here::no_program};
use crate::{
    app::App,
    grid::{explain::Readiness, hooks::secrets::Secrets, operation::HookNode},
};

impl App {
    /// Whether a hook can run on a machine, or without one on the manager's host: its program and its secrets are there.
    pub(in crate::app) fn readiness(&self, hook: &HookNode, machine: Option<&MachineName>) -> Readiness {
        let without_secrets = || {
            let secrets = match machine {
                _ if hook.secrets.is_empty() => return None,
                Some(machine) => Secrets {
                    machines: self.hooks.secrets_of(machine).map(|on| (machine.clone(), on)).into_iter().collect(),
                    ..Secrets::default()
                },
                None => self.secrets(),
            };
            secrets.why_not(&hook.secrets, machine)
        };
        let why = self.hooks.program_readiness(&hook.program, machine).or_else(without_secrets);
        Readiness { ready: Some(why.is_none()), why }
    }
}

impl Hooks {
    /// Whether a program can run on a machine, or without one on the manager's host; its secrets are looked at besides.
    fn program_readiness(&self, program: &str, machine: Option<&MachineName>) -> Option<String> {
        match machine {
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
        }
    }
}
