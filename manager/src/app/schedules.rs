//! Schedules: commands that are given by the clock.
//!
//! One task looks after all of them. A run begins when it is due, unless the one before goes on; what cannot begin, and
//! what was due while nobody looked, is told as missed and never caught up.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use protocol::time::Timestamp;
use uuid::Uuid;

use super::{App, AppError, Result, operations::Begun};
use crate::{
    grid::{
        access::{Caller, Credential, Permission, Role},
        config::Schedule,
        event::{Draft, Kind},
        operation::request::{OperationRequest, Order},
        page::Page,
        schedule::{MOST_COUNTED, ScheduleView, Timetable, seen_by_clock},
    },
    store::schedules::{MissedRuns, ScheduleRow},
};

/// How often the clock is looked at: it may have been set.
const LOOK: Duration = Duration::from_secs(30);

/// The schedules.
#[derive(Default)]
pub struct Schedules {}

/// A schedule that is looked after.
#[derive(Debug)]
struct Kept {
    /// As the configuration has it.
    schedule: Schedule,
    timetable: Timetable,
    /// Up to when its runs were looked after.
    seen_at: Timestamp,
}

/// Begins an operation and returns its id.
type Begin = dyn Fn(Caller, OperationRequest) -> BoxFuture<'static, Result<Uuid>> + Send + Sync;

/// Who looks after the schedules.
struct Keeper {
    app: Arc<App>,
    begin: Box<Begin>,
    kept: BTreeMap<String, Kept>,
    /// Whether nobody has looked since the manager ended.
    away: bool,
}

impl Keeper {
    /// One that has not looked yet.
    fn new(app: Arc<App>) -> Self {
        let manager = app.clone();
        Self::beginning(app, move |caller, request| {
            let manager = manager.clone();
            Box::pin(async move { manager.begin_by_clock(&caller, request).await })
        })
    }

    /// One that begins operations in another way.
    fn beginning(
        app: Arc<App>,
        begin: impl Fn(Caller, OperationRequest) -> BoxFuture<'static, Result<Uuid>> + Send + Sync + 'static,
    ) -> Self {
        Self { app, begin: Box::new(begin), kept: BTreeMap::new(), away: true }
    }

    /// Takes over what the configuration says now. A schedule that is new or another than before begins now; at the
    /// manager's start it goes on where it was.
    async fn read(&mut self, now: Timestamp) -> Result<()> {
        let config = self.app.configuration.current();
        let rows: BTreeMap<String, ScheduleRow> = match self.away {
            true => self.app.store.schedules().await?.into_iter().map(|row| (row.name.clone(), row)).collect(),
            false => BTreeMap::new(),
        };
        self.kept.retain(|name, _| config.schedules.contains_key(name));
        let mut begun = Vec::new();
        for (name, schedule) in &config.schedules {
            let entry = self.kept.entry(name.clone());
            if matches!(&entry, Entry::Occupied(kept) if kept.get().schedule == *schedule) {
                continue;
            }
            // What was applied was checked.
            let Ok(timetable) = Timetable::read(&schedule.cron, &schedule.timezone) else { continue };
            let same_times = matches!(&entry, Entry::Occupied(kept) if has_same_times(&kept.get().schedule, schedule));
            let seen_at = match &entry {
                Entry::Occupied(kept) if same_times => kept.get().seen_at,
                _ => rows.get(name).map_or(now, |row| row.seen_at),
            };
            if !same_times && !rows.contains_key(name) {
                begun.push(name.clone());
            }
            entry.insert_entry(Kept { schedule: schedule.clone(), timetable, seen_at });
        }
        for name in begun {
            self.app.store.schedule_seen(&name, now).await?;
        }
        let names: Vec<&String> = config.schedules.keys().collect();
        self.app.store.keep_schedules(&names).await?;
        Ok(())
    }

