//! How agents come into the grid and onto their link: joining, greeting, reporting, renewing.

use std::sync::Arc;

use protocol::{
    PROTOCOL, PROTOCOL_OLDEST,
    join::{JoinRequest, JoinResponse, Refusal, RefusalCode},
    limits::{MAX_INSTANCES, clip},
    link::{Hello, Welcome},
    name::{MachineName, ServiceName},
    report::{InstanceReport, MachineFacts},
    time::Timestamp,
    token::JoinToken,
};
use rand::RngCore;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    App, AppError,
    links::{Close, Mailbox},
};
use crate::{
    grid::{
        audit::Deed,
        event::{Draft, Kind},
        fleet::{ConnectionNumber, LastLink, Named},
        naming,
        target::Target,
        view::ServiceView,
    },
    pki::authority::AgentKey,
    store::{
        StoreError,
        machines::{Hash, Join, Joined, Registration, no_such_token},
    },
};

/// Why an agent is not served.
#[derive(Debug)]
pub enum Turned {
    /// It is turned away.
    Away(Refusal),
    /// The manager is not able to now.
    Unable(AppError),
}

impl From<StoreError> for Turned {
    fn from(error: StoreError) -> Self {
        Turned::Unable(error.into())
    }
}

fn away<T>(code: RefusalCode, message: impl Into<String>) -> std::result::Result<T, Turned> {
    Err(Turned::Away(Refusal::new(code, message)))
}

/// An agent that waits for this answer has gone on; it may try again.
fn superseded<T>() -> std::result::Result<T, Turned> {
    away(RefusalCode::Unavailable, "the same agent has connected again")
}

/// SHA-256 of a secret.
pub fn hash_of(secret: &[u8]) -> Hash {
    Sha256::digest(secret).into()
}

impl App {
    /// Joins a machine. The same token with the same key gets the same answer again.
    pub async fn join(&self, request: JoinRequest, from: &str) -> std::result::Result<JoinResponse, Turned> {
        let token: JoinToken = match request.token.parse() {
            Ok(token) => token,
            Err(error) => return away(RefusalCode::TokenUnknown, error.to_string()),
        };
        if token.grid != self.meta.grid {
            return away(RefusalCode::OtherGrid, "this join token is for another grid");
        }
        // Strangers can send whatever they like: what no token covers costs a look, and nothing that members wait for.
        let Some(token_id) = self.store.join_token_id(&token.hash()).await? else {
            self.refusals.note_stranger();
            return Err(Turned::Away(no_such_token()));
        };
        let key = match AgentKey::from_request(&request.csr) {
            Ok(key) => key,
            Err(error) => return away(RefusalCode::BadRequest, format!("{error:#}")),
        };
        let mut facts = request.facts;
        facts.clip();
        let join = Join { token: token.hash(), key: key.hash(), machine: request.machine, facts, at: Timestamp::now() };
        fail::fail_point!("join_received", |_| std::process::abort());
        let deed = Deed::of_stranger(&format!("machine:{}", join.machine), from, "machine-join", join.machine.as_str())
            .detail(format!("with the join token {token_id}"));
        let draft = Draft { actor: None, ..Draft::new(Kind::MachineJoined).machine(&join.machine).deed(deed.clone()) };
        let joined = self
            .journal
            .record_with(draft, async |event| match self.journal.noting(self.store.join(&join, |_| event).await)? {
                Joined::New(machine) => Ok(machine),
                Joined::Again(machine) => Err(NotNew::Again(Box::new(machine))),
                Joined::Refused(refusal) => Err(NotNew::Refused(refusal)),
            })
            .await;
        fail::fail_point!("join_committed", |_| std::process::abort());
        let machine = match joined {
            Ok(machine) => {
                tracing::info!(machine = %machine.name, "joined");
                // Whoever is linked with the key that the machine had before is not that machine any more.
                self.links.close(machine.id, Close::Replaced);
                self.change(|fleet, now| fleet.joined(machine.clone(), now));
                machine
            }
            Err(NotNew::Again(machine)) => *machine,
            Err(NotNew::Refused(refusal)) => {
                if self.refusals.is_news(join.token) {
                    self.note_refusal(Some(&join.machine), &refusal).await;
                    self.record_deed(&deed.outcome("refused").detail(&refusal.message)).await;
                }
                return Err(Turned::Away(refusal));
            }
            Err(NotNew::Store(error)) => return Err(error.into()),
        };
        let certificate =
            self.authority.sign_agent(machine.id, &key).map_err(|error| Turned::Unable(AppError::Internal(error)))?;
        fail::fail_point!("join_signed", |_| std::process::abort());
        Ok(JoinResponse {
            grid: self.meta.grid,
            grid_name: self.meta.grid_name.clone(),
            agent: machine.id,
            machine: machine.name,
            certificate,
            authority: self.authority.pem().to_owned(),
        })
    }

