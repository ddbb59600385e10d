//! The rules of the grid: plain, synchronous, without I/O.

pub mod access;
pub mod audit;
pub mod chain;
pub mod command;
pub mod config;
pub mod event;
pub mod explain;
pub mod fleet;
pub mod hooks;
pub mod naming;
pub mod operation;
pub mod page;
pub mod repeats;
pub mod schedule;
pub mod schema;
pub mod search;
pub mod tags;
pub mod target;
pub mod throttle;
pub mod user;
pub mod view;
