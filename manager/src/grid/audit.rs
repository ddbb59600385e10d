//! The audit: who did what, from where, on what, and what came of it; and what was refused.
//!
//! Records are chained: the hash of each is SHA-256 over the hash before it (32 bytes, zeros for the first) and the
//! record as a JSON array `[seq, at_ms, actor, credential, from, action, subject, outcome, detail]` without blanks.

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::access::Caller;

/// A link of the chain.
pub type Link = [u8; 32];

/// What the chain begins with.
pub const BEGINNING: Link = [0; 32];

/// The longest text of a field, in characters; longer ones are cut.
const LONGEST: usize = 1000;

/// Something that somebody did, or wanted to do, before it has its place in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Who: a user of the grid or of the manager's host, an API token's id, a machine.
    pub actor: String,
    /// By what the actor was recognised: `socket`, `token`, `session`; empty where it was not.
    pub credential: String,
    /// From where: an address, or the Unix socket.
    pub from: String,
    /// What, as a stable word such as `trigger-stop`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// What came of it, as a stable word such as `done` or `refused`.
    pub outcome: String,
    /// More in words.
    pub detail: String,
}

impl Deed {
    /// A deed of a caller that is done, unless another outcome is given.
    pub fn of(caller: &Caller, action: &str, subject: impl Into<String>) -> Self {
        Self {
            actor: clip(&caller.name),
            credential: caller.credential.as_str().to_owned(),
            from: clip(&caller.from),
            action: action.to_owned(),
            subject: clip(&subject.into()),
            outcome: "done".to_owned(),
            // A token that is nobody's is in the name.
            detail: caller.token.as_ref().filter(|_| caller.user().is_some()).map(by_token).unwrap_or_default(),
        }
    }

    /// A deed of somebody who is not recognised, or not yet.
    pub fn of_stranger(actor: &str, from: &str, action: &str, subject: impl Into<String>) -> Self {
        Self {
            actor: clip(actor),
            credential: String::new(),
            from: clip(from),
            action: action.to_owned(),
            subject: clip(&subject.into()),
            outcome: "done".to_owned(),
            detail: String::new(),
        }
    }

    /// With an outcome.
    pub fn outcome(mut self, outcome: &str) -> Self {
        self.outcome = outcome.to_owned();
        self
    }

    /// With more in words.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        let more = detail.into();
        self.detail = if self.detail.is_empty() { clip(&more) } else { clip(&format!("{}; {more}", self.detail)) };
        self
    }

    /// Its link of the chain, after the one before it.
    pub fn link(&self, before: &Link, seq: u64, at: Timestamp) -> Link {
        let record = (
            seq,
            at.as_millis(),
            &self.actor,
            &self.credential,
            &self.from,
            &self.action,
            &self.subject,
            &self.outcome,
            &self.detail,
        );
        let json = serde_json::to_vec(&record).expect("numbers and texts can always be written");
        Sha256::new().chain_update(before).chain_update(json).finalize().into()
    }
}

fn by_token(id: &String) -> String {
    format!("with the token {id}")
}

/// What a deed is on, as one text: the names, as many as have room, and how many more there are.
pub fn in_one_line(names: impl Iterator<Item = String>) -> String {
    // Room for the last words.
    const ROOM: usize = LONGEST - 40;
    let (mut text, mut length, mut left_out) = (String::new(), 0, 0);
    for name in names {
        length += name.chars().count() + 2;
        if left_out > 0 || length > ROOM {
            left_out += 1;
            continue;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&name);
    }
    match left_out {
        0 => text,
        more if text.is_empty() => format!("{more} names"),
        more => format!("{text}, … and {more} more"),
    }
}

/// Cuts what is longer than a field may be.
fn clip(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// A record of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditRecord {
    /// Its place; there are no gaps.
    pub seq: u64,
    /// When.
    #[schema(value_type = super::schema::Timestamp)]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// By what the actor was recognised; nothing where it was not.
    pub credential: Option<String>,
    /// From where.
    pub from: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// What came of it.
    pub outcome: String,
    /// More in words.
    pub detail: String,
    /// Its link of the chain, in hexadecimal.
    pub hash: String,
}

/// Which records are wanted; each field that is set must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Who.
    pub actor: Option<String>,
    /// What.
    pub action: Option<String>,
    /// What came of it.
    pub outcome: Option<String>,
    /// On what: the whole subject, or one of those that it names.
    pub subject: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed() -> Deed {
        let text = |text: &str| text.to_owned();
        Deed {
            actor: text("alice"),
            credential: text("session"),
            from: text("10.0.0.7"),
            action: text("trigger-stop"),
            subject: text("a@web-1"),
            outcome: text("done"),
            detail: String::new(),
        }
    }

    #[test]
    fn a_deed_of_a_token_names_its_owner_and_the_token() {
        use super::super::access::Credential;
        let socket = Caller::at_socket("alice".to_owned(), None);
        let caller = Caller { credential: Credential::Token, token: Some("ab12".to_owned()), ..socket.clone() };
        let deed = Deed::of(&caller, "trigger-stop", "a@web-1").detail("it is stopped");
        assert_eq!((deed.actor.as_str(), deed.credential.as_str()), ("alice", "token"));
        assert_eq!(deed.detail, "with the token ab12; it is stopped");
        let nobodys = Caller { name: "token:ab12".to_owned(), ..caller };
        assert_eq!(Deed::of(&nobodys, "trigger-stop", "a@web-1").detail, "");
        assert_eq!(Deed::of(&socket, "trigger-stop", "a@web-1").detail, "");
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let names = |count: usize| (0..count).map(|n| format!("service-{n:04}@web-{n:04}"));
        assert_eq!(in_one_line(names(2)), "service-0000@web-0000, service-0001@web-0001");
        let many = in_one_line(names(1000));
        assert_eq!(clip(&many), many);
        let (shown, more) = many.rsplit_once(", … and ").unwrap();
        assert_eq!(more, format!("{} more", 1000 - shown.split(", ").count()));
        assert_eq!(in_one_line([].into_iter()), "");
    }

    #[test]
    fn every_field_counts() {
        let at = Timestamp::from_millis(1);
        let link = deed().link(&BEGINNING, 1, at);
        type Change = fn(&mut Deed);
        let changes: [Change; 7] = [
            |deed| deed.actor.push('x'),
            |deed| deed.credential.push('x'),
            |deed| deed.from.push('x'),
            |deed| deed.action.push('x'),
            |deed| deed.subject.push('x'),
            |deed| deed.outcome.push('x'),
            |deed| deed.detail.push('x'),
        ];
        for change in changes {
            let mut other = deed();
            change(&mut other);
            assert_ne!(other.link(&BEGINNING, 1, at), link, "{other:?}");
        }
        assert_ne!(deed().link(&[1; 32], 1, at), link);
        assert_ne!(deed().link(&BEGINNING, 2, at), link);
        assert_ne!(deed().link(&BEGINNING, 1, Timestamp::from_millis(2)), link);
    }
}
