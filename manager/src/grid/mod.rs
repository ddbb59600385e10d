//! The rules of the grid: plain, synchronous, without I/O.

pub mod access;
pub mod event;
pub mod fleet;
pub mod naming;
pub mod target;
pub mod view;
