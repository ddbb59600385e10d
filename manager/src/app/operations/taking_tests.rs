//! Operations that were interrupted are taken up again, left, or cancelled before.

use std::time::Duration;

use protocol::{link::ToAgent, state::State};
use uuid::Uuid;

use super::tests::{Grid, anna, asked, holder, hook};
use crate::{
    app::{AppError, links::Post},
    grid::{
        access::Caller,
        command::Command,
        config::{Mode, parse::parse},
        operation::{NodeKind, StepState, view::OperationState},
    },
};

const ORDER: Uuid = Uuid::from_u128(7);

/// An operation that has ended.
async fn ended(grid: &Grid, command: &str, targets: &[&str]) -> Uuid {
    let id = grid.begin(asked(command, targets)).await.id;
    grid.ended(id).await;
    id
}

#[tokio::test]
async fn a_kill_that_is_cancelled_supersedes_nobody() {
    let grid = Grid::new().await;
    grid.is("a", State::Stopped);
    let kill = ended(&grid, "kill", &["a@web-1"]).await;
    // The group, the service, and the signal.
    grid.interrupt(kill, 2, ORDER, None).await;
    grid.is("a", State::Active);
    let healthy = grid.begin(asked("stop", &["a@web-1"])).await.id;
    let order = grid.order().await;
    grid.app.cancel_operation(&anna(), kill, false).await.unwrap();
    assert_eq!(grid.ended(kill).await.result, Some(StepState::Cancelled));
    grid.answer(order);
    grid.is("a", State::Stopped);
    assert_eq!(grid.ended(healthy).await.result, Some(StepState::Done));
}

#[tokio::test]
async fn of_two_who_resume_one_does() {
    let grid = Grid::new().await;
    grid.is("a", State::Stopped);
    let id = ended(&grid, "stop", &["a@web-1"]).await;
    grid.interrupt(id, 2, ORDER, None).await;
    let (anna, bob) = (anna(), anna());
    let (one, other) = tokio::join!(grid.app.resume_operation(&anna, id), grid.app.resume_operation(&bob, id));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(grid.order().await, ORDER);
    grid.answer(ORDER);
    grid.ended(id).await;
    let again = grid.app.resume_operation(&anna, id).await;
    assert!(matches!(again, Err(AppError::Conflict(_))), "{again:?}");
}

#[tokio::test]
async fn what_was_cancelled_only_finishes_what_was_in_hand() {
    let grid = Grid::new().await;
    for name in ["a", "b"] {
        grid.is(name, State::Stopped);
    }
    let id = ended(&grid, "stop", &["a@web-1", "b@web-1"]).await;
    grid.interrupt(id, 2, ORDER, Some("bob")).await;
    let second = grid.app.store.steps(id).await.unwrap();
    let second = second.iter().filter(|step| matches!(step.view.kind, NodeKind::Service(_))).nth(1).unwrap();
    let planned = crate::store::operations::StepWrite {
        operation: id,
        number: second.view.number,
        state: StepState::Planned,
        message: String::new(),
        order: None,
        started_at: None,
        ended_at: None,
    };
    grid.app.store.write_steps(&[planned], &[]).await.unwrap();
    let view = grid.app.resume_operation(&anna(), id).await.unwrap();
    assert_eq!(view.state, OperationState::Cancelling);
    assert!(view.message.contains("cancelled by bob"), "{}", view.message);
    assert_eq!(grid.order().await, ORDER);
    grid.answer(ORDER);
    assert_eq!(grid.ended(id).await.result, Some(StepState::Cancelled));
    let steps = grid.app.store.steps(id).await.unwrap();
    assert_eq!(steps[second.view.number as usize].view.state, StepState::Skipped, "{steps:#?}");
}

#[tokio::test]
async fn a_hook_in_hand_is_abandoned_by_the_cancel() {
    let grid = Grid::new().await;
    grid.configure(vec![hook("pre-stop", "a@web-1", "none.sh")]);
    let id = ended(&grid, "stop", &["a@web-1"]).await;
    grid.interrupt(id, 2, ORDER, None).await;
    grid.app.cancel_operation(&anna(), id, true).await.unwrap();
    grid.ended(id).await;
    let abandoned = async {
        loop {
            let Post::Messages(messages) = grid.mailbox.next().await else { panic!("the link is closed") };
            if messages.iter().any(|message| matches!(message, ToAgent::AbandonHook { run } if *run == ORDER)) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), abandoned).await.expect("it is told to end the hook");
}

#[tokio::test]
async fn an_agent_that_is_there_needs_no_start() {
    let grid = Grid::new().await;
    let id = grid.begin(asked("start", &["agents"])).await.id;
    assert_eq!(grid.ended(id).await.result, Some(StepState::Ignored));
}

