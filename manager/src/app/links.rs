//! The agents' connections: a bounded mailbox for each, and the orders and runs of hooks that wait for their outcome.

mod runs;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use protocol::{
    join::Refusal,
    link::{Outcome, ToAgent},
};
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};
use uuid::Uuid;

pub(in crate::app) use self::runs::words;
use crate::grid::fleet::ConnectionNumber;

/// How many messages may wait for one agent. An agent that takes none for so long is disconnected.
const MAILBOX: usize = 256;

/// The connections of all agents.
#[derive(Default)]
pub struct Links {
    // Held for moments only, never across an await.
    inner: Mutex<Inner>,
    numbers: AtomicU64,
    left: Notify,
    entered: Notify,
}

#[derive(Default)]
struct Inner {
    mailboxes: HashMap<Uuid, Arc<Mailbox>>,
    orders: HashMap<Uuid, Waiting>,
    runs: HashMap<Uuid, runs::WaitingRun>,
    greetings: HashMap<Uuid, Arc<Greetings>>,
}

/// The greetings of one agent.
#[derive(Default)]
struct Greetings {
    newest: AtomicU64,
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

struct Waiting {
    connection: ConnectionNumber,
    reply: oneshot::Sender<Outcome>,
}

/// What waits to be sent to one agent. A vector that is empty costs nothing, which a channel does.
pub struct Mailbox {
    /// The number of the connection.
    pub number: ConnectionNumber,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    messages: VecDeque<ToAgent>,
    closed: Option<Close>,
}

/// How much waits on the links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkFigures {
    /// How many agents are linked.
    pub links: usize,
    /// The messages in the fullest mailbox.
    pub deepest: usize,
    /// The messages in all mailboxes.
    pub messages: usize,
    /// The orders whose outcome is waited for.
    pub orders: usize,
    /// The runs of hooks whose end is waited for.
    pub runs: usize,
}

/// Why a connection is to be closed from this side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Close {
    /// The same agent has connected again.
    Replaced,
    /// It took no messages.
    Slow,
    /// It is turned away.
    Refused(Refusal),
    /// The manager ends.
    Shutdown,
}

/// What a mailbox holds.
#[derive(Debug, PartialEq)]
pub enum Post {
    /// Messages to send.
    Messages(VecDeque<ToAgent>),
    /// The connection is to be closed.
    Close(Close),
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, message: ToAgent) -> bool {
        let mut state = self.lock();
        if state.closed.is_some() {
            return false;
        }
        if state.messages.len() >= MAILBOX {
            state.closed = Some(Close::Slow);
        } else {
            state.messages.push_back(message);
        }
        let posted = state.closed.is_none();
        drop(state);
        self.wake.notify_one();
        posted
    }

    fn close(&self, why: Close) {
        self.lock().closed.get_or_insert(why);
        self.wake.notify_one();
    }

    /// Waits for something to do.
    pub async fn next(&self) -> Post {
        loop {
            let notified = self.wake.notified();
            {
                let mut state = self.lock();
                if let Some(why) = &state.closed {
                    return Post::Close(why.clone());
                }
                if !state.messages.is_empty() {
                    return Post::Messages(std::mem::take(&mut state.messages));
                }
            }
            notified.await;
        }
    }
}