    /// Does what is due, and returns when the next run is.
    async fn look(&mut self, now: Timestamp) -> Option<Timestamp> {
        let away = std::mem::replace(&mut self.away, false);
        for (name, kept) in self.kept.iter_mut().filter(|(_, kept)| kept.schedule.enabled) {
            if seen_by_clock(kept.seen_at, now) != kept.seen_at {
                tracing::warn!("the clock was set back: the schedule {name} begins anew from now on");
                kept.seen_at = now;
            }
            let due = kept.timetable.due(kept.seen_at, now, away);
            if let Some((count, last_due)) = due.missed {
                kept.seen_at = last_due;
                match away {
                    // It may have begun just before the manager ended.
                    true if self.app.adopt_run(name, last_due).await => {}
                    true => self.app.miss_runs(name, count, last_due, "the manager was not running").await,
                    false => {
                        let why = "the clock of the manager's host was set forward, or the host stood still";
                        self.app.miss_runs(name, count, last_due, why).await;
                    }
                }
            }
            if let Some(due) = due.run {
                kept.seen_at = due;
                self.app.begin_run(name, &kept.schedule, due, &*self.begin).await;
            }
        }
        self.next()
    }

    /// When the next run of all is due.
    fn next(&self) -> Option<Timestamp> {
        let enabled = self.kept.values().filter(|kept| kept.schedule.enabled);
        enabled.filter_map(|kept| kept.timetable.next(kept.seen_at)).min()
    }

    /// Looks after the schedules until the manager ends.
    async fn run(mut self) {
        let mut changes = self.app.configuration.changes();
        let mut is_read = false;
        loop {
            changes.mark_unchanged();
            let now = Timestamp::now();
            match self.read(now).await {
                Ok(()) => is_read = true,
                Err(error) => tracing::error!("cannot read or store how the schedules go: {error}"),
            }
            // How they went must be known before anything is begun.
            if !is_read {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            loop {
                let wait =
                    self.look(Timestamp::now()).await.map_or(LOOK, |next| next.since(Timestamp::now()).min(LOOK));
                tokio::select! {
                    changed = changes.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    // Not sooner than the clock shows it.
                    () = tokio::time::sleep(wait + Duration::from_millis(1)) => {}
                }
            }
        }
    }
}

/// Whether two schedules are due at the same times.
fn has_same_times(one: &Schedule, other: &Schedule) -> bool {
    (&one.cron, &one.timezone, one.enabled) == (&other.cron, &other.timezone, other.enabled)
}

/// What a schedule is called where a person's name would be. No user can be called so.
fn actor(name: &str) -> String {
    format!("schedule:{name}")
}

/// Who a schedule is, as far as it decides what it may do.
fn caller(name: &str) -> Caller {
    Caller {
        name: actor(name),
        role: Some(Role::Operator),
        credential: Credential::Schedule,
        from: "the configuration".to_owned(),
        targets: None,
        token: None,
        expires_at: None,
    }
}

impl App {
    /// Looks after the schedules until the manager ends.
    pub async fn keep_schedules(self: Arc<Self>) {
        Keeper::new(self).run().await;
    }

    /// Begins an operation for a schedule.
    async fn begin_by_clock(self: &Arc<Self>, caller: &Caller, request: OperationRequest) -> Result<Uuid> {
        match self.begin_operation(caller, request).await? {
            Begun::Begun(view) => Ok(view.id),
            Begun::Planned(_) => Err(AppError::Invalid("a schedule carries out what it says".to_owned())),
        }
    }

