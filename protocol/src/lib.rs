//! The words that manager and agent share: names, states, join tokens and the messages of their link.
//!
//! No I/O and no rules of either side: only types, their limits and how they are written down.

pub mod desired;
pub mod health;
pub mod hook;
pub mod join;
pub mod limits;
pub mod link;
pub mod name;
pub mod report;
pub mod secret;
pub mod state;
pub mod statement;
pub mod time;
pub mod token;

/// The newest version of the link's messages that this build speaks.
pub const PROTOCOL: u32 = 1;

/// The oldest version of the link's messages that this build still understands.
pub const PROTOCOL_OLDEST: u32 = 1;

/// The name that agents give in the TLS ClientHello and check the manager's certificate against, whatever host they
/// dial: addresses may change, the grid does not.
pub fn tls_name(grid: uuid::Uuid) -> String {
    format!("{grid}.{TLS_NAME_SUFFIX}")
}

/// What every [`tls_name`] ends with; the manager tells agents from browsers by it.
pub const TLS_NAME_SUFFIX: &str = "tomcat-grid.internal";
