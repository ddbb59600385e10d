//! The messages of the link, JSON in WebSocket text frames: [`FromAgent`] up, [`ToAgent`] down.
//!
//! Fields are added over time and are ignored by who does not know them; a message whose `type` is not known is
//! answered `unsupported` and does not end the link.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    desired::{Desired, Programs},
    hook::{HookEnd, HookRun},
    join::Refusal,
    name::MachineName,
    report::{InstanceReport, MachineFacts},
    state::{Action, AgentAction},
    statement::Statement,
    time::Timestamp,
};

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromAgent {
    /// The first message.
    Hello(Box<Hello>),
    /// An instance changed, or is new.
    Status {
        /// Its full status.
        instance: Box<InstanceReport>,
    },
    /// An instance is no longer on the machine.
    Gone {
        /// The real path of its `CATALINA_BASE`.
        base: String,
    },
    /// Every instance, in answer to [`ToAgent::Report`].
    Instances {
        /// All of them.
        instances: Vec<InstanceReport>,
    },
    /// The facts of the machine changed.
    Facts {
        /// All of them.
        facts: Box<MachineFacts>,
    },
    /// What became of an order.
    Outcome {
        /// The order's id.
        order: Uuid,
        /// Its outcome.
        outcome: Outcome,
    },
    /// A hook wrote something, masked.
    HookOutput {
        /// The id of the run.
        run: Uuid,
        /// What it wrote.
        text: String,
    },
    /// A hook's run ended.
    HookDone {
        /// The id of the run.
        run: Uuid,
        /// How.
        end: HookEnd,
    },
    /// Which hook programs are there; told after each [`ToAgent::Desired`], and whenever that is different.
    Programs(Programs),
    /// The link secret of the welcome is on disk.
    SecretKept {},
    /// Asks for a new certificate.
    Renew {
        /// A certificate signing request of the registered key (PEM).
        csr: String,
    },
    /// A fingerprint of all reports, sent now and then: see [`crate::report::digest`].
    Digest {
        /// In hexadecimal.
        digest: String,
    },
    /// The agent ends; its Tomcats live on.
    Goodbye {
        /// Why.
        reason: String,
    },
    /// A message was not understood.
    Unsupported {
        /// Its `type`.
        message: String,
    },
}

/// What the manager says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    /// The answer to `hello`.
    Welcome(Box<Welcome>),
    /// The agent is turned away; the link ends.
    Refused(Refusal),
    /// Something to do.
    Order(Order),
    /// Something that the agent is to do with itself; answered by [`FromAgent::Outcome`].
    AgentOrder(AgentOrder),
    /// What the machine should have; sent after each welcome, and when it changes.
    Desired(Box<Desired>),
    /// A hook to run; answered by [`FromAgent::HookDone`].
    Hook(Box<HookRun>),
    /// Ends a run whose end nobody waits for any more.
    AbandonHook {
        /// The id of the run.
        run: Uuid,
    },
    /// Asks for every instance again.
    Report {},
    /// A new certificate.
    Certificate {
        /// The certificate (PEM).
        certificate: String,
    },
    /// A message was not understood.
    Unsupported {
        /// Its `type`.
        message: String,
    },
}

/// An agent's first message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The newest protocol version the agent speaks.
    pub protocol: u32,
    /// The oldest it still understands.
    pub protocol_oldest: u32,
    /// The version of the agent's program.
    pub agent_version: String,
    /// The grid it belongs to.
    pub grid: Uuid,
    /// The link secret that the last welcome handed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_secret: Option<String>,
    /// The statement of the highest epoch it has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest: Option<Statement>,
    /// What the machine is.
    #[serde(default)]
    pub facts: MachineFacts,
    /// The status of every instance.
    #[serde(default)]
    pub instances: Vec<InstanceReport>,
}

/// The manager's answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version that both will speak.
    pub protocol: u32,
    /// The grid's id.
    pub grid: Uuid,
    /// The grid's name.
    pub grid_name: String,
    /// The machine's name in the grid.
    pub machine: MachineName,
    /// Why the manager may be obeyed.
    pub statement: Statement,
    /// What to show in the next hello.
    pub link_secret: String,
    /// What the manager's clock shows, where it tells: the ids of orders are of that clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

/// Something to do, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// An order is carried out at most once by its id.
    pub id: Uuid,
    /// The instance, by the real path of its `CATALINA_BASE`.
    pub base: String,
    /// What to do.
    pub action: Action,
    /// How long the order is worth carrying out, in milliseconds from its receipt.
    pub ttl_ms: u64,
}

/// Something that an agent is to do with itself, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentOrder {
    /// An order is carried out at most once by its id.
    pub id: Uuid,
    /// What to do.
    pub action: AgentAction,
    /// How long the order is worth carrying out, in milliseconds from its receipt.
    pub ttl_ms: u64,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// The signal was delivered.
    Done {
        /// How.
        message: String,
    },
    /// There was no need.
    Ignored {
        /// Why.
        message: String,
    },
    /// The machine's own file or permissions forbid it.
    Refused {
        /// What, and what to do.
        message: String,
    },
    /// It could not be done.
    Failed {
        /// Why.
        message: String,
    },
    /// The order came too late to be worth it.
    Expired {},
    /// It was begun, and the agent ended before it could note how that went.
    Unknown {
        /// What is known.
        message: String,
    },
}

/// A message that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Of a later version: to be answered `unsupported`.
    #[error("messages of type `{0}` are not known")]
    UnknownType(String),
    /// Not a message at all: the link ends.
    #[error("{0}")]
    Malformed(String),
}

/// Reads one message.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, MessageError> {
    serde_json::from_str(text).map_err(|error| {
        #[derive(Deserialize)]
        struct Tagged {
            r#type: String,
        }
        match serde_json::from_str::<Tagged>(text) {
            // serde names the tag's value in this one error only; there is no structured form of it.
            Ok(tagged) if error.to_string().starts_with(&format!("unknown variant `{}`", tagged.r#type)) => {
                MessageError::UnknownType(tagged.r#type.chars().take(64).collect())
            }
            _ => MessageError::Malformed(error.to_string()),
        }
    })
}

/// Writes one message.
pub fn write<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).expect("messages are plain data with string keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_type_is_told_from_a_damaged_message() {
        for (text, error) in [
            (r#"{"type":"dance","to":"music"}"#, MessageError::UnknownType("dance".into())),
            (r#"{"type":"gone"}"#, MessageError::Malformed("missing field `base`".into())),
        ] {
            assert_eq!(parse::<FromAgent>(text).unwrap_err(), error);
        }
        for text in ["", "{", "[]", "null", r#"{"no":"type"}"#, r#"{"type":7}"#] {
            assert!(matches!(parse::<FromAgent>(text), Err(MessageError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let text = r#"{"type":"gone","base":"/srv/a","why":"moved"}"#;
        assert_eq!(parse::<FromAgent>(text), Ok(FromAgent::Gone { base: "/srv/a".into() }));
    }
}
