//! `POST /agent/v1/join`: an agent's first call, and the refusals of every agent's call.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{name::MachineName, report::MachineFacts};

/// What an agent sends to join.
#[derive(Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The join token, as text.
    pub token: String,
    /// A certificate signing request (PEM, PKCS #10), which proves that the agent holds its key.
    pub csr: String,
    /// The name the machine would have.
    pub machine: MachineName,
    /// What the machine is.
    pub facts: MachineFacts,
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinResponse {
    /// The grid's id.
    pub grid: Uuid,
    /// The grid's name.
    pub grid_name: String,
    /// The agent's id.
    pub agent: Uuid,
    /// The machine's name.
    pub machine: MachineName,
    /// The agent's certificate (PEM).
    pub certificate: String,
    /// The grid's certificate authority (PEM).
    pub authority: String,
}

/// Why an agent is turned away, as a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// No such token in this grid.
    TokenUnknown,
    /// The token's time is up.
    TokenExpired,
    /// Every use of the token is taken.
    TokenUsedUp,
    /// An operator withdrew the token.
    TokenRevoked,
    /// The token was made for another machine name.
    TokenOtherMachine,
    /// A machine of that name is registered with another key.
    MachineNameTaken,
    /// The request could not be read.
    BadRequest,
    /// No certificate, or one of a key that is not registered: the machine was removed, or never joined.
    AgentUnknown,
    /// An operator revoked the agent.
    AgentRevoked,
    /// The link secret is an old one: this is a copy of an agent that went on elsewhere.
    AgentCloned,
    /// The two sides have no version of the protocol in common.
    ProtocolUnsupported,
    /// The agent belongs to another grid.
    OtherGrid,
    /// The manager cannot store it now.
    Unavailable,
    /// A code of a later version.
    #[serde(other)]
    Unknown,
}

impl RefusalCode {
    /// Whether trying again may help without anybody doing anything.
    pub fn may_pass(self) -> bool {
        matches!(self, RefusalCode::Unavailable)
    }
}

/// A refusal, as the body of an HTTP answer or as a message on the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why, as a stable word.
    pub code: RefusalCode,
    /// Why, and what to do.
    #[serde(rename = "detail")]
    pub message: String,
}

impl Refusal {
    /// A refusal with its words.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_later_version_is_understood_as_unknown() {
        let refusal: Refusal = serde_json::from_str(r#"{"code":"moon_phase","detail":"wait"}"#).unwrap();
        assert_eq!(refusal.code, RefusalCode::Unknown);
        assert!(!refusal.code.may_pass());
    }
}
