//! Who may do what: the one place where roles are checked.

use std::{fmt, str::FromStr};

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{target::Target, view::ServiceView};

/// What somebody is allowed to do; each role may what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum, utoipa::ToSchema,
)]
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
    /// Trigger services, and have operations on them carried out.
    Trigger,
    /// See the configuration, hooks and schedules.
    ReadConfig,
    /// Change the configuration and the hook programs.
    Configure,
    /// Remove and revoke machines.
    ManageMachines,
    /// Make join tokens; see and revoke all tokens.
    ManageTokens,
    /// Make API tokens for oneself, see and revoke them, change one's own password.
    ManageOneself,
    /// Add, change and remove users.
    ManageUsers,
    /// Tag machines and services.
    Tag,
    /// See the audit.
    ReadAudit,
    /// See what concerns the manager as a whole, such as its figures.
    ReadFigures,
}

impl Permission {
    /// The least role that has it.
    pub fn needs(self) -> Role {
        match self {
            Permission::Read | Permission::ManageOneself | Permission::ReadFigures | Permission::ReadConfig => {
                Role::Viewer
            }
            Permission::Trigger | Permission::Tag => Role::Operator,
            Permission::Configure
            | Permission::ManageMachines
            | Permission::ManageTokens
            | Permission::ManageUsers
            | Permission::ReadAudit => Role::Admin,
        }
    }

    /// Whether somebody who is limited to some targets can have it.
    pub fn is_of_services(self) -> bool {
        matches!(self, Permission::Read | Permission::Trigger)
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name, for the record: a user of the grid, a user of the manager's host, or `token:ID` for an API token that
    /// is nobody's.
    pub name: String,
    /// The role; `None` for somebody who is known and may do nothing.
    pub role: Option<Role>,
    /// By what the caller was recognised.
    pub credential: Credential,
    /// From where: an address, or the Unix socket.
    pub from: String,
    /// The only targets that the caller sees and acts on; everything without it.
    pub targets: Option<Vec<Target>>,
    /// The id of the API token that is shown.
    pub token: Option<String>,
    /// When the session or the token ends.
    pub expires_at: Option<Timestamp>,
}

/// From where the users of the manager's host call.
pub const SOCKET: &str = "the Unix socket";

/// The name of an API token that is nobody's. No user can be called so.
pub fn nobodys(token: &str) -> String {
    format!("token:{token}")
}

/// By what a caller is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Credential {
    /// The peer of the Unix socket.
    Socket,
    /// An API token.
    Token,
    /// A browser's session.
    Session,
    /// None: the clock gives the command, as the configuration says.
    Schedule,
}

impl Credential {
    /// The credential as JSON and tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Credential::Socket => "socket",
            Credential::Token => "token",
            Credential::Session => "session",
            Credential::Schedule => "schedule",
        }
    }
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The role is too low.
    #[error("{caller} has the role {has} and this needs the role {needs}", has = .has.map_or("none", Role::as_str))]
    Role {
        /// Who asked.
        caller: String,
        /// The caller's role.
        has: Option<Role>,
        /// The role it takes.
        needs: Role,
    },
    /// It is outside of the caller's targets.
    #[error("{caller} is limited to {targets}, and {what} is outside of that")]
    Outside {
        /// Who asked.
        caller: String,
        /// The caller's targets.
        targets: String,
        /// What was asked for.
        what: String,
    },
    /// It is for users of the grid who logged in with their password.
    #[error("{caller} did not log in with a password, and this is for users who did")]
    NoSession {
        /// Who asked.
        caller: String,
    },
    /// It is for users of the grid.
    #[error("{caller} is no user of the grid, and this is for users; an admin may do it without one")]
    NoUser {
        /// Who asked.
        caller: String,
    },
    /// It would outlive the token that it is done with.
    #[error("{caller} came with an API token, and this is for those who log in, or call on the manager's host")]
    ByToken {
        /// Who asked.
        caller: String,
    },
    /// The API token is not good any more.
    #[error("the API token {token} of {caller} was revoked, or has expired")]
    Ended {
        /// Whose it was.
        caller: String,
        /// Its id.
        token: String,
    },
    /// Another site made the caller's browser do it.
    #[error("a page of another site made the browser of {caller} ask for this")]
    CrossSite {
        /// Whose browser it is.
        caller: String,
    },
    /// It is about oneself, and takes the old password.
    #[error("{caller} changes the own password with the old one: log in on the dashboard, or call PUT /me/password")]
    OwnPassword {
        /// Who asked.
        caller: String,
    },
}

