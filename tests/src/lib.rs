//! Support for the tests of the whole: real and fake Tomcats, managers, agents, and waiting for conditions.

pub mod agent;
pub mod browser;
pub mod fake;
pub mod http;
pub mod https;
pub mod manager;
pub mod netns;
pub mod processes;
pub mod programs;
pub mod raw_agent;
pub mod sqlite;
pub mod squatter;
pub mod storm;
pub mod strace;
pub mod systemd_lab;
pub mod tomcat;
pub mod users;
pub mod wait;
pub mod watcher;
