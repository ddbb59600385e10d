//! One connection to the manager, from its hello to its end.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use futures_util::{SinkExt, StreamExt};
use protocol::{
    PROTOCOL, PROTOCOL_OLDEST,
    desired::Desired,
    join::{JoinResponse, Refusal, RefusalCode},
    limits::{HELLO_TIMEOUT, MAX_MESSAGE, PING_INTERVAL, SILENCE},
    link::{self, FromAgent, Hello, MessageError, ToAgent, Welcome},
    time::Timestamp,
    tls_name,
};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Bytes, Message, client::IntoClientRequest, protocol::WebSocketConfig},
};

use super::{
    blobs::Source,
    budget,
    dial::{Route, Stream},
    join::{Failure, explain, refusal},
    programs::Keeper,
    tls,
};
use crate::{
    hooks::Hooks,
    identity,
    own_orders::OwnOrders,
    state_dir::StateDir,
    supervisor::{Links, TICK, asks::Ask},
};

/// How often, in ticks, the fingerprint of all statuses is sent.
const DIGEST_TICKS: u64 = 60;

/// The agent's part of a ping interval, in ticks.
const PING_TICKS: u64 = PING_INTERVAL.as_secs() / TICK.as_secs();

/// How long to wait before a new certificate is asked for again.
const RENEWAL_PAUSE: Duration = Duration::from_secs(3600);

/// How long a message may take to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<TlsStream<Box<dyn Stream>>>;

/// Why a connection ended.
#[derive(Debug)]
pub enum End {
    /// The agent ends.
    Shutdown,
    /// The agent ends, and is to begin anew.
    Restart,
    /// The supervisor has ended, without which the agent is of no use.
    Unsupervised,
    /// The manager said nothing for too long.
    Silent,
    /// The connection was closed or broke.
    Closed(String),
    /// The manager turned the agent away.
    Refused(Refusal),
}

/// Whoever carries out what the manager wants.
pub struct Parts {
    /// The supervisor of the instances.
    pub links: Links,
    /// The agent's orders for itself.
    pub own: OwnOrders,
    /// What the manager wants the machine to have, once it is on disk.
    pub desired: Option<Desired>,
    /// Who keeps the hook programs.
    pub programs: Keeper,
    /// Who runs hooks.
    pub hooks: Hooks,
}

/// What a connection needs besides the manager's address.
pub struct Session<'a> {
    /// The agent's state directory.
    pub state: &'a StateDir,
    /// What the agent is a member of; renewed certificates are put here.
    pub membership: &'a mut JoinResponse,
    /// The agent's private key (PEM).
    pub key_pem: &'a str,
    /// Whoever carries out what the manager wants.
    pub parts: &'a mut Parts,
    /// When a new certificate was asked for last.
    pub renewal_asked: &'a mut Option<Instant>,
}

/// An open, welcomed connection.
pub struct Connection {
    socket: Socket,
    pub(super) heard: Instant,
}

