//! Support for the tests of the whole: real and fake Tomcats, managers, agents, and waiting for conditions.

pub mod fake;
pub mod processes;
pub mod tomcat;
pub mod wait;
