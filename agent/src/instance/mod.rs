//! One Tomcat instance: the rules of its states, what is remembered of it, and the one task that moves it.

pub mod asking;
pub mod endpoint;
pub mod exit;
pub mod following;
pub mod memory;
pub mod orders;
pub mod rules;
pub mod starting;
pub mod task;
