//! Join tokens: one string that brings an agent everything it needs to know its manager.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const PREFIX: &str = "tgj1.";
const LENGTH: usize = 16 + 32 + 32 + 4;

/// A join token: the grid, the fingerprint of its certificate authority, and a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The grid it joins.
    pub grid: Uuid,
    /// SHA-256 of the authority's certificate (DER).
    pub authority: [u8; 32],
    /// What the manager knows the token by; stored there only as a hash.
    pub secret: [u8; 32],
}

/// Why a text is no join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something else, such as an API token.
    #[error("this is not a join token (one begins with `{PREFIX}`; `tomcat-grid token create` prints one)")]
    NotAToken,
    /// Cut off or mistyped.
    #[error("this join token is damaged: copy it whole, it is one line without spaces")]
    Damaged,
}

impl JoinToken {
    /// The hash by which the manager finds the token.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(self.grid.as_bytes());
        bytes.extend_from_slice(&self.authority);
        bytes.extend_from_slice(&self.secret);
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum[..4]);
        bytes
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.bytes()))
    }
}

/// Shows the grid only: a token is a secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({})", self.grid)
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(TokenError::NotAToken)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Damaged)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| TokenError::Damaged)?;
        let (body, sum) = bytes.split_at(LENGTH - 4);
        if Sha256::digest(body)[..4] != *sum {
            return Err(TokenError::Damaged);
        }
        let part = |from: usize| body[from..from + 32].try_into().map_err(|_| TokenError::Damaged);
        let grid = Uuid::from_slice(&body[..16]).map_err(|_| TokenError::Damaged)?;
        Ok(Self { grid, authority: part(16)?, secret: part(48)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken { grid: Uuid::from_u128(7), authority: [1; 32], secret: [2; 32] }
    }

    #[test]
    fn a_token_survives_being_written_down() {
        let text = token().to_string();
        assert_eq!(text.parse::<JoinToken>(), Ok(token()));
        assert_eq!(format!(" {text}\n").parse::<JoinToken>(), Ok(token()));
    }

    #[test]
    fn every_damage_is_noticed() {
        let text = token().to_string();
        assert_eq!("".parse::<JoinToken>(), Err(TokenError::NotAToken));
        assert_eq!(text[..text.len() - 1].parse::<JoinToken>(), Err(TokenError::Damaged));
        for at in PREFIX.len()..text.len() - 1 {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(damaged.parse::<JoinToken>().is_err(), "at {at}");
        }
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        assert!(!format!("{:?}", token()).contains('2'));
    }
}