    /// Begins a run, or says why not.
    async fn begin_run(&self, name: &str, schedule: &Schedule, due: Timestamp, begin: &Begin) {
        let before = match self.store.schedules().await {
            Ok(rows) => rows.into_iter().find(|row| row.name == name && row.running),
            Err(error) => {
                let why = format!("whether the run before goes on cannot be read: {error}");
                return self.miss_runs(name, 1, due, &why).await;
            }
        };
        // One of which it could not be stored that the schedule began it goes on, too.
        let in_hand = || self.operations.in_hand_of(&actor(name));
        if let Some(operation) = before.and_then(|row| row.last_operation).or_else(in_hand) {
            let why = format!("the run before goes on: operation {operation}");
            return self.miss_runs(name, 1, due, &why).await;
        }
        let request = OperationRequest {
            command: schedule.command,
            targets: schedule.targets.clone(),
            order: Order::default(),
            dry_run: false,
        };
        match begin(caller(name), request).await {
            Ok(operation) => {
                tracing::info!("the schedule {name} began the operation {operation}");
                if let Err(error) = self.store.schedule_began(name, due, Timestamp::now(), operation).await {
                    tracing::error!("cannot store that the schedule {name} began the operation {operation}: {error}");
                }
            }
            Err(error) => self.miss_runs(name, 1, due, &format!("it could not begin: {error}")).await,
        }
    }

    /// Takes an operation that a run has begun, and of which only that is not stored, as that run's.
    async fn adopt_run(&self, name: &str, due: Timestamp) -> bool {
        let Ok(Some((operation, at))) = self.store.operation_begun_by(&actor(name), due).await else { return false };
        self.store.schedule_began(name, due, at, operation).await.is_ok()
    }

    /// Tells that runs were missed.
    async fn miss_runs(&self, name: &str, count: u32, last_due: Timestamp, why: &str) {
        let or_more = if count == MOST_COUNTED { " or more" } else { "" };
        tracing::warn!("the schedule {name} missed {count}{or_more} runs, the last due at {last_due}: {why}");
        let missed = MissedRuns { count, last_due, why: why.to_owned() };
        let data = serde_json::json!({"schedule": name, "count": count, "last_due": last_due, "message": why});
        let draft = Draft::new(Kind::ScheduleMissed).actor(&actor(name)).data(data);
        let write =
            async |event| self.journal.noting(self.store.schedule_missed(name, last_due, &missed, &event).await);
        if let Err(error) = self.journal.record_with(draft, write).await {
            tracing::error!("cannot store that the schedule {name} missed a run: {error}");
        }
    }

    /// The schedules, by name, after a cursor.
    pub async fn schedules(&self, caller: &Caller, cursor: Option<&str>, limit: u32) -> Result<Page<ScheduleView>> {
        self.permit(caller, Permission::ReadConfig, "schedule-list", "").await?;
        let config = self.configuration.current();
        let mut rows: BTreeMap<String, ScheduleRow> =
            self.store.schedules().await?.into_iter().map(|row| (row.name.clone(), row)).collect();
        let now = Timestamp::now();
        let views = config.schedules.iter().map(|(name, schedule)| view(name, schedule, rows.remove(name), now));
        Ok(Page::of(views, |view| view.name.clone(), cursor, limit))
    }
}

fn view(name: &str, schedule: &Schedule, row: Option<ScheduleRow>, now: Timestamp) -> ScheduleView {
    let timetable = Timetable::read(&schedule.cron, &schedule.timezone).ok().filter(|_| schedule.enabled);
    let of_row = |row: &ScheduleRow| (row.last_at, row.last_operation, row.last_result, row.running);
    let (last_at, last_operation, last_result, running) = row.as_ref().map(of_row).unwrap_or_default();
    ScheduleView {
        name: name.to_owned(),
        cron: schedule.cron.clone(),
        timezone: schedule.timezone.clone(),
        command: schedule.command,
        targets: schedule.targets.iter().map(ToString::to_string).collect(),
        enabled: schedule.enabled,
        next_at: timetable.and_then(|timetable| timetable.next(now)),
        last_at,
        last_operation,
        last_result,
        running,
        missed: row.as_ref().map_or(0, |row| row.missed),
        last_missed_at: row.as_ref().and_then(|row| row.last_missed_at),
        last_missed: row.map(|row| row.last_missed).filter(|why| !why.is_empty()),
    }
}

#[cfg(test)]
mod tests;
