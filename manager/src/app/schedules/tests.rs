//! Schedules, with a clock that the test sets.

use std::sync::Mutex;

use super::*;
use crate::{
    app::{AppError, temporary},
    grid::{command::Command, config::GridConfig, event::EventId},
};

/// What is begun, and how that goes.
#[derive(Clone, Default)]
struct Began(Arc<Mutex<Vec<(Caller, OperationRequest)>>>);

impl Began {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

struct Stage {
    _dir: tempfile::TempDir,
    app: Arc<App>,
    keeper: Keeper,
    began: Began,
}

fn day(time: &str) -> Timestamp {
    format!("2026-01-01T{time}Z").parse().unwrap()
}

fn schedule(cron: &str) -> Schedule {
    Schedule {
        cron: cron.to_owned(),
        timezone: "UTC".to_owned(),
        command: Command::Restart,
        targets: vec!["front".parse().unwrap()],
        enabled: true,
    }
}

async fn put(app: &App, schedules: &[(&str, Schedule)]) {
    let schedules = schedules.iter().map(|(name, schedule)| ((*name).to_owned(), schedule.clone())).collect();
    app.configuration.put(GridConfig { schedules, ..GridConfig::default() });
}

async fn store_operation(app: &App, id: Uuid, state: &str, at: Timestamp) {
    sqlx::query(
        "insert into operation (id, command, targets, actor, state, created_at, request) \
         values (?, 'restart', '[]', 'schedule:nightly', ?, ?, '{}') on conflict do update set state = excluded.state",
    )
    .bind(id.to_string())
    .bind(state)
    .bind(at.as_millis())
    .execute(&app.store.grid.write)
    .await
    .unwrap();
}

/// A keeper whose operations are stored as running, and do nothing; one of a target `gone` cannot begin.
fn keeper(app: &Arc<App>, began: &Began) -> Keeper {
    let (began, store) = (began.clone(), app.clone());
    Keeper::beginning(app.clone(), move |caller, request| {
        let (began, app) = (began.clone(), store.clone());
        Box::pin(async move {
            if request.targets[0].to_string() == "gone" {
                return Err(AppError::Invalid("there is no such thing".to_owned()));
            }
            let id = Uuid::from_u128(began.count() as u128 + 1);
            began.0.lock().unwrap().push((caller, request));
            store_operation(&app, id, "running", day("00:00:00")).await;
            Ok(id)
        })
    })
}

/// A manager with the schedule `nightly`, first looked at at nine.
async fn stage(schedule: Schedule) -> Stage {
    let (dir, app) = temporary::app().await;
    put(&app, &[("nightly", schedule)]).await;
    let began = Began::default();
    let mut keeper = keeper(&app, &began);
    keeper.read(day("09:00:00")).await.unwrap();
    keeper.look(day("09:00:00")).await;
    Stage { _dir: dir, app, keeper, began }
}

impl Stage {
    /// What became of the schedule: how many runs were begun, how many missed, and why the last of them.
    async fn so_far(&self) -> (usize, u64, String) {
        let row = self.app.store.schedules().await.unwrap().remove(0);
        (self.began.count(), row.missed, row.last_missed)
    }

    async fn end_operation(&self, number: u128) {
        store_operation(&self.app, Uuid::from_u128(number), "ended", day("00:00:00")).await;
    }

    /// The manager ends, and starts again.
    async fn restart(&mut self, at: Timestamp) {
        self.keeper = keeper(&self.app, &self.began);
        self.keeper.read(at).await.unwrap();
        self.keeper.look(at).await;
    }
}

#[tokio::test]
async fn a_run_begins_when_it_is_due_and_once() {
    let mut stage = stage(schedule("*/10 * * * *")).await;
    assert_eq!(stage.keeper.look(day("09:09:59")).await, Some(day("09:10:00")));
    assert_eq!(stage.began.count(), 0);
    for time in ["09:10:00", "09:10:00.500", "09:10:30"] {
        assert_eq!(stage.keeper.look(day(time)).await, Some(day("09:20:00")));
    }
    assert_eq!(stage.so_far().await, (1, 0, String::new()));
    let (caller, request) = stage.began.0.lock().unwrap()[0].clone();
    assert_eq!((caller.name.as_str(), caller.role), ("schedule:nightly", Some(Role::Operator)));
    assert_eq!((request.command, request.targets), (Command::Restart, vec!["front".parse().unwrap()]));
}

#[tokio::test]
async fn one_run_at_a_time() {
    let mut stage = stage(schedule("*/10 * * * *")).await;
    stage.keeper.look(day("09:10:00")).await;
    stage.keeper.look(day("09:20:00")).await;
    let why = format!("the run before goes on: operation {}", Uuid::from_u128(1));
    assert_eq!(stage.so_far().await, (1, 1, why.clone()));
    stage.end_operation(1).await;
    stage.keeper.look(day("09:30:00")).await;
    assert_eq!(stage.so_far().await, (2, 1, why));
}

#[tokio::test]
async fn what_was_due_while_the_manager_was_away_is_missed_and_not_caught_up() {
    let mut stage = stage(schedule("*/10 * * * *")).await;
    let watching = EventId { epoch: stage.app.meta.epoch, seq: stage.app.journal.last().seq };
    stage.restart(day("09:30:01")).await;
    assert_eq!(stage.so_far().await, (0, 3, "the manager was not running".to_owned()));
    let told = stage.app.journal.recent_after(watching.seq).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told[0].body).unwrap();
    assert_eq!((&told["kind"], &told["data"]["schedule"]), (&"schedule.missed".into(), &"nightly".into()));
    assert_eq!((&told["data"]["count"], &told["data"]["last_due"]), (&3.into(), &"2026-01-01T09:30:00.000Z".into()));
    // Said once, also over another restart.
    stage.restart(day("09:31:00")).await;
    stage.keeper.look(day("09:40:00")).await;
    assert_eq!(stage.so_far().await, (1, 3, "the manager was not running".to_owned()));
}

