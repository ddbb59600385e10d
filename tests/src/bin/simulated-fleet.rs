//! Connects a simulated fleet to a running manager, for looking at the page and for screenshots. Ctrl-C ends it.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it is a program of the terminal")]

use std::path::PathBuf;

use clap::Parser;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use tests::fleet::{Fleet, Plan};

/// Connects a simulated fleet to a running manager, until it is ended with Ctrl-C.
#[derive(Parser)]
struct Arguments {
    /// The manager's socket.
    #[arg(long)]
    socket: PathBuf,
    /// The manager's URL; what `ready.json` beside the socket says without it.
    #[arg(long)]
    manager: Option<String>,
    /// How many machines.
    #[arg(long, default_value_t = 100)]
    machines: usize,
    /// How many instances on each machine.
    #[arg(long, default_value_t = 10)]
    instances: usize,
    /// How many changes a second; none without it.
    #[arg(long, default_value_t = 0)]
    storm: u32,
    /// How many of the machines are not there.
    #[arg(long, default_value_t = 0)]
    away: usize,
    /// All instances are active and obey; without it states and manners are a mix.
    #[arg(long)]
    well: bool,
}

fn main() {
    let mut signals = Signals::new([SIGINT, SIGTERM]).expect("register for signals");
    let Arguments { socket, manager, machines, instances, storm, away, well } = Arguments::parse();
    let plan = Plan { url: manager, mixed: !well, ..Plan::new(&socket, machines, instances) };
    let fleet = Fleet::start(&plan);
    // The last ones, so that the first page shows others.
    (0..away.min(machines)).for_each(|at| fleet.away(machines - 1 - at));
    fleet.storm(storm);
    println!("{machines} machines with {} instances are linked; Ctrl-C ends them", fleet.size());
    let _signal = signals.forever().next();
}
