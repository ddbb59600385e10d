//! `GET /agent/v1/link`: the WebSocket of an agent, from its hello to its end.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
};
use protocol::{
    join::{Refusal, RefusalCode},
    limits::{HELLO_TIMEOUT, MAX_MESSAGE, SILENCE, clip},
    link::{self, FromAgent, Hello, MessageError, ToAgent},
    time::Timestamp,
};
use tokio::time::Instant;

use super::{
    Peer,
    problem::{Problem, Unable},
};
use crate::{
    app::{
        App,
        joining::{Turned, hash_of},
        links::{Close, Mailbox, Post},
    },
    grid::fleet::LastLink,
    pki::authority::key_hash,
    store::machines::{Hash, Registration},
};

/// How long a message may take to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How late a timer may be and still count as in time: beyond, the manager itself slept, not the agent.
const OVERSLEPT: Duration = Duration::from_secs(2);

/// WebSocket close codes (RFC 6455, section 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;

/// Opens the link of an agent whose certificate is of the grid's authority.
pub async fn open(State(app): State<Arc<App>>, peer: Peer, upgrade: WebSocketUpgrade) -> Result<Response, Problem> {
    let certificate = match peer {
        Peer::Agent { certificate: Some(certificate), .. } => certificate,
        _ => {
            let message = "a link needs the certificate that joining gives";
            return Err(Refusal::new(RefusalCode::AgentUnknown, message).into());
        }
    };
    let bad = |_| Refusal::new(RefusalCode::BadRequest, "the certificate cannot be read");
    let key = key_hash(&certificate).map_err(bad)?;
    // Numbered when it comes: what takes long afterwards must not make it newer than a later one.
    let mailbox = app.links.mailbox();
    let agent = app.admit(&key).await?;
    // The libraries' own buffers would take most of the memory of a thousand idle links.
    let upgrade = upgrade
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_MESSAGE)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| async move {
        // The greeting needs much room once; the link that follows lives long in a task of its own that does not.
        let link = Box::pin(greet(app, agent, key, mailbox, socket)).await;
        if let Some(link) = link {
            tokio::spawn(link.live());
        }
    }))
}

/// A link that has been welcomed.
struct Link {
    app: Arc<App>,
    agent: Box<Registration>,
    key: Hash,
    /// The hash of the link secret that this connection's welcome handed out.
    offered: Hash,
    socket: WebSocket,
    mailbox: Arc<Mailbox>,
}

/// Why a link ended.
enum End {
    /// The agent said goodbye.
    Goodbye(String),
    /// The connection was closed or broke.
    Closed,
    /// Nothing was heard for too long.
    Silent,
    /// The agent sent what it must not.
    Protocol(String),
    /// It was closed from this side.
    Ours(Close),
}

async fn greet(
    app: Arc<App>,
    agent: Registration,
    key: Hash,
    mailbox: Arc<Mailbox>,
    mut socket: WebSocket,
) -> Option<Link> {
    let hello = match tokio::time::timeout(HELLO_TIMEOUT, first_message(&mut socket)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(why)) => {
            let refusal = Refusal::new(RefusalCode::BadRequest, why);
            app.note_refusal(Some(&agent.machine), &refusal).await;
            return refuse(&mut socket, refusal).await;
        }
        Err(_) => return refuse(&mut socket, Refusal::new(RefusalCode::BadRequest, "no hello in time")).await,
    };
    match app.greet(&key, &mailbox, hello).await {
        Ok((welcome, agent)) => {
            let offered = hash_of(welcome.link_secret.as_bytes());
            let mut link = Link { app, agent: Box::new(agent), key, offered, socket, mailbox };
            if link.send(&ToAgent::Welcome(Box::new(welcome))).await.is_err() {
                link.clean_up(End::Closed).await;
                return None;
            }
            tracing::info!(machine = %link.agent.machine, "linked");
            Some(link)
        }
        Err(turned) => {
            let refusal = match turned {
                Turned::Away(refusal) => refusal,
                Turned::Unable(error) => Unable(error).into(),
            };
            refuse(&mut socket, refusal).await
        }
    }
}