impl Caller {
    /// A user of the manager's host.
    pub fn at_socket(name: String, role: Option<Role>) -> Self {
        let from = SOCKET.to_owned();
        Self { name, role, credential: Credential::Socket, from, targets: None, token: None, expires_at: None }
    }

    /// The user of the grid who calls: in person, or by a token of theirs. A user of the manager's host is none, even
    /// if there is one of the same name.
    pub fn user(&self) -> Option<&str> {
        match (self.credential, &self.token) {
            (Credential::Session, _) => Some(&self.name),
            (Credential::Token, Some(id)) => Some(self.name.as_str()).filter(|name| *name != nobodys(id)),
            _ => None,
        }
    }

    /// Checks that the caller has a role.
    pub fn has(&self, needs: Role) -> Result<(), NotAllowed> {
        if self.role < Some(needs) {
            return Err(NotAllowed::Role { caller: self.name.clone(), has: self.role, needs });
        }
        Ok(())
    }

    /// Checks that the caller does not come with an API token, what is done with which outlives it.
    pub fn without_token(&self) -> Result<(), NotAllowed> {
        match self.credential {
            Credential::Token => Err(NotAllowed::ByToken { caller: self.name.clone() }),
            Credential::Socket | Credential::Session | Credential::Schedule => Ok(()),
        }
    }

    /// Checks that the caller may do something.
    pub fn may(&self, permission: Permission) -> Result<(), NotAllowed> {
        self.has(permission.needs())?;
        if self.targets.is_some() && !permission.is_of_services() {
            return Err(self.outside("what is about more than services"));
        }
        Ok(())
    }

    /// The refusal of something that is outside of the caller's targets.
    pub fn outside(&self, what: impl Into<String>) -> NotAllowed {
        let targets: Vec<String> = self.targets.iter().flatten().map(ToString::to_string).collect();
        NotAllowed::Outside { caller: self.name.clone(), targets: targets.join(", "), what: what.into() }
    }

    /// Whether which services the caller may see and act on depends on their tags.
    pub fn is_limited_by_tags(&self) -> bool {
        self.targets.iter().flatten().any(|target| matches!(target, Target::Tag(_)))
    }

    /// Whether which services the caller may see and act on may depend on what a collection holds.
    pub fn is_limited_by_names(&self) -> bool {
        self.targets.iter().flatten().any(|target| matches!(target, Target::Service(_)))
    }

    /// Whether a service is among those that the caller may see and act on.
    pub fn covers(&self, service: &ServiceView) -> bool {
        self.targets.as_ref().is_none_or(|targets| targets.iter().any(|target| target.covers(service)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_permissions() {
        use Permission::{
            Configure, ManageMachines, ManageOneself, ManageTokens, ManageUsers, Read, ReadAudit, ReadConfig,
            ReadFigures, Tag, Trigger,
        };
        let viewers = [Read, ReadFigures, ReadConfig, ManageOneself];
        let operators = [Trigger, Tag];
        let admins = [Configure, ManageMachines, ManageTokens, ManageUsers, ReadAudit];
        let all = [&viewers[..], &operators, &admins].concat();
        for (role, allowed) in [
            (None, &[][..]),
            (Some(Role::Viewer), &all[..4]),
            (Some(Role::Operator), &all[..6]),
            (Some(Role::Admin), &all),
        ] {
            let free = caller(role);
            let limited = Caller { targets: Some(vec![Target::All]), ..free.clone() };
            for &permission in &all {
                let may = allowed.contains(&permission);
                assert_eq!(free.may(permission).is_ok(), may, "{role:?} {permission:?}");
                let of_services = matches!(permission, Read | Trigger);
                assert_eq!(limited.may(permission).is_ok(), may && of_services, "limited {role:?} {permission:?}");
            }
        }
    }

    fn caller(role: Option<Role>) -> Caller {
        Caller::at_socket("bob".to_owned(), role)
    }

    #[test]
    fn only_users_of_the_grid_are_users() {
        let shown = |name: &str, credential, token: Option<&str>| {
            let token = token.map(str::to_owned);
            Caller { credential, token, ..Caller::at_socket(name.to_owned(), None) }.user().map(str::to_owned)
        };
        assert_eq!(shown("bob", Credential::Session, None).as_deref(), Some("bob"));
        assert_eq!(shown("bob", Credential::Token, Some("1")).as_deref(), Some("bob"));
        assert_eq!(shown("token:1", Credential::Token, Some("1")), None);
        assert_eq!(shown("bob", Credential::Socket, None), None);
    }

    #[test]
    fn a_refusal_says_what_it_takes() {
        let refusal = caller(None).may(Permission::Trigger).unwrap_err().to_string();
        assert_eq!(refusal, "bob has the role none and this needs the role operator");
    }
}
