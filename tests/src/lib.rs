//! Support for the tests of the whole: real and fake Tomcats, managers, agents, and waiting for conditions.

pub mod agent;
pub mod axe;
pub mod browser;
pub mod dashboard;
pub mod fake;
pub mod figures;
pub mod fleet;
pub mod http;
pub mod https;
pub mod manager;
pub mod netns;
pub mod people;
pub mod processes;
pub mod programs;
pub mod raw_agent;
pub mod relay;
pub mod sqlite;
pub mod squatter;
pub mod stage;
pub mod storm;
pub mod strace;
pub mod systemd_lab;
pub mod tomcat;
pub mod users;
pub mod wait;
pub mod watcher;
