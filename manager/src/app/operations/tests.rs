//! Operations on a manager without sockets: its one machine is linked, and the test is its agent.

use std::sync::Arc;

use protocol::{
    desired::{Desired, Programs},
    link::{Outcome, ToAgent},
    report::MachineFacts,
    state::State,
    time::Timestamp,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{claims::Holder, *};
use crate::{
    app::{
        App,
        journal::Told,
        links::{Mailbox, Post},
        temporary,
    },
    grid::{
        access::{Caller, Role},
        command::Command,
        config::{GridConfig, Hook, HookFailure},
        event::{Kind, Topic},
        fleet::{KnownMachine, Named},
        operation::{
            NodeKind, StepState,
            request::OperationRequest,
            view::{OperationState, OperationView},
        },
        target::Target,
    },
    store::operations::OperationFilter,
};

pub(super) struct Grid {
    _dir: TempDir,
    pub(super) app: Arc<App>,
    pub(super) mailbox: Arc<Mailbox>,
}

fn named(name: &str, state: &str) -> Named {
    let report = serde_json::json!({"base": name, "state": state, "age_ms": 0});
    Named {
        name: format!("{name}@web-1").parse().unwrap(),
        note: None,
        report: serde_json::from_value(report).unwrap(),
    }
}

pub(super) fn anna() -> Caller {
    Caller::at_socket("anna".to_owned(), Some(Role::Operator))
}

pub(super) fn asked(command: &str, targets: &[&str]) -> OperationRequest {
    serde_json::from_value(serde_json::json!({"command": command, "targets": targets})).unwrap()
}

/// A hook that stops what it stands before if it fails.
pub(super) fn hook(event: &str, target: &str, program: &str) -> Hook {
    Hook {
        event: event.parse().unwrap(),
        targets: vec![target.parse().unwrap()],
        program: program.to_owned(),
        timeout: std::time::Duration::from_secs(20),
        on_failure: HookFailure::Abort,
        user: None,
        environment: Default::default(),
        secrets: Vec::new(),
    }
}

/// Somebody who holds `a@web-1`.
pub(super) fn holder(command: Command) -> Holder {
    let (targets, actor) = ("a@web-1".to_owned(), "bob".to_owned());
    Holder { operation: Uuid::nil(), command, targets, actor }
}

impl Grid {
    /// `a` and `b` on `web-1`, both active.
    pub(super) async fn new() -> Self {
        let (dir, app) = temporary::app().await;
        let name = "web-1".parse().unwrap();
        let machine = KnownMachine {
            id: Uuid::from_u128(1),
            name,
            joined_at: Timestamp::EPOCH,
            revoked_at: None,
            agent_version: "1".to_owned(),
            facts: MachineFacts::default(),
        };
        let mailbox = app.links.mailbox();
        let (name, number) = (machine.name.clone(), mailbox.number);
        app.change(|fleet, now| fleet.joined(machine, now));
        app.links.enter(Uuid::from_u128(1), mailbox.clone());
        let instances = ["a", "b"].map(|name| named(name, "active")).to_vec();
        app.change(|fleet, now| fleet.connected(&name, number, "1", MachineFacts::default(), instances, now));
        Self { _dir: dir, app, mailbox }
    }

    pub(super) fn is(&self, name: &str, state: State) {
        let named = named(name, state.as_str());
        let number = self.mailbox.number;
        self.app.change(|fleet, now| fleet.status(&"web-1".parse().unwrap(), number, named, now));
    }

    pub(super) async fn begin(&self, request: OperationRequest) -> OperationView {
        match self.app.begin_operation(&anna(), request).await.unwrap() {
            Begun::Begun(view) => *view,
            Begun::Planned(_) => panic!("it was no dry run"),
        }
    }

    /// Puts hooks in force.
    pub(super) fn configure(&self, hooks: Vec<Hook>) {
        self.app.configuration.put(GridConfig { hooks, ..GridConfig::default() });
        self.app.hooks.look_at_all();
    }

    /// The agent has all programs that it is to have.
    pub(super) fn has_programs(&self, desired: &Desired) {
        let ready = desired.programs.iter().map(|program| program.hash.clone()).collect();
        let told = Programs { ready, missing: Vec::new(), secrets: None };
        self.app.programs_told(&"web-1".parse().unwrap(), self.mailbox.number, &told);
    }

    /// The next order that the agent gets: its id.
    pub(super) async fn order(&self) -> Uuid {
        let orders = async {
            loop {
                let Post::Messages(messages) = self.mailbox.next().await else { panic!("the link is closed") };
                // Agents are told other things, too.
                for message in messages {
                    if let ToAgent::Order(order) = message {
                        return order.id;
                    }
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), orders).await.expect("an order comes")
    }

    pub(super) fn answer(&self, order: Uuid) {
        self.app.links.outcome(self.mailbox.number, order, Outcome::Done { message: "done".to_owned() });
    }

    /// Makes an operation that has ended one that a manager's end has interrupted: the step of a number is in hand, and
    /// was sent under this id; what comes after it was not begun.
    pub(super) async fn interrupt(&self, id: Uuid, at: u32, order: Uuid, cancelled_by: Option<&str>) {
        let steps = self.app.store.steps(id).await.unwrap();
        let rows: Vec<_> = (steps.into_iter())
            .map(|step| {
                let number = step.view.number;
                let is_inner = !matches!(
                    step.view.kind,
                    crate::grid::operation::NodeKind::Group(_) | crate::grid::operation::NodeKind::Service(_)
                );
                let state = match number.cmp(&at) {
                    _ if !is_inner => StepState::Running,
                    std::cmp::Ordering::Less => step.view.state,
                    std::cmp::Ordering::Equal => StepState::Running,
                    std::cmp::Ordering::Greater => StepState::Planned,
                };
                crate::store::operations::StepWrite {
                    operation: id,
                    number,
                    state,
                    message: String::new(),
                    order: (number == at).then_some(order),
                    started_at: step.view.started_at,
                    ended_at: step.view.ended_at,
                }
            })
            .collect();
        self.app.store.write_steps(&rows, &[]).await.unwrap();
        let mut view = self.app.store.operation(id).await.unwrap().view;
        (view.state, view.result, view.ended_at) = (OperationState::Interrupted, None, None);
        view.cancelled_by = cancelled_by.map(str::to_owned);
        self.app.record_operation(&view, None).await.unwrap();
    }

    pub(super) async fn ended(&self, id: Uuid) -> OperationView {
        for _ in 0..1000 {
            if self.app.operations.live(id).is_none() {
                return self.app.operation(&anna(), id).await.unwrap().operation;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it does not end: {:#?}", self.app.operation(&anna(), id).await);
    }
}

#[tokio::test]
async fn an_order_is_on_disk_before_it_is_sent() {
    let grid = Grid::new().await;
    let id = grid.begin(asked("stop", &["a@web-1"])).await.id;
    let order = grid.order().await;
    let steps = grid.app.store.steps(id).await.unwrap();
    assert!(steps.iter().any(|step| step.order == Some(order) && step.view.state == StepState::Running), "{steps:#?}");
    grid.answer(order);
    grid.is("a", State::Stopped);
    let ended = grid.ended(id).await;
    assert_eq!((ended.state, ended.result), (OperationState::Ended, Some(StepState::Done)));
    assert_eq!(grid.app.store.operation(id).await.unwrap().view, ended);
    assert_eq!(grid.app.operations.claims.count(), 0);
}

#[tokio::test]
async fn a_caller_sees_and_cancels_only_what_is_all_theirs() {
    let grid = Grid::new().await;
    let both = grid.begin(asked("stop", &["a@web-1", "b@web-1"])).await.id;
    let own = grid.begin(asked("start", &["a@web-1"])).await.id;
    let targets: Vec<Target> = vec!["a@web-1".parse().unwrap()];
    let limited = Caller { targets: Some(targets), ..anna() };
    assert!(grid.app.operation(&limited, own).await.is_ok());
    for refused in [
        grid.app.operation(&limited, both).await.map(drop),
        grid.app.cancel_operation(&limited, both, true).await.map(drop),
        grid.app.operation_log(&limited, both, 0, 9).await.map(drop),
        grid.app.operation(&limited, Uuid::nil()).await.map(drop),
    ] {
        assert!(matches!(refused, Err(AppError::NotFound)), "{refused:?}");
    }
    let listed = grid.app.operations(&limited, &OperationFilter::default(), None, 9).await.unwrap();
    assert_eq!(listed.items.iter().map(|view| view.id).collect::<Vec<_>>(), [own]);
    let outside = grid.app.begin_operation(&limited, asked("stop", &["b@web-1"])).await;
    assert!(matches!(outside, Err(AppError::NotAllowed(_))), "{outside:?}");
}

#[tokio::test]
async fn a_manager_s_end_leaves_what_can_be_resumed() {
    let grid = Grid::new().await;
    let id = grid.begin(asked("stop", &["a@web-1"])).await.id;
    let order = grid.order().await;
    grid.app.end_operations().await;
    // What comes now is the next manager's business.
    grid.answer(order);
    grid.is("a", State::Stopped);
    let stored = grid.app.store.operation(id).await.unwrap().view;
    assert_eq!(stored.state, OperationState::Interrupted);
    let refused = grid.app.begin_operation(&anna(), asked("stop", &["b@web-1"])).await;
    assert!(matches!(refused, Err(AppError::Conflict(_))), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_sent() {
    let grid = Grid::new().await;
    let id = grid.begin(asked("stop", &["a@web-1"])).await.id;
    let order = grid.order().await;
    grid.app.operations.recorder.freeze().await;
    grid.answer(order);
    grid.is("a", State::Stopped);
    let live = grid.app.operations.live(id).unwrap();
    let stored = grid.app.operations.recorder.begin_sending(&live, 0, Uuid::nil()).await;
    assert_eq!(stored, Err(recorder::NotStored("the manager ends".to_owned())));
}

fn of_a() -> Caller {
    Caller { targets: Some(vec!["a@web-1".parse().unwrap()]), ..anna() }
}

#[tokio::test]
async fn events_tell_of_an_operation_those_whose_it_all_is_and_its_steps_nobody() {
    let grid = Grid::new().await;
    let mut live = grid.app.journal.watch_live();
    let both = grid.begin(asked("stop", &["a@web-1", "b@web-1"])).await.id;
    grid.order().await;
    let own = grid.begin(asked("stop", &["a@web-1"])).await.id;
    let begun = grid.app.journal.last();
    // The first is in hand.
    let passing = async {
        let (mut recorded, mut seen) = (Vec::new(), Vec::new());
        loop {
            let (event, is_passing) = match live.recv().await.unwrap() {
                Told::Event(event) => (event, false),
                Told::Passing(event) => (event, true),
                Told::Lost => panic!("events were lost"),
            };
            if event.topic.kind != Kind::OperationState {
                continue;
            }
            assert_eq!(*event.topic, Topic::of_body(&event.body));
            if grid.app.sees(&of_a(), &event.topic) {
                seen.push(event.topic.operation.unwrap());
            }
            assert!(grid.app.sees(&anna(), &event.topic));
            if is_passing && event.body.contains("\"taken\":[[\"") {
                return (recorded, seen);
            }
            recorded.push(event.topic.operation.unwrap());
        }
    };
    let (recorded, seen) =
        tokio::time::timeout(std::time::Duration::from_secs(10), passing).await.expect("progress is told");
    assert!(recorded.contains(&both) && !seen.contains(&both), "{recorded:?} {seen:?}");
    assert!(!recorded.contains(&own) || seen.contains(&own), "{recorded:?} {seen:?}");
    assert!(grid.app.journal.last().seq <= begun.seq + 2, "progress is numbered");
}

#[tokio::test]
async fn one_page_looks_at_so_many_operations_and_no_more() {
    let grid = Grid::new().await;
    // The oldest is theirs, and many that are not are newer.
    let own = grid.begin(asked("stop", &["a@web-1"])).await.id;
    sqlx::query(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 600) \
         insert into operation (id, command, targets, actor, state, created_at, request) \
         select printf('ffffffff-0000-0000-0000-%012d', i), 'stop', '[]', 'bob', 'ended', 1, \
         (select request from operation) from n",
    )
    .execute(&grid.app.store.grid.write)
    .await
    .unwrap();
    let list = async |before| grid.app.operations(&of_a(), &OperationFilter::default(), before, 100).await.unwrap();
    let first = list(None).await;
    assert!(first.items.is_empty());
    let rest = list(Some(first.next.expect("there may be more").parse().unwrap())).await;
    assert_eq!((rest.items.iter().map(|view| view.id).collect::<Vec<_>>(), rest.next), (vec![own], None));
}

#[tokio::test]
async fn what_somebody_has_in_hand_is_known_whatever_is_stored() {
    let grid = Grid::new().await;
    let id = grid.begin(asked("stop", &["a@web-1"])).await.id;
    assert_eq!(grid.app.operations.in_hand_of("anna"), Some(id));
    assert_eq!(grid.app.operations.in_hand_of("bob"), None);
    grid.answer(grid.order().await);
    grid.is("a", State::Stopped);
    grid.ended(id).await;
    assert_eq!(grid.app.operations.in_hand_of("anna"), None);
}

#[tokio::test]
async fn whoever_takes_an_agent_away_is_told_which_operations_need_it() {
    let grid = Grid::new().await;
    let holding = grid.begin(asked("stop", &["a@web-1"])).await.id;
    let order = grid.order().await;
    for (command, is_warned) in
        [("stop", true), ("kill", true), ("restart", true), ("start", false), ("killstart", false)]
    {
        let dry = OperationRequest { dry_run: true, ..asked(command, &["agent@web-1"]) };
        let Begun::Planned(plan) = grid.app.begin_operation(&anna(), dry).await.unwrap() else { panic!("a dry run") };
        let words = format!("operation {holding} (stop a@web-1, by anna) holds a@web-1 and needs this agent");
        assert_eq!(plan.steps[1].message.contains(&words), is_warned, "{command}: {}", plan.steps[1].message);
        let targets = vec!["agent@web-1".parse().unwrap()];
        let told = grid.app.explain(&anna(), command.parse().unwrap(), targets).unwrap();
        assert_eq!(told.services[0].notes.iter().any(|note| note.contains(&words)), is_warned, "{command}: {told:#?}");
    }
    let view = grid.begin(asked("kill", &["agent@web-1"])).await;
    let kill = async {
        loop {
            let Post::Messages(messages) = grid.mailbox.next().await else { panic!("the link is closed") };
            if messages.iter().any(|message| matches!(message, ToAgent::AgentOrder(_))) {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), kill).await.expect("the kill");
    let step = || grid.app.operations.live(view.id).unwrap().step(1).unwrap().view;
    assert!(step().message.contains("needs this agent"), "{:?}", step());
    let log = grid.app.operation_log(&anna(), view.id, 0, 9).await.unwrap().items;
    assert!(log[0].step == 1 && log[0].text.starts_with(&format!("warning: operation {holding}")), "{log:?}");
    grid.answer(order);
}

#[tokio::test]
async fn why_a_service_was_not_begun_is_the_true_reason() {
    let grid = Grid::new().await;
    let said = async |id: Uuid| {
        grid.ended(id).await;
        let detail = grid.app.operation(&anna(), id).await.unwrap();
        let is_service = |kind: &NodeKind| matches!(kind, NodeKind::Service(_));
        let skipped = detail.steps.iter().find(|step| is_service(&step.kind) && step.state == StepState::Skipped);
        skipped.unwrap().message.clone()
    };
    let both = asked("stop", &["a@web-1", "b@web-1"]);
    let superseded = grid.begin(both.clone()).await.id;
    grid.order().await;
    grid.app.operations.claims.supersede(&"a@web-1".parse().unwrap(), "a kill by bob");
    assert_eq!(said(superseded).await, "not begun: a@web-1 was superseded by a kill");

    let refused = grid.begin(both.clone()).await.id;
    let order = grid.order().await;
    let outcome = Outcome::Refused { message: "the machine's own file".to_owned() };
    grid.app.links.outcome(grid.mailbox.number, order, outcome);
    assert_eq!(said(refused).await, "not begun: a@web-1 was refused");

    let cancelled = grid.begin(both).await.id;
    let order = grid.order().await;
    grid.app.cancel_operation(&anna(), cancelled, false).await.unwrap();
    grid.answer(order);
    grid.is("a", State::Stopped);
    assert_eq!(said(cancelled).await, "not begun: the operation was cancelled");
}
