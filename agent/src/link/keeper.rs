//! Keeps the agent linked: joins once, and from then on dials again whenever the link ends.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use protocol::{
    join::{JoinResponse, Refusal},
    name::MachineName,
    token::JoinToken,
};
use rcgen::KeyPair;
use tokio::time::Instant;

use super::{
    backoff::{self, Backoff},
    dial::Route,
    join::{self, Failure},
    session::{End, Parts, Session},
};
use crate::{
    config::{self, Settings, TokenSource},
    state_dir::StateDir,
    supervisor::facts,
};

/// Why an agent ends that could go on dialling.
const UNSUPERVISED: &str = "the supervisor of the instances has failed: the agent ends, and must be started again";

/// The routes to the managers, tried in turn.
pub struct Routes {
    routes: Vec<Route>,
    next: usize,
}

impl Routes {
    /// Reads the managers' addresses.
    pub fn of(settings: &Settings) -> Result<Self> {
        let proxy = settings.proxy.as_ref();
        let routes = settings.managers.iter().map(|url| Route::parse(url, proxy)).collect::<Result<Vec<_>>>()?;
        Ok(Self { routes, next: 0 })
    }

    fn take(&mut self) -> Route {
        let route = self.routes[self.next % self.routes.len()].clone();
        self.next += 1;
        route
    }

    /// Stays with the manager that was reached last.
    fn stay(&mut self) {
        self.next = self.next.saturating_sub(1);
    }
}

/// Returns what the agent is a member of; joins first where it is no member yet, and keeps trying until it may.
///
/// `None` if it was told to end meanwhile. An error means that no trying helps.
pub async fn join(
    settings: &Settings,
    state: &StateDir,
    key: &KeyPair,
    routes: &mut Routes,
    shutdown: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Option<JoinResponse>> {
    let known = state.membership()?;
    let token = read_token(&settings.token, known.is_some())?;
    if let Some(membership) = known {
        if let Some(token) = token.filter(|token| token.grid != membership.grid) {
            bail!(
                "this agent belongs to the grid `{}` ({}), the token is for another ({}): an agent obeys one grid; \
                 give a second agent a state directory of its own with --state",
                membership.grid_name,
                membership.grid,
                token.grid
            );
        }
        return Ok(Some(membership));
    }
    let token = token.context(
        "this agent has not joined yet, and has no token: `tomcat-grid token create` on the manager prints one; \
         give it with --token-file or TOMCAT_GRID_AGENT_TOKEN",
    )?;
    let machine = machine_name(settings)?;
    let mut backoff = Backoff::default();
    loop {
        let route = routes.take();
        let request = join::request(&token, key, machine.clone(), facts::gather(&settings.allow, vec![]))?;
        fail::fail_point!("join_asking", |_| std::process::abort());
        let attempt = tokio::select! {
            biased;
            () = &mut *shutdown => return Ok(None),
            attempt = join::try_join(&route, &token, &request) => attempt,
        };
        let wait = match attempt {
            Ok(membership) => {
                fail::fail_point!("join_answered", |_| std::process::abort());
                state.store_membership(&membership)?;
                fail::fail_point!("join_stored", |_| std::process::abort());
                tracing::info!(grid = %membership.grid_name, machine = %membership.machine, "joined the grid");
                return Ok(Some(membership));
            }
            Err(failure) => wait_after(&failure, &mut backoff),
        };
        tokio::select! {
            () = &mut *shutdown => return Ok(None),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn read_token(source: &TokenSource, is_member: bool) -> Result<Option<JoinToken>> {
    let text = match source {
        TokenSource::None => return Ok(None),
        TokenSource::Value(text) => text.clone(),
        TokenSource::File(path) => match config::read_secret(path) {
            Ok(text) => text,
            // Who has joined may remove the token's file.
            Err(_) if is_member => return Ok(None),
            Err(error) => return Err(error.context("the join token cannot be read")),
        },
    };
    match text.expose().parse::<JoinToken>() {
        Ok(token) => Ok(Some(token)),
        Err(_) if is_member => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn machine_name(settings: &Settings) -> Result<MachineName> {
    if let Some(name) = &settings.name {
        return name.parse().with_context(|| format!("`{name}` cannot be the machine's name"));
    }
    let host = facts::hostname();
    MachineName::from_host(&host)
        .with_context(|| format!("no machine name can be made of the host name `{host}`: give one with --name"))
}

/// What is to be done when the agent has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    Stop,
    /// To begin anew, as the same process.
    Restart,
}

/// Keeps the agent linked until it is told to end. An error means that nobody looks after the instances any more.
pub async fn keep(
    state: &StateDir,
    mut membership: JoinResponse,
    key: &KeyPair,
    parts: &mut Parts,
    routes: &mut Routes,
    shutdown: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Ending> {
    let key_pem = key.serialize_pem();
    let mut backoff = Backoff::default();
    let mut renewal_asked = None;
    loop {
        if parts.links.beat.has_changed().is_err() {
            bail!(UNSUPERVISED);
        }
        let route = routes.take();
        let mut session =
            Session { state, membership: &mut membership, key_pem: &key_pem, parts, renewal_asked: &mut renewal_asked };
        let opened = tokio::select! {
            biased;
            () = &mut *shutdown => return Ok(Ending::Stop),
            opened = session.open(&route) => opened,
        };
        let wait = match opened {
            Err(failure) => wait_after(&failure, &mut backoff),
            Ok(connection) => {
                tracing::info!(machine = %session.membership.machine, "linked to the manager at {route}");
                routes.stay();
                let since = Instant::now();
                let end = session.live(connection, shutdown).await;
                parts.programs.linked(None).await;
                if since.elapsed() >= backoff::HEALTHY {
                    backoff = Backoff::default();
                }
                match end {
                    End::Shutdown => return Ok(Ending::Stop),
                    End::Restart => return Ok(Ending::Restart),
                    End::Unsupervised => bail!(UNSUPERVISED),
                    End::Refused(refusal) => wait_after_refusal(&refusal),
                    End::Silent => wait_after_end("the manager went silent", &mut backoff),
                    End::Closed(why) => wait_after_end(&why, &mut backoff),
                }
            }
        };
        tokio::select! {
            () = &mut *shutdown => return Ok(Ending::Stop),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn wait_after(failure: &Failure, backoff: &mut Backoff) -> Duration {
    match failure {
        Failure::Refused(refusal) => wait_after_refusal(refusal),
        Failure::Other(error) => {
            let wait = backoff.wait();
            tracing::warn!("{error:#}; trying again in {:.1} s", wait.as_secs_f64());
            wait
        }
    }
}

/// A refusal that no waiting mends is loud, and slow: somebody must do something.
fn wait_after_refusal(refusal: &Refusal) -> Duration {
    let wait = backoff::after_refusal();
    tracing::error!(
        "the manager turns this agent away: {}; trying again in {:.0} s, in case somebody mends it",
        refusal.message,
        wait.as_secs_f64()
    );
    wait
}

fn wait_after_end(why: &str, backoff: &mut Backoff) -> Duration {
    let wait = backoff.wait();
    tracing::warn!("the link ended: {why}; dialling again in {:.1} s", wait.as_secs_f64());
    wait
}