    /// Finds the agent of a key, before its link is opened.
    pub async fn admit(&self, key: &Hash) -> std::result::Result<Registration, Turned> {
        let Some(registration) = self.store.registration(key).await? else {
            return away(
                RefusalCode::AgentUnknown,
                "this grid does not know the agent: its machine was removed. To join again, empty the agent's state \
                 directory and give it a new join token",
            );
        };
        if registration.revoked {
            let message = format!(
                "the agent of `{0}` was revoked. If it may return: `tomcat-grid machines remove {0}`, empty the agent's \
                 state directory, and give it a new join token",
                registration.machine
            );
            return away(RefusalCode::AgentRevoked, message);
        }
        Ok(registration)
    }

    /// Answers an agent's hello, and puts up what it told. Only who is welcome replaces an earlier connection of the
    /// same agent: a copy that is turned away must not disturb the original.
    pub async fn greet(
        &self,
        key: &Hash,
        mailbox: &Arc<Mailbox>,
        hello: Hello,
    ) -> std::result::Result<(Welcome, Registration), Turned> {
        let shown = hello.link_secret.as_deref().map(|secret| hash_of(secret.as_bytes()));
        // The hello may come long after the upgrade, and who it is may have been revoked, removed or linked meanwhile.
        let agent = self.admit(key).await?;
        self.check_hello(&agent, &hello, shown).await?;
        let Some(_turn) = self.links.turn(agent.id, mailbox.number).await else { return superseded() };
        // And again, after what came before it.
        let agent = self.admit(key).await?;
        self.check_hello(&agent, &hello, shown).await?;
        let mut facts = hello.facts;
        facts.clip();
        let instances = self.name_all(&agent, hello.instances).await?;
        let next = new_secret();
        let version = clip(&hello.agent_version);
        let greeted = self.store.greet(&agent, key, shown, hash_of(next.as_bytes()), &version, &facts).await;
        let link_secret = match (self.journal.noting(greeted), hello.link_secret) {
            (Ok(true), _) => next,
            (Ok(false), _) => return superseded(),
            // Without room for a new secret the old one stays good: what runs must be seen also when the disk is full.
            (Err(StoreError::DiskFull), Some(shown)) => shown,
            (Err(error), _) => return Err(error.into()),
        };
        let (mut member, mut entered) = (false, false);
        self.change(|fleet, now| {
            // Who was revoked or removed since the registration was read: whoever did it found no connection to close.
            member = fleet.machine(&agent.machine).is_ok_and(|machine| machine.revoked_at.is_none());
            entered = member && self.links.enter(agent.id, mailbox.clone());
            if !entered {
                return Vec::new();
            }
            self.remember(fleet, &agent, &instances, true, now);
            self.journal.remember_link(agent.id, LastLink::Linked { heard: now });
            fleet.connected(&agent.machine, mailbox.number, &version, facts, instances, now)
        });
        if !member {
            return away(RefusalCode::AgentRevoked, format!("the agent of `{}` was just turned out", agent.machine));
        }
        if !entered {
            return superseded();
        }
        self.hooks.look_at(&agent.machine);
        let welcome = Welcome {
            protocol: hello.protocol.min(PROTOCOL),
            grid: self.meta.grid,
            grid_name: self.meta.grid_name.clone(),
            machine: agent.machine.clone(),
            statement: self.statement.clone(),
            link_secret,
            now: Some(Timestamp::now()),
        };
        Ok((welcome, agent))
    }

