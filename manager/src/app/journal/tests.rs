use super::*;
use crate::{grid::event::Kind, store::temporary};

fn draft(name: &str) -> Draft {
    Draft::new(Kind::Trigger).actor(name)
}

async fn journal() -> (tempfile::TempDir, Arc<Journal>) {
    let (dir, store) = temporary().await;
    store.meta(None).await.unwrap();
    (dir, Journal::start(store, 1).await.unwrap())
}

async fn next(live: &mut broadcast::Receiver<Told>) -> Published {
    match live.recv().await.unwrap() {
        Told::Event(event) => event,
        Told::Passing(event) => panic!("it is not recorded: {event:?}"),
        Told::Lost => panic!("events were lost"),
    }
}

async fn resumed(journal: &Journal, seq: u64) -> Option<Vec<u64>> {
    match journal.watch(EventId { epoch: 1, seq }).await.unwrap().0 {
        Start::Resume(events) => Some(events.iter().map(|event| event.seq).collect()),
        Start::Reset => None,
    }
}

/// Breaks the history, as a full disk does, or mends it.
async fn set_broken(journal: &Journal, broken: bool) {
    let sql = match broken {
        true => "create trigger broken before insert on event begin select raise(abort, 'broken'); end",
        false => "drop trigger broken",
    };
    sqlx::query(sql).execute(&journal.store.history.write).await.unwrap();
}

#[tokio::test]
async fn events_are_told_in_order_and_can_be_resumed() {
    let (_dir, journal) = journal().await;
    let mut live = journal.watch_live();
    journal.record(draft("a")).await.unwrap();
    journal.tell(draft("b"));
    let first = next(&mut live).await;
    let second = next(&mut live).await;
    assert!(first.seq < second.seq && second.body.contains("\"b\""));

    assert_eq!(resumed(&journal, first.seq).await, Some(vec![second.seq]));
}

#[tokio::test]
async fn an_unknown_id_begins_anew() {
    let (_dir, journal) = journal().await;
    for since in [EventId { epoch: 2, seq: 1 }, EventId { epoch: 1, seq: 999_999 }] {
        assert!(matches!(journal.watch(since).await.unwrap().0, Start::Reset), "{since}");
    }
}

#[tokio::test]
async fn a_change_that_fails_is_not_told() {
    let (_dir, journal) = journal().await;
    let mut live = journal.watch_live();
    let failed = journal.record_with(draft("a"), async |_| Err::<(), _>(StoreError::NotFound)).await;
    assert!(matches!(failed, Err(StoreError::NotFound)));
    journal.record(draft("b")).await.unwrap();
    assert!(next(&mut live).await.body.contains("\"b\""));
}

#[tokio::test]
async fn what_could_not_be_written_is_written_later() {
    let (_dir, journal) = journal().await;
    set_broken(&journal, true).await;
    let mut live = journal.watch_live();
    for name in ["a", "b", "c"] {
        journal.tell(draft(name));
    }
    let first = next(&mut live).await.seq;
    assert_eq!(next(&mut live).await.seq, first + 1);
    assert_eq!(next(&mut live).await.seq, first + 2);
    assert_eq!(resumed(&journal, first).await, Some(vec![first + 1, first + 2]));
    assert_eq!(journal.store.events_after(0, 9).await.unwrap(), []);
    set_broken(&journal, false).await;
    journal.end().await;
    assert_eq!(journal.store.events_after(0, 9).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_was_never_written_and_left_memory_is_no_silent_gap() {
    let (_dir, journal) = journal().await;
    journal.record(draft("before")).await.unwrap();
    let before = journal.last().seq;
    set_broken(&journal, true).await;
    let mut live = journal.watch_live();
    for _ in 0..=RECENT {
        journal.tell(draft("a"));
    }
    while next(&mut live).await.seq <= before + RECENT as u64 {}
    assert_eq!(resumed(&journal, before).await, None);
    assert_eq!(resumed(&journal, before + 1).await.map(|events| events.len()), Some(RECENT));
    // A restarted manager knows it too.
    set_broken(&journal, false).await;
    journal.end().await;
    assert_eq!(journal.store.floor(0).await.unwrap(), before + 1);
}

#[tokio::test]
async fn whoever_watches_hears_of_a_loss_once_what_came_before_it_is_told() {
    let (_dir, journal) = journal().await;
    let mut live = journal.watch_live();
    // Nothing else runs before the queue is full.
    for _ in 0..QUEUE {
        journal.remember_link(Uuid::nil(), LastLink::Linked { heard: Timestamp::EPOCH });
    }
    journal.tell(draft("lost"));
    assert!(matches!(live.recv().await.unwrap(), Told::Lost));
    let before = journal.last().seq;
    assert_eq!(resumed(&journal, before).await, Some(vec![]));
    journal.tell(draft("after"));
    assert!(next(&mut live).await.seq > before);
}
