//! Who may do what: the one place where roles are checked.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What somebody is allowed to do; each role may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks, and does nothing.
    Viewer,
    /// Acts on services.
    Operator,
    /// Says who belongs to the grid, and who may act.
    Admin,
}

impl Role {
    /// The role as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "viewer" => Ok(Role::Viewer),
            "operator" => Ok(Role::Operator),
            "admin" => Ok(Role::Admin),
            _ => Err(format!("`{text}` is no role: viewer, operator or admin")),
        }
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// See status and events.
    Read,
    /// Trigger services.
    Trigger,
    /// Remove and revoke machines.
    ManageMachines,
    /// Make, list and revoke tokens.
    ManageTokens,
}

impl Permission {
    /// The least role that has it.
    pub fn needs(self) -> Role {
        match self {
            Permission::Read => Role::Viewer,
            Permission::Trigger => Role::Operator,
            Permission::ManageMachines | Permission::ManageTokens => Role::Admin,
        }
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name, for the record: a user of the grid, a user of the manager's host, or an API token's id.
    pub name: String,
    /// The role; `None` for somebody who is known and may do nothing.
    pub role: Option<Role>,
    /// By what the caller was recognised.
    pub credential: Credential,
}

/// By what a caller is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// The peer of the Unix socket.
    Socket,
    /// An API token.
    Token,
    /// A browser's session.
    Session,
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{caller} has the role {has} and this needs the role {needs}", has = .has.map_or("none", Role::as_str))]
pub struct NotAllowed {
    /// Who asked.
    pub caller: String,
    /// The caller's role.
    pub has: Option<Role>,
    /// The role it takes.
    pub needs: Role,
}

impl Caller {
    /// Checks that the caller may do something.
    pub fn may(&self, permission: Permission) -> Result<(), NotAllowed> {
        if self.role >= Some(permission.needs()) {
            return Ok(());
        }
        Err(NotAllowed { caller: self.name.clone(), has: self.role, needs: permission.needs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_permissions() {
        use Permission::{ManageMachines, ManageTokens, Read, Trigger};
        for (role, allowed) in [
            (None, &[][..]),
            (Some(Role::Viewer), &[Read][..]),
            (Some(Role::Operator), &[Read, Trigger][..]),
            (Some(Role::Admin), &[Read, Trigger, ManageMachines, ManageTokens][..]),
        ] {
            let caller = Caller { name: "me".to_owned(), role, credential: Credential::Socket };
            for permission in [Read, Trigger, ManageMachines, ManageTokens] {
                assert_eq!(caller.may(permission).is_ok(), allowed.contains(&permission), "{role:?} {permission:?}");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_it_takes() {
        let caller = Caller { name: "bob".to_owned(), role: None, credential: Credential::Socket };
        let refusal = caller.may(Permission::Trigger).unwrap_err().to_string();
        assert_eq!(refusal, "bob has the role none and this needs the role operator");
    }
}
