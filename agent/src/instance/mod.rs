//! One Tomcat instance: the rules of its states, what is remembered of it, and the one task that moves it.

pub mod asking;
pub mod doubts;
pub mod endpoint;
pub mod exit;
pub mod following;
pub mod memory;
pub mod orders;
pub mod reporting;
pub mod resolving;
pub mod rules;
pub mod starting;
pub mod task;