    /// Checks that a hello is one of this grid, in words that both sides know, and of the original agent.
    async fn check_hello(
        &self,
        agent: &Registration,
        hello: &Hello,
        shown: Option<Hash>,
    ) -> std::result::Result<(), Turned> {
        if hello.grid != self.meta.grid {
            return away(RefusalCode::OtherGrid, "the agent belongs to another grid");
        }
        if hello.protocol_oldest > PROTOCOL || hello.protocol < PROTOCOL_OLDEST {
            let who = if hello.protocol_oldest > PROTOCOL { "manager" } else { "agent" };
            let message = format!(
                "the agent (version {}) speaks protocol {} to {}, this manager (version {}) {PROTOCOL_OLDEST} to {PROTOCOL}: \
                 upgrade the {who}",
                clip(&hello.agent_version),
                hello.protocol_oldest,
                hello.protocol,
                env!("CARGO_PKG_VERSION"),
            );
            let refusal = Refusal::new(RefusalCode::ProtocolUnsupported, message);
            self.note_refusal(Some(&agent.machine), &refusal).await;
            return Err(Turned::Away(refusal));
        }
        if !shows_a_living_secret(agent, shown) {
            let message = format!(
                "this is a copy of the agent of `{}`, which went on elsewhere. On the copied host empty the agent's state \
                 directory and give it a join token and a --name of its own; if this is the original, `tomcat-grid machines \
                 remove {0}` and join it again",
                agent.machine
            );
            let refusal = Refusal::new(RefusalCode::AgentCloned, message);
            self.note_refusal(Some(&agent.machine), &refusal).await;
            return Err(Turned::Away(refusal));
        }
        Ok(())
    }

    /// An agent tells of instances; `whole` if they are all it has.
    pub async fn report(
        &self,
        agent: &Registration,
        number: ConnectionNumber,
        reports: Vec<InstanceReport>,
        whole: bool,
    ) -> std::result::Result<(), Turned> {
        if !self.fleet().is_current(&agent.machine, number) {
            return Ok(());
        }
        // What one message may hold is what an agent may have.
        if !whole && self.bases_with(agent, &reports).len() > MAX_INSTANCES {
            return away(RefusalCode::BadRequest, format!("more than {MAX_INSTANCES} instances"));
        }
        let named = self.name_all(agent, reports).await?;
        self.change(|fleet, now| {
            if fleet.is_current(&agent.machine, number) {
                self.remember(fleet, agent, &named, whole, now);
            }
            if whole {
                return fleet.reported(&agent.machine, number, named, now);
            }
            named.into_iter().flat_map(|named| fleet.status(&agent.machine, number, named, now)).collect()
        });
        Ok(())
    }

    /// An agent's machine is different.
    pub fn facts(&self, agent: &Registration, number: ConnectionNumber, mut facts: MachineFacts) {
        facts.clip();
        self.change(|fleet, _| fleet.facts(&agent.machine, number, facts));
    }

    /// Signs a new certificate for an agent that is linked.
    pub fn renew(&self, agent: &Registration, key: &Hash, request: &str) -> std::result::Result<String, Turned> {
        let wanted = match AgentKey::from_request(request) {
            Ok(wanted) => wanted,
            Err(error) => return away(RefusalCode::BadRequest, format!("{error:#}")),
        };
        if wanted.hash() != *key {
            return away(RefusalCode::BadRequest, "a certificate is renewed for the registered key only");
        }
        self.authority.sign_agent(agent.id, &wanted).map_err(|error| Turned::Unable(AppError::Internal(error)))
    }