#[tokio::test]
async fn a_kill_without_need_takes_nothing_from_anybody() {
    let grid = Grid::new().await;
    grid.is("a", State::Stopped);
    let holder = holder(Command::Stop);
    let claims = &grid.app.operations.claims;
    let claim = claims.claim(&"a@web-1".parse().unwrap(), holder.clone(), false).unwrap();
    let id = grid.begin(asked("kill", &["a@web-1"])).await.id;
    assert_eq!(grid.ended(id).await.result, Some(StepState::Ignored));
    assert_eq!(claims.holder(&"a@web-1".parse().unwrap()), Some(holder));
    // Who may see only some services learns nothing of whom it is held by.
    let limited = Caller { targets: Some(vec!["a@web-1".parse().unwrap()]), ..anna() };
    let begun = grid.app.begin_operation(&limited, asked("start", &["a@web-1"])).await.unwrap();
    let super::Begun::Begun(view) = begun else { panic!("it was no dry run") };
    let ended = grid.ended(view.id).await;
    assert_eq!((ended.result, ended.message.as_str()), (Some(StepState::Conflict), "held by another operation"));
    drop(claim);
}

#[tokio::test]
async fn a_kill_goes_before_a_start_that_has_no_process_yet() {
    let grid = Grid::new().await;
    grid.is("a", State::Stopped);
    let claim = grid.app.operations.claims.claim(&"a@web-1".parse().unwrap(), holder(Command::Restart), false).unwrap();
    let id = grid.begin(asked("kill", &["a@web-1"])).await.id;
    assert!(claim.superseded().await.contains("(kill a@web-1, by anna)"));
    assert_eq!(grid.ended(id).await.result, Some(StepState::Ignored));
}

#[tokio::test]
async fn a_limited_caller_s_all_is_not_the_grid() {
    let grid = Grid::new().await;
    grid.configure(vec![hook("pre-restart", "grid", "none.sh")]);
    let limited = Caller { targets: Some(vec!["a@web-1".parse().unwrap()]), ..anna() };
    for (caller, hooks) in [(anna(), 1), (limited, 0)] {
        let tree = grid.app.plan_operation(&caller, &asked("restart", &["all"])).unwrap();
        let found = tree.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Hook(_))).count();
        assert_eq!(found, hooks, "{tree:#?}");
    }
}

#[tokio::test]
async fn what_was_said_of_several_targets_is_not_said_of_the_collection_that_is_left_of_them() {
    let grid = Grid::new().await;
    let front = parse("[collection.front]\nmembers = [\"a@web-1\", \"b@web-1\"]\n").config;
    grid.app.configuration.put(front);
    let mut asked = asked("restart", &["gone@web-1", "front"]);
    asked.order.mode = Some(Mode::Parallel);
    let left = ["a@web-1", "b@web-1"].map(|name| name.parse().unwrap()).into();
    let tree = grid.app.plan_again(&anna(), &asked, &left).unwrap();
    let NodeKind::Group(root) = &tree.nodes[0].kind else { panic!("no group") };
    assert_eq!((root.collection.as_ref().map(|name| name.as_str()), root.mode), (Some("front"), Mode::Sequential));
}

#[tokio::test]
async fn what_hangs_does_not_keep_a_kill_out() {
    let grid = Grid::new().await;
    let operations = &grid.app.operations;
    let _held: Vec<_> = (0..super::MOST_IN_HAND).map(|_| operations.room(Command::Stop).unwrap()).collect();
    assert!(operations.room(Command::Restart).is_err());
    assert!(operations.room(Command::Kill).is_ok() && operations.room(Command::Killstart).is_ok());
}

#[tokio::test]
async fn when_it_was_interrupted_and_who_resumed_it_stays_known() {
    let grid = Grid::new().await;
    grid.is("a", State::Stopped);
    let id = ended(&grid, "stop", &["a@web-1"]).await;
    let last_known = {
        let steps = grid.app.store.steps(id).await.unwrap();
        steps.iter().filter_map(|step| step.view.started_at.max(step.view.ended_at)).max().unwrap()
    };
    for round in 1..=2 {
        grid.interrupt(id, 2, ORDER, None).await;
        // As a manager that was killed leaves it.
        sqlx::query("update operation set state = 'running'").execute(&grid.app.store.grid.write).await.unwrap();
        grid.app.interrupt_left().await.unwrap();
        let view = grid.app.operation(&anna(), id).await.unwrap().operation;
        let last = view.interruptions.last().unwrap();
        assert_eq!((view.state, view.interruptions.len()), (OperationState::Interrupted, round));
        assert_eq!((last.exact, last.resumed_at, &last.resumed_by), (false, None, &None));
        assert!(last.at >= last_known && last.at <= protocol::time::Timestamp::now(), "{last:?}");
        let resumed = grid.app.resume_operation(&anna(), id).await.unwrap();
        assert_eq!(resumed.interruptions.last().unwrap().resumed_by.as_deref(), Some("anna"));
        assert_eq!(grid.order().await, ORDER);
        grid.answer(ORDER);
        grid.ended(id).await;
        let stored = grid.app.store.operation(id).await.unwrap().view;
        assert_eq!(stored.interruptions.len(), round);
        assert!(stored.interruptions.iter().all(|one| one.resumed_at >= Some(one.at)), "{stored:?}");
    }
}
