//! One simulated machine: the task that joins, links again and again, and speaks for its instances.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use agent::link::{
    dial::{Route, Stream},
    join::{Failure, request, try_join},
    tls,
};
use futures_util::{SinkExt, StreamExt};
use protocol::{
    PROTOCOL, PROTOCOL_OLDEST,
    join::JoinResponse,
    limits::{PING_INTERVAL, SILENCE},
    link::{self, FromAgent, Hello, Order, Outcome, ToAgent},
    report::{self, InstanceReport},
    state::State,
    tls_name,
    token::JoinToken,
};
use rcgen::KeyPair;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Interval, MissedTickBehavior},
};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use super::{Command, Counts, Plan, STAMP, Sent, VERSION, epoch, instance::Instance, plan};

/// How long to wait before the manager is dialled again.
const AGAIN: Duration = Duration::from_millis(500);

/// How often the fingerprint of all statuses is sent.
const DIGEST: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<TlsStream<Box<dyn Stream>>>;

/// A machine.
pub(super) struct Machine {
    at: usize,
    route: Route,
    counts: Arc<Counts>,
    commands: mpsc::Receiver<Command>,
    /// In the order of their bases, as a digest wants them; each with its number in the plan.
    instances: Vec<(usize, Instance)>,
    secret: Option<String>,
    storm: Option<Interval>,
    /// Which instance the storm turned last, and the one that it has to turn back.
    turn: usize,
    turned: Option<usize>,
    away: bool,
}

/// Why a connection ended, in words.
type Ended = String;

/// What it is a member of.
struct Member {
    membership: JoinResponse,
    key: String,
}

impl Machine {
    pub(super) fn new(
        at: usize,
        plan: &Plan,
        route: Route,
        counts: Arc<Counts>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let mut instances: Vec<_> = (0..plan.instances).map(|n| (n, plan::begin(at, n, plan.mixed))).collect();
        instances.sort_by(|(_, one), (_, other)| one.base().cmp(other.base()));
        Self { at, route, counts, commands, instances, secret: None, storm: None, turn: 0, turned: None, away: false }
    }

    /// Joins, and lives until the fleet ends. A refusal is final.
    pub(super) async fn run(mut self, token: JoinToken, turns: Arc<Semaphore>) {
        let name = plan::machine(self.at);
        let member = match self.join(&token, &turns).await {
            Ok(member) => member,
            Err(refused) => return eprintln!("{name} cannot join: {refused}"),
        };
        loop {
            if !self.away {
                let turn = turns.acquire().await;
                let linked = self.link(&member).await;
                drop(turn);
                match linked {
                    Ok(socket) => {
                        self.counts.linked.fetch_add(1, Ordering::Relaxed);
                        let ended = self.live(socket).await;
                        self.counts.linked.fetch_sub(1, Ordering::Relaxed);
                        match ended {
                            Ok(()) => return,
                            Err(why) => self.complain(&why),
                        }
                    }
                    Err(why) => self.complain(&why),
                }
            }
            match tokio::time::timeout(AGAIN, self.commands.recv()).await {
                Ok(None) => return,
                // Nobody hears it now; the next hello tells it.
                Ok(Some(command)) => drop(self.obey(command)),
                Err(_) => {}
            }
        }
    }

    fn complain(&self, why: &str) {
        if !self.away {
            eprintln!("{}: {why}", plan::machine(self.at));
        }
    }

