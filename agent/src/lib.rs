//! The agent of one machine: finds its Tomcat instances, follows them, carries out orders, and reports every change
//! over a link that it dials itself.
//!
//! Imports go one way: `link` → `supervisor` → `instance` → `tomcat`, `os`; news goes up by channel.

pub mod config;
pub mod desired;
pub mod hooks;
pub mod identity;
pub mod instance;
pub mod launch;
pub mod link;
pub mod os;
pub mod own_orders;
pub mod run;
pub mod state_dir;
pub mod supervisor;
pub mod tomcat;
