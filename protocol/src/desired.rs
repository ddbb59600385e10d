//! What a machine should have, whoever asks for it or not: reconciled at each hello, and told anew when it changes.

use serde::{Deserialize, Serialize};

use crate::health::Health;

/// The whole of it, never a difference. An agent keeps the latest on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// What is set for its instances.
    #[serde(default)]
    pub instances: Vec<InstanceSettings>,
    /// The hook programs that may run there. Others are removed.
    #[serde(default)]
    pub programs: Vec<Program>,
}

/// What is set for an instance. What the machine's own file sets for it goes before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSettings {
    /// The real path of its base.
    pub base: String,
    /// How its health is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// How long its start may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_ms: Option<u64>,
}

/// A hook program, fetched by `GET /agent/v1/blobs/HASH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Program {
    /// SHA-256 in hexadecimal.
    pub hash: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is called.
    pub name: String,
}

/// Which programs a machine has, out of those it should have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// Those that are there and verified, by their hashes.
    #[serde(default)]
    pub ready: Vec<String>,
    /// Those that are not, and why.
    #[serde(default)]
    pub missing: Vec<MissingProgram>,
    /// The names of the machine's secrets, and nothing else of them; nothing if they are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<ToldSecret>>,
}

/// The most secrets of a machine that are told.
pub const MAX_SECRETS: usize = 256;

/// A secret of a machine, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldSecret {
    /// Its name.
    pub name: String,
    /// Why hooks cannot get it, in words; nothing if they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A program that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingProgram {
    /// Its hash.
    pub hash: String,
    /// Why, in words.
    pub why: String,
}