    async fn join(&self, token: &JoinToken, turns: &Semaphore) -> Result<Member, Failure> {
        let key = KeyPair::generate().map_err(anyhow_of)?;
        let name = plan::machine(self.at).parse().map_err(anyhow_of)?;
        let request = request(token, &key, name, plan::facts(self.at))?;
        loop {
            let turn = turns.acquire().await;
            let joined = try_join(&self.route, token, &request).await;
            drop(turn);
            match joined {
                Ok(membership) => return Ok(Member { membership, key: key.serialize_pem() }),
                Err(refused @ Failure::Refused(_)) => return Err(refused),
                Err(Failure::Other(error)) => self.complain(&format!("{error:#}")),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn link(&mut self, member: &Member) -> Result<Socket, Ended> {
        let grid = member.membership.grid;
        let config = tls::member(&member.membership.authority, &member.membership.certificate, &member.key);
        let config = config.map_err(|error| format!("{error:#}"))?;
        let stream = self.route.connect(config, tls::server_name(grid)).await.map_err(|error| error.to_string())?;
        let request = format!("wss://{}/agent/v1/link", tls_name(grid)).into_client_request().map_err(words)?;
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.map_err(words)?;
        let hello = Hello {
            protocol: PROTOCOL,
            protocol_oldest: PROTOCOL_OLDEST,
            agent_version: VERSION.to_owned(),
            grid,
            link_secret: self.secret.clone(),
            highest: None,
            facts: plan::facts(self.at),
            instances: self.reports(),
        };
        send(&mut socket, &FromAgent::Hello(Box::new(hello))).await?;
        let welcomed = tokio::time::timeout(SILENCE, next(&mut socket)).await.map_err(words)??;
        match welcomed {
            Some(ToAgent::Welcome(welcome)) => self.secret = Some(welcome.link_secret),
            other => return Err(format!("it should be welcomed, and not: {other:?}")),
        }
        send(&mut socket, &FromAgent::SecretKept {}).await?;
        Ok(socket)
    }

    /// Lives one connection; `Ok` when the fleet has ended.
    async fn live(&mut self, mut socket: Socket) -> Result<(), Ended> {
        let mut ping = tokio::time::interval(PING_INTERVAL);
        let mut digest = tokio::time::interval_at(tokio::time::Instant::now() + DIGEST, DIGEST);
        let mut heard = Instant::now();
        loop {
            let due = self.instances.iter().filter_map(|(_, instance)| instance.due()).min();
            tokio::select! {
                received = next(&mut socket) => {
                    heard = Instant::now();
                    self.take(&mut socket, received?).await?;
                }
                command = self.commands.recv() => {
                    let Some(command) = command else { return Ok(()) };
                    if let Some((message, sent)) = self.obey(command) {
                        // Nobody waits any more after a panic.
                        let _gone = sent.send(Sent::now());
                        self.tell(&mut socket, message).await?;
                    }
                    if self.away {
                        return Err("away".to_owned());
                    }
                }
                () = until(due) => {
                    let now = Instant::now();
                    let moved = self.instances.iter_mut().filter_map(|(_, one)| one.step(now).then(|| one.report()));
                    for report in moved.collect::<Vec<_>>() {
                        self.tell(&mut socket, report).await?;
                    }
                }
                () = tick(&mut self.storm) => {
                    if let Some(report) = self.turn_one() {
                        self.tell(&mut socket, report).await?;
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE {
                        return Err("the manager is silent".to_owned());
                    }
                    socket.send(Message::Ping(tungstenite::Bytes::new())).await.map_err(words)?;
                }
                _ = digest.tick() => {
                    let reports = self.reports();
                    send(&mut socket, &FromAgent::Digest { digest: report::digest(reports.iter()) }).await?;
                }
            }
        }
    }

    async fn tell(&self, socket: &mut Socket, instance: InstanceReport) -> Result<(), Ended> {
        send(socket, &FromAgent::Status { instance: Box::new(instance) }).await?;
        self.counts.told.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn reports(&self) -> Vec<InstanceReport> {
        self.instances.iter().map(|(_, instance)| instance.report()).collect()
    }

    /// The next change of the storm: one that is active stops answering, and then answers again.
    fn turn_one(&mut self) -> Option<InstanceReport> {
        let count = self.instances.len();
        let is_active = |at: &usize| self.instances[*at].1.state() == State::Active;
        let (at, state) = match self.turned.take() {
            Some(at) => (at, State::Active),
            None => {
                let at = (1..=count).map(|step| (self.turn + step) % count).find(is_active)?;
                (self.turn, self.turned) = (at, Some(at));
                (at, State::Unresponsive)
            }
        };
        let instance = &mut self.instances[at].1;
        instance.set(state, Some(format!("{STAMP}{}", epoch().as_micros())));
        Some(instance.report())
    }

    /// Does what a test wants; what is to be told of it, and whom to tell when that is sent.
    fn obey(&mut self, command: Command) -> Option<(InstanceReport, std::sync::mpsc::Sender<Sent>)> {
        match command {
            Command::Change { instance, state, reason, sent } => {
                let (_, instance) = self.instances.iter_mut().find(|(at, _)| *at == instance)?;
                instance.set(state, reason);
                return Some((instance.report(), sent));
            }
            // `done` is dropped here, which tells it.
            Command::Storm { pause, done: _done } => {
                self.storm = pause.filter(|_| !self.instances.is_empty()).map(|pause| {
                    // Not all machines at the same moment.
                    let first = pause.mul_f64((self.at % 100) as f64 / 100.0);
                    let mut storm = tokio::time::interval_at(tokio::time::Instant::now() + first, pause);
                    storm.set_missed_tick_behavior(MissedTickBehavior::Burst);
                    storm
                });
            }
            Command::Away => self.away = true,
            Command::Back => self.away = false,
        }
        None
    }

    async fn take(&mut self, socket: &mut Socket, message: Option<ToAgent>) -> Result<(), Ended> {
        match message {
            Some(ToAgent::Order(order)) => self.carry_out(socket, order).await,
            Some(ToAgent::Report {}) => send(socket, &FromAgent::Instances { instances: self.reports() }).await,
            Some(ToAgent::Refused(refusal)) => Err(format!("refused: {refusal}")),
            _ => Ok(()),
        }
    }

    async fn carry_out(&mut self, socket: &mut Socket, order: Order) -> Result<(), Ended> {
        let found = self.instances.iter_mut().find(|(_, instance)| instance.base() == order.base);
        let (outcome, changed) = match found {
            Some((_, instance)) => {
                let (outcome, changed) = instance.take(order.action);
                (outcome, changed.then(|| instance.report()))
            }
            None => (Outcome::Failed { message: "there is no such instance here".to_owned() }, None),
        };
        if let Some(report) = changed {
            self.tell(socket, report).await?;
        }
        send(socket, &FromAgent::Outcome { order: order.id, outcome }).await
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

async fn send(socket: &mut Socket, message: &FromAgent) -> Result<(), Ended> {
    let sent = tokio::time::timeout(SILENCE, socket.send(Message::text(link::write(message)))).await;
    sent.map_err(|_| "the manager takes no message".to_owned())?.map_err(words)
}

/// The next message; `None` for what is none.
async fn next(socket: &mut Socket) -> Result<Option<ToAgent>, Ended> {
    match socket.next().await {
        None => Err("the connection ended".to_owned()),
        Some(Ok(Message::Text(text))) => Ok(link::parse(&text).ok()),
        Some(Ok(Message::Close(frame))) => Err(format!("the manager closed the link: {frame:?}")),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(error.to_string()),
    }
}

fn words(error: impl std::fmt::Display) -> Ended {
    error.to_string()
}

fn anyhow_of(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::Other(error.into())
}
