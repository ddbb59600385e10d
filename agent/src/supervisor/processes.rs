//! Looking for processes, and giving each to the instance that it is of.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    Supervisor,
    looking::{Looked, Verdict},
};
use crate::{
    instance::task::{Found, Input},
    os::process::{self, ProcessKey},
    tomcat::command_line,
};

/// What is known of a process that calls itself a Tomcat.
pub(super) struct Seen {
    pub(super) uid: u32,
    /// Whether it is being looked at now.
    pub(super) asked: bool,
    /// Whether it is to be looked at again.
    pub(super) again: bool,
    pub(super) is_of: Option<PathBuf>,
    pub(super) note: Option<String>,
}

impl Supervisor {
    /// Looks for processes that have appeared. Besides the bases in hand, those of `expected` count as known.
    pub(super) fn sweep(&mut self, expected: &BTreeSet<PathBuf>) {
        let Some(declarations) = self.declarations.clone() else { return };
        let mut appeared = Vec::new();
        self.sweep.look(|pid, arguments| {
            appeared.extend(command_line::recognise(arguments).map(|found| (pid, found)));
        });
        for (pid, command_line) in appeared {
            let Some(key) = ProcessKey::of(pid) else { continue };
            if let Some(seen) = self.processes.get(&key) {
                let handle = seen.is_of.as_ref().map(|base| self.instances.get(base));
                match handle {
                    _ if seen.asked => continue,
                    None if !seen.again => continue,
                    Some(Some(handle)) => {
                        let found = Found { key, uid: seen.uid, command_line };
                        // A task that is busy sees the process again: a JVM is examined at each look.
                        let _busy = handle.inputs.try_send(Input::Appeared(found));
                        continue;
                    }
                    _ => {}
                }
            }
            let Some(uid) = process::uid(pid) else { continue };
            let note = self.processes.remove(&key).and_then(|seen| seen.note);
            self.processes.insert(key, Seen { uid, asked: true, again: false, is_of: None, note });
            let found = Found { key, uid, command_line };
            let known = self.instances.keys().chain(expected).cloned().collect();
            let (looker, declarations) = (self.looker.clone(), declarations.clone());
            self.looking.spawn_blocking(move || {
                let verdict = looker.examine(&found, &known, &declarations);
                Looked::Process(found, verdict)
            });
        }
    }

    pub(super) fn on_examined(&mut self, found: Found, verdict: Verdict) {
        let (is_of, note) = match verdict {
            Verdict::Stranger(note) => (None, note),
            Verdict::Of(base, Some(claimed)) => match self.take_up(base.clone(), claimed) {
                Ok(()) => (Some(base), None),
                Err(why) => (None, Some(why)),
            },
            // Where the base was known, and is not in hand, it is looked at again.
            Verdict::Of(base, None) => (Some(base), None),
        };
        let Some(seen) = self.processes.get_mut(&found.key) else { return };
        seen.asked = false;
        let is_news = seen.note != note;
        seen.note = note;
        seen.is_of = is_of;
        if let Some(handle) = seen.is_of.as_ref().and_then(|base| self.instances.get(base)) {
            // A task that is busy sees the process again: a JVM is examined at each look.
            let _busy = handle.inputs.try_send(Input::Appeared(found));
        }
        if is_news {
            self.post_facts();
        }
    }
}
