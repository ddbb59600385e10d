//! The way to the manager: dialling, joining, and the one connection over which everything else goes.

pub mod backoff;
pub mod blobs;
pub mod budget;
pub mod dial;
pub mod join;
pub mod keeper;
pub mod programs;
pub mod session;
pub mod tls;