impl Session<'_> {
    /// Connects to a manager and is welcomed by it.
    pub async fn open(&mut self, route: &Route) -> Result<Connection, Failure> {
        let config = tls::member(&self.membership.authority, &self.membership.certificate, self.key_pem)?;
        let grid = self.membership.grid;
        let source = Source { route: route.clone(), tls: config.clone(), grid };
        let stream = route.connect(config, tls::server_name(grid)).await.map_err(|error| explain(route, error))?;
        let request =
            format!("wss://{}/agent/v1/link", tls_name(grid)).into_client_request().context("make the request")?;
        let upgrade = tokio_tungstenite::client_async_with_config(request, stream, Some(socket_config()));
        let socket = match tokio::time::timeout(HELLO_TIMEOUT, upgrade).await {
            Err(_) => return Err(anyhow!("the manager did not answer in {} s", HELLO_TIMEOUT.as_secs()).into()),
            Ok(Err(tungstenite::Error::Http(response))) => {
                return Err(refusal(response.status(), response.body().as_deref().unwrap_or_default()));
            }
            Ok(Err(error)) => return Err(anyhow!("the manager did not open the link: {error}").into()),
            Ok(Ok((socket, _))) => socket,
        };
        let mut connection = Connection { socket, heard: Instant::now() };
        let asked = Timestamp::now();
        let welcome = tokio::time::timeout(HELLO_TIMEOUT, self.greet(&mut connection))
            .await
            .map_err(|_| anyhow!("the manager did not welcome the agent in {} s", HELLO_TIMEOUT.as_secs()))??;
        let told = welcome.now;
        self.accept(&mut connection, welcome).await?;
        if let Some(now) = told {
            self.parts.links.board.managers_clock.told(now, asked);
        }
        self.parts.programs.linked(Some(source)).await;
        Ok(connection)
    }

    async fn greet(&mut self, connection: &mut Connection) -> Result<Welcome, Failure> {
        let (mut facts, mut instances) = self.parts.links.board.whole();
        let cut = budget::fit(&mut facts, &mut instances);
        self.parts.links.board.tell_again(cut);
        let hello = FromAgent::Hello(Box::new(Hello {
            protocol: PROTOCOL,
            protocol_oldest: PROTOCOL_OLDEST,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            grid: self.membership.grid,
            link_secret: self.state.link_secret()?,
            highest: self.state.highest()?,
            facts,
            instances,
        }));
        connection.send(&hello).await?;
        loop {
            match connection.next().await? {
                Received::Message(ToAgent::Welcome(welcome)) => return Ok(*welcome),
                Received::Message(ToAgent::Refused(refusal)) => return Err(refusal.into()),
                Received::Closed(why) => return Err(anyhow!("the manager closed the link: {why}").into()),
                Received::Message(other) => {
                    return Err(
                        anyhow!("the manager's first message was no welcome, but {}", link::write(&other)).into()
                    );
                }
                Received::Alive => {}
            }
        }
    }

    /// Checks that the manager may be obeyed, and remembers what the welcome brought.
    async fn accept(&mut self, connection: &mut Connection, welcome: Welcome) -> Result<(), Failure> {
        let statement = &welcome.statement;
        if welcome.grid != self.membership.grid || statement.grid != self.membership.grid {
            return Err(Refusal::new(RefusalCode::OtherGrid, "the manager is that of another grid").into());
        }
        identity::verify_statement(statement, &self.membership.authority)?;
        let highest = self.state.highest()?;
        statement.obeyed_after(highest.as_ref()).map_err(|why| anyhow!("{why}"))?;
        // The same statement is signed anew at each start of the manager, and then has another signature.
        if highest.is_none_or(|highest| (highest.epoch, highest.manager) != (statement.epoch, statement.manager)) {
            let statement = statement.clone();
            self.store(move |state| state.store_highest(&statement)).await?;
        }
        match self.store(move |state| state.store_link_secret(&welcome.link_secret)).await {
            Ok(()) => connection.send(&FromAgent::SecretKept {}).await?,
            // The one on disk stays good until the manager hears that a newer one is kept.
            Err(error) => tracing::error!("the new link secret cannot be kept, the old one is used on: {error:#}"),
        }
        Ok(self.renew_if_due(connection).await?)
    }

    /// Writes into the state directory, off the runtime: the disk may take its time.
    pub(super) async fn store(&self, write: impl FnOnce(&StateDir) -> Result<()> + Send + 'static) -> Result<()> {
        let state = self.state.clone();
        tokio::task::spawn_blocking(move || write(&state)).await.context("write into the state directory")?
    }

    /// Asks for a new certificate in time. A clock that is far ahead finds every certificate old, so not too often.
    async fn renew_if_due(&mut self, connection: &mut Connection) -> Result<()> {
        let just_asked = self.renewal_asked.is_some_and(|asked| asked.elapsed() < RENEWAL_PAUSE);
        if just_asked || !identity::is_due_for_renewal(&self.membership.certificate, Timestamp::now())? {
            return Ok(());
        }
        *self.renewal_asked = Some(Instant::now());
        let key = rcgen::KeyPair::from_pem(self.key_pem)?;
        connection.send(&FromAgent::Renew { csr: identity::signing_request(&key)? }).await
    }

    /// Lives one connection.
    pub async fn live(&mut self, mut connection: Connection, shutdown: &mut (impl Future<Output = ()> + Unpin)) -> End {
        let board = Arc::clone(&self.parts.links.board);
        loop {
            let step = tokio::select! {
                biased;
                () = &mut *shutdown => {
                    self.hand_over(&mut connection).await;
                    connection.say_goodbye("the agent was told to end").await;
                    return End::Shutdown;
                }
                received = connection.next() => match received {
                    Ok(received) => self.take(&mut connection, received).await,
                    Err(error) => Err(error),
                },
                messages = board.next() => connection.send_all(&messages).await.map(|()| None),
                changed = self.parts.links.beat.changed() => match changed {
                    Ok(()) => self.on_beat(&mut connection).await,
                    Err(_) => return End::Unsupervised,
                },
            };
            match step {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(error) => return End::Closed(format!("{error:#}")),
            }
        }
    }

    async fn on_beat(&mut self, connection: &mut Connection) -> Result<Option<End>> {
        if connection.heard.elapsed() > SILENCE {
            return Ok(Some(End::Silent));
        }
        let tick = *self.parts.links.beat.borrow_and_update();
        if tick.is_multiple_of(PING_TICKS) {
            connection.ping().await?;
        }
        if tick.is_multiple_of(DIGEST_TICKS) {
            connection.send(&FromAgent::Digest { digest: self.parts.links.board.digest() }).await?;
            self.renew_if_due(connection).await?;
        }
        Ok(None)
    }

    async fn take(&mut self, connection: &mut Connection, received: Received) -> Result<Option<End>> {
        let message = match received {
            Received::Message(message) => message,
            Received::Alive => return Ok(None),
            Received::Closed(why) => return Ok(Some(End::Closed(why))),
        };
        match message {
            ToAgent::Order(order) => {
                let id = order.id;
                if self.parts.links.asks.try_send(Ask::Order(order)).is_err() {
                    let message = "the agent has too many orders in hand".to_owned();
                    let outcome = link::Outcome::Failed { message };
                    connection.send(&FromAgent::Outcome { order: id, outcome }).await?;
                }
            }
            ToAgent::Report {} => {
                let (mut facts, mut instances) = self.parts.links.board.whole();
                let cut = budget::fit(&mut facts, &mut instances);
                self.parts.links.board.tell_again(cut);
                connection.send(&FromAgent::Instances { instances }).await?;
            }
            ToAgent::Certificate { certificate } => {
                let membership = JoinResponse { certificate, ..self.membership.clone() };
                // A certificate that does not fit the key must not replace one that does.
                tls::member(&membership.authority, &membership.certificate, self.key_pem)
                    .context("the manager sent a certificate that does not fit")?;
                let stored = membership.clone();
                self.store(move |state| state.store_membership(&stored)).await?;
                *self.membership = membership;
                tracing::info!("the certificate was renewed");
            }
            ToAgent::Refused(refusal) => return Ok(Some(End::Refused(refusal))),
            ToAgent::AgentOrder(order) => return self.take_own(connection, &order).await,
            ToAgent::Desired(desired) => self.take_desired(*desired).await,
            ToAgent::Hook(run) => self.parts.hooks.begin(*run, connection.heard),
            ToAgent::AbandonHook { run } => self.parts.hooks.abandon(run),
            ToAgent::Welcome(_) => {}
            ToAgent::Unsupported { message } => {
                tracing::warn!("the manager does not know messages of type `{message}`")
            }
        }
        Ok(None)
    }
}

fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_MESSAGE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// What was received.
enum Received {
    Message(ToAgent),
    /// A ping or a pong.
    Alive,
    Closed(String),
}

impl Connection {
    async fn next(&mut self) -> Result<Received> {
        let frame = match self.socket.next().await {
            None => return Ok(Received::Closed("the connection ended".to_owned())),
            Some(Err(error)) => return Ok(Received::Closed(error.to_string())),
            Some(Ok(frame)) => frame,
        };
        self.heard = Instant::now();
        let text = match frame {
            Message::Text(text) => text,
            Message::Close(frame) => {
                let why = frame.map(|frame| frame.reason.to_string()).filter(|reason| !reason.is_empty());
                return Ok(Received::Closed(why.unwrap_or_else(|| "the manager closed the link".to_owned())));
            }
            _ => return Ok(Received::Alive),
        };
        match link::parse::<ToAgent>(&text) {
            Ok(message) => Ok(Received::Message(message)),
            Err(MessageError::UnknownType(message)) => {
                tracing::warn!("the manager sent a message of the unknown type `{message}`");
                self.send(&FromAgent::Unsupported { message }).await?;
                Ok(Received::Alive)
            }
            Err(error) => Err(anyhow!("the manager sent no message of the protocol: {error}")),
        }
    }

    pub(super) async fn send(&mut self, message: &FromAgent) -> Result<()> {
        self.send_all(std::slice::from_ref(message)).await
    }

    pub(super) async fn send_all(&mut self, messages: &[FromAgent]) -> Result<()> {
        let send = async {
            for message in messages {
                self.socket.feed(Message::text(link::write(message))).await?;
            }
            self.socket.flush().await
        };
        let sent = tokio::time::timeout(SEND_TIMEOUT, send).await;
        sent.map_err(|_| anyhow!("the manager took no message in {} s", SEND_TIMEOUT.as_secs()))?
            .context("send to the manager")
    }

    pub(super) async fn say_goodbye(&mut self, reason: &str) {
        // Whether it arrives or not, the agent ends.
        let _unheard = self.send(&FromAgent::Goodbye { reason: reason.to_owned() }).await;
        let _unheard = tokio::time::timeout(SEND_TIMEOUT, self.socket.close(None)).await;
    }

    async fn ping(&mut self) -> Result<()> {
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.socket.send(Message::Ping(Bytes::new()))).await;
        sent.map_err(|_| anyhow!("the manager took no ping in {} s", SEND_TIMEOUT.as_secs()))?
            .context("ping the manager")
    }
}
