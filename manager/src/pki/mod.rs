//! The grid's certificate authority, the manager's certificates, and TLS with its two faces.

pub mod authority;
pub mod server_certificate;
pub mod tls;