    async fn name_all(
        &self,
        agent: &Registration,
        reports: Vec<InstanceReport>,
    ) -> std::result::Result<Vec<Named>, Turned> {
        if reports.len() > MAX_INSTANCES {
            return away(RefusalCode::BadRequest, format!("more than {MAX_INSTANCES} instances"));
        }
        let mut named = Vec::with_capacity(reports.len());
        for report in &reports {
            if let Err(field) = report.check() {
                return away(RefusalCode::BadRequest, format!("the `{field}` of an instance is out of bounds"));
            }
            let wanted = report.declared_name.as_ref();
            let declared = wanted.filter(|name| !self.fleet().is_collection(name));
            let in_use = || self.bases_with(agent, &reports).into_iter().collect();
            let name = self.store.name_service(agent.id, &agent.machine, &report.base, declared, in_use).await;
            let name = match self.journal.noting(name) {
                // What runs must be seen also when there is no room for its name.
                Err(error @ StoreError::DiskFull) => {
                    self.name_for_now(agent, &report.base, declared, &named).ok_or(error)?
                }
                name => name?,
            };
            let note = wanted.filter(|wanted| **wanted != name).map(|wanted| {
                let whose = if self.fleet().is_collection(wanted) { "a collection's" } else { "another service's" };
                format!("the name `{wanted}` that the machine's file gives is {whose}; change it there")
            });
            named.push(Named { name, note, report: report.clone() });
        }
        Ok(named)
    }

    /// A name that is not stored: the one that is shown already, else one that no service shows.
    fn name_for_now(
        &self,
        agent: &Registration,
        base: &str,
        declared: Option<&ServiceName>,
        others: &[Named],
    ) -> Option<ServiceName> {
        let shown = self.fleet().services(&[Target::All]).unwrap_or_default();
        let own = |view: &&ServiceView| view.machine == agent.machine && view.catalina_base.as_deref() == Some(base);
        if let Some(view) = shown.iter().find(own) {
            return Some(view.name.clone());
        }
        let is_taken = |name: &ServiceName| {
            shown.iter().any(|view| view.name == *name) || others.iter().any(|other| other.name == *name)
        };
        naming::candidates(base, &agent.machine, declared).map(|choice| choice.name).find(|name| !is_taken(name))
    }

    /// Records that an agent was turned away for something that somebody must mend.
    pub async fn note_refusal(&self, machine: Option<&MachineName>, refusal: &Refusal) {
        let mut draft = Draft::new(Kind::MachineRefused)
            .data(serde_json::json!({"code": refusal.code, "message": refusal.message}));
        draft.machine = machine.cloned();
        tracing::warn!(
            machine = machine.map_or("?", MachineName::as_str),
            "an agent is turned away: {}",
            refusal.message
        );
        self.journal.tell(draft);
    }
}

/// Why a wish to join made no new member.
enum NotNew {
    Again(Box<crate::grid::fleet::KnownMachine>),
    Refused(Refusal),
    Store(StoreError),
}

impl From<StoreError> for NotNew {
    fn from(error: StoreError) -> Self {
        NotNew::Store(error)
    }
}

/// Whether an agent shows the secret it holds, or the one it was offered last. Each welcome hands out the next one,
/// so who shows an older one was copied before. The very first link shows none.
fn shows_a_living_secret(agent: &Registration, shown: Option<Hash>) -> bool {
    match (agent.secret, agent.next_secret, shown) {
        (None, None, _) => true,
        (secret, next, Some(shown)) => secret == Some(shown) || next == Some(shown),
        // It was offered its first secret, and ended before it had it on disk.
        (None, Some(_), None) => true,
        (Some(_), _, None) => false,
    }
}

fn new_secret() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
}

/// A random id, for people to read.
pub fn short_id() -> String {
    Uuid::new_v4().simple().to_string()[..10].to_owned()
}

#[cfg(test)]
mod tests;
