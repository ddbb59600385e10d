//! What the agent knows about Tomcat: its command line, its files, how to ask it and how to start it.

pub mod command_line;
pub mod installation;
pub mod mark;
pub mod probe;
pub mod server_xml;
pub mod start;