impl Links {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the mailbox of a new connection, which nobody finds before it is entered.
    pub fn mailbox(&self) -> Arc<Mailbox> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(Mailbox { number, state: Mutex::default(), wake: Notify::new() })
    }

    /// Waits for a connection's turn to be greeted: the greetings of one agent come one at a time. `None` if a newer
    /// connection of the agent has asked meanwhile: the agent has given this one up.
    pub async fn turn(&self, agent: Uuid, number: ConnectionNumber) -> Option<OwnedMutexGuard<()>> {
        let greetings = self.lock().greetings.entry(agent).or_default().clone();
        greetings.newest.fetch_max(number, Ordering::AcqRel);
        let turn = greetings.one_at_a_time.clone().lock_owned().await;
        (greetings.newest.load(Ordering::Acquire) == number).then_some(turn)
    }

    /// Enters the mailbox of an agent's new connection; an earlier connection of the same agent is closed. `false` if
    /// a newer one is there already.
    pub fn enter(&self, agent: Uuid, mailbox: Arc<Mailbox>) -> bool {
        let mut inner = self.lock();
        if inner.mailboxes.get(&agent).is_some_and(|there| there.number > mailbox.number) {
            return false;
        }
        if let Some(replaced) = inner.mailboxes.insert(agent, mailbox) {
            replaced.close(Close::Replaced);
        }
        drop(inner);
        self.entered.notify_waiters();
        true
    }

    /// Removes the mailbox of a connection that has ended. Who waits for one of its orders is told that nobody knows.
    pub fn remove(&self, agent: Uuid, number: ConnectionNumber) {
        let mut inner = self.lock();
        if inner.mailboxes.get(&agent).is_some_and(|mailbox| mailbox.number == number) {
            inner.mailboxes.remove(&agent);
        }
        inner.orders.retain(|_, waiting| waiting.connection != number);
        drop(inner);
        self.left.notify_waiters();
    }

    /// Sends a message to an agent; `false` if it is not linked.
    pub fn send(&self, agent: Uuid, message: ToAgent) -> bool {
        let mailbox = self.lock().mailboxes.get(&agent).cloned();
        mailbox.is_some_and(|mailbox| mailbox.post(message))
    }

    /// Sends an order, whose outcome can be waited for; `None` if the agent is not linked. The receiver fails when
    /// the connection ends before the outcome is known.
    pub fn order(&self, agent: Uuid, order: protocol::link::Order) -> Option<oneshot::Receiver<Outcome>> {
        self.ask(agent, order.id, ToAgent::Order(order))
    }

    /// Sends an order of whatever kind, by its id; see [`Links::order`].
    pub fn ask(&self, agent: Uuid, id: Uuid, order: ToAgent) -> Option<oneshot::Receiver<Outcome>> {
        let (reply, outcome) = oneshot::channel();
        let mut inner = self.lock();
        let mailbox = inner.mailboxes.get(&agent)?.clone();
        inner.orders.insert(id, Waiting { connection: mailbox.number, reply });
        drop(inner);
        mailbox.post(order).then_some(outcome)
    }

    /// Gives up waiting for an order's outcome.
    pub fn give_up(&self, order: Uuid) {
        self.lock().orders.remove(&order);
    }

    /// An agent tells what became of an order; only the connection it was sent on counts.
    pub fn outcome(&self, number: ConnectionNumber, order: Uuid, outcome: Outcome) {
        let mut inner = self.lock();
        if inner.orders.get(&order).is_some_and(|waiting| waiting.connection == number)
            && let Some(waiting) = inner.orders.remove(&order)
        {
            // Whoever waited may have given up.
            let _gone = waiting.reply.send(runs::harmless_outcome(outcome));
        }
    }

    /// Closes the connection of an agent.
    pub fn close(&self, agent: Uuid, why: Close) {
        let mailbox = self.lock().mailboxes.get(&agent).cloned();
        if let Some(mailbox) = mailbox {
            mailbox.close(why);
        }
    }

    /// Closes every connection.
    pub fn close_all(&self) {
        for mailbox in self.lock().mailboxes.values() {
            mailbox.close(Close::Shutdown);
        }
    }

    /// Waits until no agent is linked.
    pub async fn all_left(&self) {
        loop {
            let left = self.left.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }

    /// What waits to be sent, and what waits for an answer.
    pub fn figures(&self) -> LinkFigures {
        let inner = self.lock();
        let depths = inner.mailboxes.values().map(|mailbox| mailbox.lock().messages.len());
        let (deepest, messages) = depths.fold((0, 0), |(deepest, sum), depth| (deepest.max(depth), sum + depth));
        LinkFigures {
            links: inner.mailboxes.len(),
            deepest,
            messages,
            orders: inner.orders.len(),
            runs: inner.runs.len(),
        }
    }

    /// How many agents are linked.
    pub fn count(&self) -> usize {
        self.lock().mailboxes.len()
    }
}

#[cfg(test)]
mod tests {
    use protocol::{link::Order, state::Action};

    use super::*;

    const AGENT: Uuid = Uuid::from_u128(1);

    fn open(links: &Links) -> Arc<Mailbox> {
        let mailbox = links.mailbox();
        assert!(links.enter(AGENT, mailbox.clone()));
        mailbox
    }

    fn order(id: u128) -> Order {
        Order { id: Uuid::from_u128(id), base: "/srv/a".to_owned(), action: Action::Stop, ttl_ms: 1 }
    }

    fn done() -> Outcome {
        Outcome::Done { message: String::new() }
    }

    #[tokio::test]
    async fn an_order_is_answered_on_its_own_connection_only() {
        let links = Links::default();
        let mailbox = open(&links);
        let outcome = links.order(AGENT, order(7)).unwrap();
        assert!(matches!(mailbox.next().await, Post::Messages(messages) if messages.len() == 1));
        links.outcome(mailbox.number + 1, Uuid::from_u128(7), Outcome::Expired {});
        links.outcome(mailbox.number, Uuid::from_u128(7), done());
        assert_eq!(outcome.await, Ok(done()));
    }

    #[tokio::test]
    async fn the_end_of_a_connection_ends_the_waiting() {
        let links = Links::default();
        let mailbox = open(&links);
        let outcome = links.order(AGENT, order(7)).unwrap();
        links.remove(AGENT, mailbox.number);
        assert!(outcome.await.is_err());
        assert!(links.order(AGENT, order(8)).is_none());
    }

    #[tokio::test]
    async fn a_later_connection_replaces_an_earlier_one() {
        let links = Links::default();
        let first = open(&links);
        let second = open(&links);
        assert_eq!(first.next().await, Post::Close(Close::Replaced));
        links.remove(AGENT, first.number);
        assert!(links.send(AGENT, ToAgent::Report {}));
        assert!(matches!(second.next().await, Post::Messages(_)));
    }

    #[tokio::test]
    async fn an_earlier_connection_that_comes_late_replaces_nothing() {
        let links = Links::default();
        let (late, new) = (links.mailbox(), links.mailbox());
        drop(links.turn(AGENT, new.number).await.unwrap());
        assert!(links.turn(AGENT, late.number).await.is_none());
        assert!(links.enter(AGENT, new.clone()));
        assert!(!links.enter(AGENT, late));
        assert!(links.send(AGENT, ToAgent::Report {}));
        assert!(matches!(new.next().await, Post::Messages(_)));
    }

    #[tokio::test]
    async fn an_agent_that_takes_nothing_is_disconnected() {
        let links = Links::default();
        let mailbox = open(&links);
        for _ in 0..MAILBOX {
            assert!(links.send(AGENT, ToAgent::Report {}));
        }
        assert!(!links.send(AGENT, ToAgent::Report {}));
        assert_eq!(mailbox.next().await, Post::Close(Close::Slow));
    }
}
