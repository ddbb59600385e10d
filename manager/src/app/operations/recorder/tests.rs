use super::*;
use crate::{
    app::temporary::app,
    grid::{
        access::{Caller, Role},
        audit::Deed,
        operation::{Tree, request::OperationRequest, view::OperationNews},
    },
    store::events::EventRow,
};

/// An operation of two steps, of which nothing is stored.
fn live(id: u128) -> Arc<Live> {
    let view = serde_json::json!({
        "id": Uuid::from_u128(id), "command": "stop", "targets": ["a@web-1"], "state": "running", "result": null,
        "message": "", "actor": "anna", "created_at": Timestamp::EPOCH, "ended_at": null, "retry_of": null,
        "services": {"total": 0, "planned": 0, "running": 0, "done": 0, "ignored": 0, "failed": 0, "skipped": 0},
    });
    let step = |number: u32| {
        let step = serde_json::json!({
            "number": number, "parent": number.checked_sub(1), "kind": "delay", "delay_ms": 1, "state": "planned",
            "started_at": null, "ended_at": null,
        });
        StoredStep { view: serde_json::from_value(step).unwrap(), order: None }
    };
    let asked = serde_json::json!({"command": "stop", "targets": ["a@web-1"]});
    let asked: OperationRequest = serde_json::from_value(asked).unwrap();
    let deed = Deed::of(&Caller::at_socket("anna".to_owned(), Some(Role::Operator)), "stop", "a@web-1".to_owned());
    Arc::new(Live::new(serde_json::from_value(view).unwrap(), asked, deed, vec![step(0), step(1)], (0, 0)))
}

async fn store(store: &Store, live: &Live) {
    let steps = live.steps();
    let nodes = steps
        .iter()
        .map(|step| crate::grid::operation::Node { parent: step.view.parent, kind: step.view.kind.clone() });
    let tree = Tree { nodes: nodes.collect() };
    let event =
        EventRow { seq: 1_000_000 + live.id.as_u128() as u64, at: Timestamp::EPOCH, body: "{}".to_owned(), deed: None };
    store.add_operation(&event, &live.view(), &live.asked, &tree).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_stops_nothing_else() {
    let (_dir, app) = app().await;
    let (bad, good) = (live(1), live(2));
    store(&app.store, &good).await;
    let recorder = Recorder::start(app.store.clone(), app.journal.clone());
    // There is no operation of which this is a line.
    for text in ["one", "two", "three"] {
        recorder.line_now(&bad, 0, text);
        recorder.line_now(&good, 0, text);
    }
    recorder.change(&good, 0, Change::End { state: StepState::Done, message: "it is done".to_owned() }).await;
    recorder.flush().await.unwrap();
    let log = app.store.operation_log(good.id, 0, 9).await.unwrap();
    assert_eq!(log.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(app.store.steps(good.id).await.unwrap()[0].view.state, StepState::Done);
}

#[tokio::test]
async fn a_step_that_cannot_be_written_is_tried_again_and_nobody_says_that_it_is() {
    let (_dir, app) = app().await;
    let (bad, good) = (live(1), live(2));
    store(&app.store, &good).await;
    store(&app.store, &bad).await;
    let forbid = format!(
        "create trigger forbid before update on step when new.operation = '{}' begin select raise(abort, 'no'); end",
        bad.id
    );
    sqlx::query(sqlx::AssertSqlSafe(forbid)).execute(&app.store.grid.write).await.unwrap();
    let recorder = Recorder::start(app.store.clone(), app.journal.clone());
    let end = || Change::End { state: StepState::Done, message: String::new() };
    recorder.change(&bad, 0, end()).await;
    recorder.change(&good, 0, end()).await;
    recorder.flush().await.unwrap_err();
    assert_eq!(app.store.steps(good.id).await.unwrap()[0].view.state, StepState::Done);
    sqlx::query("drop trigger forbid").execute(&app.store.grid.write).await.unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(app.store.steps(bad.id).await.unwrap()[0].view.state, StepState::Done);
}

#[tokio::test]
async fn steps_and_logs_are_told_to_those_who_watch_the_operation_alone() {
    let (_dir, app) = app().await;
    let live = live(2);
    store(&app.store, &live).await;
    let recorder = Recorder::start(app.store.clone(), app.journal.clone());
    let (before, (_, mut news)) = (app.journal.last(), live.watch());
    recorder.line(&live, 0, "a secret of others").await;
    recorder.flush().await.unwrap();
    assert!(news.recv().await.is_ok());
    assert_eq!(app.journal.last(), before);
}

#[tokio::test]
async fn what_happens_in_one_commit_is_told_as_it_happened() {
    let (_dir, app) = app().await;
    let live = live(2);
    store(&app.store, &live).await;
    let (_, mut news) = live.watch();
    let (queue, entries) = mpsc::channel(16);
    let recorder = Recorder(queue);
    // Everything is there before the writer is.
    recorder.change(&live, 0, Change::Begin { order: None, message: String::new() }).await;
    recorder.change(&live, 1, Change::Begin { order: None, message: String::new() }).await;
    recorder.line(&live, 1, "a line").await;
    recorder.change(&live, 1, Change::End { state: StepState::Done, message: String::new() }).await;
    recorder.change(&live, 0, Change::End { state: StepState::Done, message: String::new() }).await;
    tokio::spawn(Writer::over(app.store.clone(), app.journal.clone(), entries).run());
    recorder.flush().await.unwrap();
    let mut told = Vec::new();
    while let Ok(news) = news.try_recv() {
        told.push(match &*news {
            OperationNews::Step(step) => step.number.to_string(),
            OperationNews::Log(line) => line.text.clone(),
            _ => String::new(),
        });
    }
    assert_eq!(told, ["a line", "1", "0"]);
}

#[test]
fn what_waits_is_bounded_in_lines_and_bytes() {
    let line = |bytes: usize| {
        let text = "x".repeat(bytes);
        (Uuid::nil(), LogLine { number: 1, at: Timestamp::EPOCH, step: 0, text })
    };
    assert_eq!(owed(&vec![line(1); OWED_LINES + 1]), OWED_LINES);
    assert_eq!(owed(&vec![line(OWED_BYTES / 4); 5]), 4);
}
