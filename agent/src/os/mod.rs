//! What the agent asks of Linux: processes, sockets, users, systemd, files. No rules of the grid.

pub mod beat;
pub mod children;
pub mod clock;
pub mod files;
pub mod process;
pub mod sockets;
pub mod sweep;
pub mod systemd;
pub mod users;
