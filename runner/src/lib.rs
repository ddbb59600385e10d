//! Runs a hook program, the same way on a machine and on the manager's host: as another user, for a limited time, with
//! a limited output.
//!
//! A run is one process that leads a session of its own. It is started by way of a launcher ([`launch`]), which is this
//! very program under another argument: what has to happen between `fork` and `exec` needs no `unsafe` code there.

#![forbid(unsafe_code)]

pub mod account;
mod last_work;
pub mod launch;
mod masking;
mod output;
mod pack;
pub mod program;
mod removal;
mod room;
pub mod run;

pub use self::{
    account::Account,
    launch::Launcher,
    program::{Program, Unverified},
    run::{Run, Secret, run},
};

/// The variable that every process of a run carries in its environment: the id of the run.
pub const RUN_VARIABLE: &str = "TOMCAT_GRID_RUN";

/// Ends what a run has left behind whose runner ended before it did: kills its processes, and removes its directory.
/// `uid` is the user that it ran as. Blocks for moments.
pub fn clear_up(run: uuid::Uuid, uid: u32) {
    pack::Pack::left_behind(run, uid).kill();
    room::remove_left_behind(run);
}
