//! Operations on a manager without sockets.
