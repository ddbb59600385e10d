use super::*;
use crate::{
    grid::{
        audit::Deed,
        command::Command,
        event::{Draft, Event, Kind},
        operation::{Node, ServiceNode, Signal, SignalNode},
        view::ServiceType,
    },
    store::temporary,
};

fn event(seq: u64) -> EventRow {
    let deed = Deed::of_stranger("anna", "here", "stop", "a@web-1");
    let draft = Draft::new(Kind::OperationState).deed(deed);
    EventRow::of(seq, &Event { id: format!("1-{seq}"), at: Timestamp::EPOCH, draft })
}

fn tree() -> Tree {
    let service = |name: &str| {
        NodeKind::Service(ServiceNode {
            service: name.parse().unwrap(),
            machine: "web-1".parse().unwrap(),
            r#type: ServiceType::Instance,
            collection: None,
            impossible: None,
            gone: false,
        })
    };
    let signal = NodeKind::Signal(SignalNode { signal: Signal::Stop, if_stop_timed_out: false });
    let kinds = [(None, service("a@web-1")), (Some(0), signal), (None, service("b@web-1"))];
    Tree { nodes: kinds.map(|(parent, kind)| Node { parent, kind }).into() }
}

fn view(id: u128, actor: &str) -> OperationView {
    OperationView {
        id: Uuid::from_u128(id),
        command: Command::Stop,
        targets: vec!["a@web-1".to_owned()],
        state: OperationState::Running,
        result: None,
        message: String::new(),
        actor: actor.to_owned(),
        created_at: Timestamp::from_millis(5),
        ended_at: None,
        retry_of: None,
        cancelled_by: None,
        services: Counts { total: 2, planned: 2, ..Counts::default() },
        interruptions: Vec::new(),
        progress_interval_ms: None,
    }
}

fn asked() -> OperationRequest {
    serde_json::from_value(json!({"command": "stop", "targets": ["a@web-1"]})).unwrap()
}

async fn with(ids: &[(u128, &str)]) -> (tempfile::TempDir, Store) {
    let (dir, store) = temporary().await;
    for (seq, (id, actor)) in (1..).zip(ids) {
        store.add_operation(&event(seq), &view(*id, actor), &asked(), &tree()).await.unwrap();
    }
    (dir, store)
}

fn ended(number: u32, order: Option<Uuid>) -> StepWrite {
    StepWrite {
        operation: Uuid::from_u128(1),
        number,
        state: StepState::Done,
        message: "SIGTERM sent".to_owned(),
        order,
        started_at: Some(Timestamp::from_millis(6)),
        ended_at: Some(Timestamp::from_millis(7)),
    }
}

#[tokio::test]
async fn an_operation_is_what_was_stored() {
    let (_dir, store) = with(&[(1, "anna")]).await;
    let id = Uuid::from_u128(1);
    assert_eq!(store.operation(id).await.unwrap(), StoredOperation { view: view(1, "anna"), asked: asked() });
    let steps = store.steps(id).await.unwrap();
    let kinds: Vec<_> = steps.iter().map(|step| step.view.kind.clone()).collect();
    assert_eq!(kinds, tree().nodes.into_iter().map(|node| node.kind).collect::<Vec<_>>());
    assert_eq!((steps[1].view.parent, steps[1].view.state, steps[1].order), (Some(0), StepState::Planned, None));
    assert_eq!(store.events_after(0, 9).await.unwrap().len(), 1);
    let services: Vec<String> =
        store.services_of_operation(id).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(services, ["a@web-1", "b@web-1"]);
}

#[tokio::test]
async fn a_step_keeps_the_id_of_what_was_sent_for_it() {
    let (_dir, store) = with(&[(1, "anna"), (2, "bob")]).await;
    let (id, order) = (Uuid::from_u128(1), Uuid::from_u128(7));
    let line = LogLine { number: 1, at: Timestamp::from_millis(8), step: 1, text: "stop: SIGTERM sent".to_owned() };
    store.write_steps(&[ended(1, Some(order))], &[(id, line.clone())]).await.unwrap();
    store.write_steps(&[ended(1, None)], &[]).await.unwrap();
    let steps = store.steps(id).await.unwrap();
    assert_eq!((steps[1].order, steps[1].view.state), (Some(order), StepState::Done));
    assert_eq!(steps[1].view.ended_at, Some(Timestamp::from_millis(7)));
    assert_eq!(store.steps(Uuid::from_u128(2)).await.unwrap()[1].view.state, StepState::Planned);
    assert_eq!(store.operation_log(id, 0, 9).await.unwrap(), [line]);
    assert_eq!(store.operation_log(id, 1, 9).await.unwrap(), []);
    assert_eq!(store.size_of_log(id).await.unwrap(), (1, 18));
}

