//! The manager of a grid, and its command line.
//!
//! `http` and `cli` talk to the outside; `app` holds the use cases; `grid` the rules, without I/O; `store` all SQL.
//! Nothing imports `http` or `cli` but `main` and [`serve`].

pub mod app;
pub mod blobs;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod grid;
pub mod http;
pub mod pki;
pub mod serve;
pub mod store;
