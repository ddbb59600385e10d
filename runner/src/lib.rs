//! Runs a hook program, the same way on a machine and on the manager's host: as another user, for a limited time, with
//! a limited output.