#[tokio::test]
async fn the_table_of_lists() {
    let (_dir, store) = with(&[(1, "anna"), (2, "bob"), (3, "anna")]).await;
    let mut done = view(3, "anna");
    (done.state, done.result) = (OperationState::Ended, Some(StepState::Done));
    store.change_operation(&event(9), &done, None).await.unwrap();
    let any = OperationFilter::default;
    let service = |name: &str| Some(name.parse().unwrap());
    for (filter, before, expected) in [
        (any(), None, &[3, 2, 1][..]),
        (any(), Some(3), &[2, 1]),
        (OperationFilter { actor: Some("anna".to_owned()), ..any() }, None, &[3, 1]),
        (OperationFilter { state: Some(OperationState::Running), ..any() }, None, &[2, 1]),
        (OperationFilter { service: service("b@web-1"), ..any() }, None, &[3, 2, 1]),
        (OperationFilter { service: service("c@web-1"), ..any() }, None, &[]),
    ] {
        let found = store.operations(&filter, before.map(Uuid::from_u128), 9).await.unwrap();
        assert_eq!(found.iter().map(|view| view.id.as_u128()).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let left = store.unended_operations().await.unwrap();
    assert_eq!(left.iter().map(|left| left.view.id.as_u128()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.operation(Uuid::from_u128(3)).await.unwrap().view, done);
}

#[tokio::test]
async fn the_oldest_that_have_ended_go_with_all_that_is_theirs() {
    let (_dir, store) = with(&[(1, "anna"), (2, "anna"), (3, "anna")]).await;
    for id in [1, 3] {
        let done = OperationView { state: OperationState::Ended, ..view(id, "anna") };
        store.change_operation(&event(10 + u64::try_from(id).unwrap()), &done, Some(5)).await.unwrap();
    }
    // By their number, by their steps, three each, and by the bytes of their logs.
    store.trim_operations_to(3, 9, 10).await.unwrap();
    assert_eq!(store.operations(&OperationFilter::default(), None, 9).await.unwrap().len(), 3);
    store.trim_operations_to(3, 8, 10).await.unwrap();
    let left = store.operations(&OperationFilter::default(), None, 9).await.unwrap();
    assert_eq!(left.iter().map(|view| view.id.as_u128()).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(store.steps(Uuid::from_u128(1)).await.unwrap(), []);
    // One that has not ended stays.
    store.trim_operations_to(0, 0, 0).await.unwrap();
    assert_eq!(store.operations(&OperationFilter::default(), None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_oldest_go_when_logs_are_too_long() {
    let (_dir, store) = with(&[(1, "anna"), (2, "anna")]).await;
    for (id, bytes) in [(1, Some(5)), (2, Some(5))] {
        let done = OperationView { state: OperationState::Ended, ..view(id, "anna") };
        store.change_operation(&event(10 + u64::try_from(id).unwrap()), &done, bytes).await.unwrap();
        // What is not said stays.
        store.change_operation(&event(20 + u64::try_from(id).unwrap()), &done, None).await.unwrap();
    }
    store.trim_operations_to(9, 99, 10).await.unwrap();
    assert_eq!(store.operations(&OperationFilter::default(), None, 9).await.unwrap().len(), 2);
    store.trim_operations_to(9, 99, 9).await.unwrap();
    let left = store.operations(&OperationFilter::default(), None, 9).await.unwrap();
    assert_eq!(left.iter().map(|view| view.id.as_u128()).collect::<Vec<_>>(), [2]);
    let of = store.services_of_operations(&[Uuid::from_u128(1), Uuid::from_u128(2)]).await.unwrap();
    assert_eq!(of.keys().map(Uuid::as_u128).collect::<Vec<_>>(), [2]);
    assert_eq!(of[&Uuid::from_u128(2)].len(), store.services_of_operation(Uuid::from_u128(2)).await.unwrap().len());
}