#[tokio::test]
async fn a_run_that_began_just_before_the_manager_ended_is_not_missed() {
    let mut stage = stage(schedule("0 10 * * *")).await;
    store_operation(&stage.app, Uuid::from_u128(9), "interrupted", day("10:00:00.004")).await;
    stage.restart(day("10:05:00")).await;
    assert_eq!(stage.so_far().await, (0, 0, String::new()));
    let row = stage.app.store.schedules().await.unwrap().remove(0);
    assert_eq!((row.last_operation, row.last_at), (Some(Uuid::from_u128(9)), Some(day("10:00:00.004"))));
}

#[tokio::test]
async fn a_clock_that_jumps_is_noticed() {
    let mut stage = stage(schedule("0 * * * *")).await;
    stage.keeper.look(day("12:30:00")).await;
    let (began, missed, why) = stage.so_far().await;
    assert_eq!((began, missed), (0, 3));
    assert!(why.contains("the clock of the manager's host was set forward"), "{why}");
    // Back by an hour, and nothing is done again; back by a day, and it begins anew.
    assert_eq!(stage.keeper.look(day("11:30:00")).await, Some(day("13:00:00")));
    let yesterday = day("11:30:00").before(Duration::from_secs(86_400));
    assert_eq!(stage.keeper.look(yesterday).await, Some(yesterday.after(Duration::from_secs(1800))));
}

#[tokio::test]
async fn what_cannot_begin_is_missed_with_the_reason() {
    let gone = Schedule { targets: vec!["gone".parse().unwrap()], ..schedule("0 * * * *") };
    let mut stage = stage(gone).await;
    stage.keeper.look(day("10:00:00")).await;
    assert_eq!(stage.so_far().await, (0, 1, "it could not begin: there is no such thing".to_owned()));
}

#[tokio::test]
async fn a_changed_schedule_counts_from_the_change_on() {
    let mut stage = stage(Schedule { enabled: false, ..schedule("*/10 * * * *") }).await;
    assert_eq!(stage.keeper.look(day("09:30:00")).await, None);
    put(&stage.app, &[("nightly", schedule("*/10 * * * *"))]).await;
    stage.keeper.read(day("09:35:00")).await.unwrap();
    assert_eq!(stage.keeper.look(day("09:35:00")).await, Some(day("09:40:00")));
    // Another command at the same times changes nothing of what is due.
    let stop = Schedule { command: Command::Stop, ..schedule("*/10 * * * *") };
    put(&stage.app, &[("nightly", stop)]).await;
    stage.keeper.read(day("09:41:00")).await.unwrap();
    stage.keeper.look(day("09:41:00")).await;
    assert_eq!(stage.so_far().await, (1, 0, String::new()));
    assert_eq!(stage.began.0.lock().unwrap()[0].1.command, Command::Stop);
    put(&stage.app, &[]).await;
    stage.keeper.read(day("09:42:00")).await.unwrap();
    assert_eq!(stage.keeper.look(day("09:50:00")).await, None);
    assert_eq!(stage.app.store.schedules().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_shown_is_how_they_go() {
    let mut stage = stage(schedule("*/10 * * * *")).await;
    stage.keeper.look(day("09:10:00")).await;
    stage.keeper.look(day("09:20:00")).await;
    let caller = Caller::at_socket("me".to_owned(), Some(Role::Viewer));
    let view = stage.app.schedules(&caller, None, 10).await.unwrap().items.remove(0);
    assert_eq!((view.name.as_str(), view.running, view.missed), ("nightly", true, 1));
    assert_eq!((view.last_operation, view.last_missed_at), (Some(Uuid::from_u128(1)), Some(day("09:20:00"))));
    assert!(view.next_at.is_some_and(|next| next > Timestamp::now()), "{view:?}");
    let stranger = Caller::at_socket("me".to_owned(), None);
    assert!(stage.app.schedules(&stranger, None, 10).await.is_err());
}