async fn first_message(socket: &mut WebSocket) -> Result<Hello, String> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => {
                return match link::parse::<FromAgent>(&text) {
                    Ok(FromAgent::Hello(hello)) => Ok(*hello),
                    Ok(_) => Err("the first message must be `hello`".to_owned()),
                    Err(error) => {
                        Err(format!("the first message is none of the protocol: {}", clip(&error.to_string())))
                    }
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_)) => return Err("the first message must be `hello`".to_owned()),
            Some(Err(error)) => return Err(clip(&error.to_string())),
            None => return Err("it left without a word".to_owned()),
        }
    }
}

async fn refuse(socket: &mut WebSocket, refusal: Refusal) -> Option<Link> {
    let message = Message::text(link::write(&ToAgent::Refused(refusal)));
    let farewell = async {
        socket.send(message).await?;
        socket.send(close(POLICY, "refused")).await
    };
    // It is turned away whether it listens or not.
    let _unheard = tokio::time::timeout(SEND_TIMEOUT, farewell).await;
    None
}

fn close(code: u16, reason: &str) -> Message {
    // A control frame has room for 125 bytes.
    let reason: String = reason.chars().filter(char::is_ascii).take(120).collect();
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// Whether it is the connection that failed: an agent that was killed has no time for a farewell, and breaks no protocol.
fn is_broken(error: &axum::Error) -> bool {
    std::iter::successors(error.source(), |&cause| cause.source()).any(|cause| cause.is::<std::io::Error>())
}

impl Link {
    async fn live(mut self) {
        let end = self.run().await;
        self.clean_up(end).await;
    }

    async fn run(&mut self) -> End {
        let mut heard = Instant::now();
        loop {
            let step = tokio::select! {
                biased;
                post = self.mailbox.next() => match post {
                    Post::Messages(messages) => self.send_all(messages).await,
                    Post::Close(why) => Err(End::Ours(why)),
                },
                received = self.socket.recv() => {
                    heard = Instant::now();
                    match received {
                        Some(Ok(message)) => self.take(message).await,
                        Some(Err(error)) if is_broken(&error) => Err(End::Closed),
                        Some(Err(error)) => Err(End::Protocol(error.to_string())),
                        None => Err(End::Closed),
                    }
                }
                () = tokio::time::sleep_until(heard + SILENCE) => {
                    if heard.elapsed() > SILENCE + OVERSLEPT {
                        heard = Instant::now();
                        Ok(())
                    } else {
                        Err(End::Silent)
                    }
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn take(&mut self, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Closed),
            Message::Binary(_) => return Err(End::Protocol("binary frames are not spoken".to_owned())),
        };
        match link::parse::<FromAgent>(&text) {
            // Most messages need little; what they do not share must not make every link's task large.
            Ok(message) => Box::pin(self.handle(message)).await,
            Err(MessageError::UnknownType(message)) => self.send(&ToAgent::Unsupported { message }).await,
            Err(MessageError::Malformed(why)) => Err(End::Protocol(why)),
        }
    }

    async fn handle(&mut self, message: FromAgent) -> Result<(), End> {
        let number = self.mailbox.number;
        match message {
            FromAgent::Status { instance } => {
                let reported = self.app.report(&self.agent, number, vec![*instance], false).await;
                self.app.hooks.look_at(&self.agent.machine);
                return self.check(reported).map(drop);
            }
            FromAgent::Instances { instances } => {
                let reported = self.app.report(&self.agent, number, instances, true).await;
                self.app.hooks.look_at(&self.agent.machine);
                return self.check(reported).map(drop);
            }
            FromAgent::Gone { base } => {
                self.app.gone(&self.agent, number, &base);
                self.app.hooks.look_at(&self.agent.machine);
            }
            FromAgent::Facts { facts } => self.app.facts(&self.agent, number, *facts),
            FromAgent::Outcome { order, outcome } => self.app.links.outcome(number, order, outcome),
            FromAgent::HookOutput { run, text } => self.app.links.run_output(self.agent.id, run, &text),
            FromAgent::HookDone { run, end } => self.app.links.run_ended(self.agent.id, run, end),
            FromAgent::Programs(programs) => self.app.programs_told(&self.agent.machine, number, &programs),
            FromAgent::SecretKept {} => {
                let kept = self.app.store.secret_kept(self.agent.id, &self.offered).await;
                // The secret it showed before stays good until the next hello.
                if let Err(error) = self.app.journal.noting(kept) {
                    tracing::error!(machine = %self.agent.machine, "cannot note the link secret: {error}");
                }
            }
            FromAgent::Renew { csr } => {
                let renewed = self.app.renew(&self.agent, &self.key, &csr);
                let certificate = self.check(renewed)?;
                if let Some(certificate) = certificate {
                    return self.send(&ToAgent::Certificate { certificate }).await;
                }
            }
            FromAgent::Digest { digest } => {
                let agrees = self.app.fleet().agrees(&self.agent.machine, &digest);
                if !agrees {
                    tracing::warn!(machine = %self.agent.machine, "both sides do not agree; asking for everything again");
                    return self.send(&ToAgent::Report {}).await;
                }
            }
            FromAgent::Goodbye { reason } => return Err(End::Goodbye(clip(&reason))),
            FromAgent::Hello(_) => return Err(End::Protocol("a second hello".to_owned())),
            FromAgent::Unsupported { message } => {
                if message == "desired" {
                    self.app.desired_not_understood(&self.agent.machine);
                }
                tracing::warn!(machine = %self.agent.machine, "the agent does not know messages of type `{}`", clip(&message));
            }
        }
        Ok(())
    }

    /// What an agent must not send ends its link; what the manager cannot do now is said, and mended by the next digest.
    fn check<T>(&self, result: Result<T, Turned>) -> Result<Option<T>, End> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Turned::Away(refusal)) => Err(End::Protocol(refusal.message)),
            Err(Turned::Unable(error)) => {
                tracing::error!(machine = %self.agent.machine, "what the agent tells cannot be taken up: {error}");
                Ok(None)
            }
        }
    }

    async fn send_all(&mut self, messages: impl IntoIterator<Item = ToAgent>) -> Result<(), End> {
        for message in messages {
            self.send(&message).await?;
        }
        Ok(())
    }

    async fn send(&mut self, message: &ToAgent) -> Result<(), End> {
        let sending = self.socket.send(Message::text(link::write(message)));
        match tokio::time::timeout(SEND_TIMEOUT, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Closed),
            Err(_) => Err(End::Ours(Close::Slow)),
        }
    }

    /// The one place where a link ends.
    async fn clean_up(mut self, end: End) {
        let (number, machine) = (self.mailbox.number, self.agent.machine.clone());
        let why = match &end {
            End::Goodbye(reason) => reason.clone(),
            End::Closed => "its link broke".to_owned(),
            End::Silent => format!("nothing was heard from it for {} s", SILENCE.as_secs()),
            End::Protocol(why) => format!("it broke the protocol: {}", clip(why)),
            End::Ours(Close::Replaced) => "it has connected again".to_owned(),
            End::Ours(Close::Slow) => "it takes no messages".to_owned(),
            End::Ours(Close::Shutdown) => "the manager ends".to_owned(),
            End::Ours(Close::Refused(refusal)) => refusal.message.clone(),
        };
        tracing::info!(%machine, "the link ended: {why}");
        let since = Timestamp::now();
        let last = match &end {
            End::Goodbye(_) => LastLink::Ended { why, since },
            End::Ours(Close::Shutdown) => LastLink::Linked { heard: since },
            _ => LastLink::Lost { why, since },
        };
        // Told before the link counts as left: a manager that ends waits for that, and writes what was told.
        self.app.left(&self.agent, number, last);
        self.app.links.remove(self.agent.id, number);
        let farewell = match &end {
            End::Protocol(why) => Some(close(PROTOCOL_ERROR, why)),
            End::Ours(Close::Replaced) => Some(close(POLICY, "the same agent has connected again")),
            End::Ours(Close::Slow) => Some(close(POLICY, "the agent takes no messages")),
            End::Ours(Close::Shutdown) => Some(close(GOING_AWAY, "the manager ends")),
            End::Ours(Close::Refused(refusal)) => {
                let _unheard = self.send(&ToAgent::Refused(refusal.clone())).await;
                Some(close(POLICY, "refused"))
            }
            End::Goodbye(_) | End::Closed | End::Silent => None,
        };
        if let Some(farewell) = farewell {
            // The state is told already; whether the farewell arrives matters to nobody.
            let _unheard = tokio::time::timeout(SEND_TIMEOUT, self.socket.send(farewell)).await;
        }
    }
}
