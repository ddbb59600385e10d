//! What happens: the stream of events, for those who may see them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use protocol::{name::ServiceName, time::Timestamp};
use tokio::sync::broadcast::Receiver;

use super::{
    App, Result,
    journal::{Start, Told},
    status::narrow,
};
use crate::grid::{
    access::{Caller, Permission},
    event::{Event, EventId, Kind, Topic},
    target::Target,
    view::MachineView,
};

/// How many streams one caller may have open at once. Many screens may show the grid as one user.
pub const MOST_OF_ONE: usize = 256;

/// The streams of events that are open, by who watches. It holds no more callers than there are streams.
#[derive(Debug, Clone, Default)]
pub struct Watchers(Arc<Mutex<HashMap<(&'static str, String), usize>>>);

impl Watchers {
    /// A place for a stream; `None` if the caller has as many as one may.
    pub fn enter(&self, caller: &Caller) -> Option<Place> {
        let who = (caller.credential.as_str(), caller.name.clone());
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(who.clone()).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place { watchers: self.clone(), who })
    }
}

/// A place that a stream has until it is dropped.
#[derive(Debug)]
pub struct Place {
    watchers: Watchers,
    who: (&'static str, String),
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.watchers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.who);
            }
        }
    }
}

impl App {
    /// Begins to watch: after an event, or from now on.
    pub async fn watch(&self, caller: &Caller, since: Option<&str>) -> Result<(Start, Receiver<Told>)> {
        caller.may(Permission::Read)?;
        match since.map(str::parse::<EventId>) {
            None => Ok((Start::Resume(Vec::new()), self.journal.watch_live())),
            Some(Ok(since)) => Ok(self.journal.watch(since).await?),
            // An id that cannot be read is as unknown as any.
            Some(Err(_)) => Ok((Start::Reset, self.journal.watch_live())),
        }
    }

    /// Whether a caller may see what an event tells of.
    pub fn sees(&self, caller: &Caller, topic: &Topic) -> bool {
        if caller.role < Some(topic.seen_by) {
            return false;
        }
        let Some(targets) = &caller.targets else { return true };
        if topic.kind == Kind::ManagerState {
            // What is wrong with the manager is in every status.
            return true;
        }
        if topic.kind == Kind::OperationState {
            return self.covers_operation(caller, topic.operation);
        }
        let Some(name) = &topic.service else { return false };
        // What is gone can only be known by its name and its machine.
        let fleet = self.fleet();
        fleet.covers(name, targets).unwrap_or_else(|| {
            let is_agent = name.of_agent().is_some();
            targets.iter().any(|target| match target {
                Target::Service(covered) => covered == name || fleet.holds(covered, name),
                Target::Machine(machine) => !is_agent && topic.machine.as_ref() == Some(machine),
                Target::All => !is_agent,
                Target::Agents => is_agent,
                Target::Tag(_) => false,
            })
        })
    }

    /// Whether an event may change what a caller sees without an event that tells it so: only a new status does.
    pub fn unsettles(&self, caller: &Caller, topic: &Topic) -> bool {
        let is_of_instance = topic.service.as_ref().is_some_and(|name| name.of_agent().is_none());
        if topic.kind == Kind::ConfigApplied {
            // What a collection holds may be another, which no event tells of what it lost.
            return caller.is_limited_by_names();
        }
        caller.is_limited_by_tags()
            && match topic.kind {
                // It may see other services from now on: those that it lost no event tells it of.
                Kind::TagsChanged => true,
                // The tags of what is gone are not known any more.
                Kind::ServiceGone => is_of_instance && !self.sees(caller, topic),
                _ => false,
            }
    }

    /// What a caller who sees only some services is told of a machine: the event with as little as a status has of it.
    /// `None` if none of the machine's services are theirs.
    pub fn narrowed(&self, caller: &Caller, body: &str) -> Option<String> {
        let mut event: Event = serde_json::from_str(body).ok()?;
        let mut machine: MachineView = serde_json::from_value(event.draft.data).ok()?;
        let targets = caller.targets.as_deref().unwrap_or_default();
        let instances = {
            let fleet = self.fleet();
            let covers = |service: &ServiceName| fleet.covers(service, targets) == Some(true);
            let instances = fleet.names(&machine.name).filter(|name| covers(name)).count();
            (instances > 0 || covers(&ServiceName::agent(&machine.name))).then_some(instances)?
        };
        narrow(&mut machine, instances);
        event.draft.data = serde_json::to_value(machine).ok()?;
        serde_json::to_string(&event).ok()
    }

    /// Whether somebody who watches may go on, being now what `now` says.
    pub fn may_go_on_watching(&self, caller: &Caller, now: &Result<Option<Caller>>) -> bool {
        match now {
            Ok(now) => now.as_ref() == Some(caller),
            // Whoever was known stays so while the store cannot be asked, but not for longer than it was said.
            Err(error) => {
                tracing::warn!("cannot look again at who watches: {error:#}");
                caller.expires_at.is_none_or(|end| Timestamp::now() < end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::report::MachineFacts;

    use super::*;
    use crate::grid::{
        access::{Credential, Role},
        event::Draft,
        fleet::{KnownMachine, Named},
    };

    /// A manager of one linked machine, `web-1`, with `a` and `b`.
    async fn app() -> (tempfile::TempDir, Arc<App>) {
        let (dir, app) = crate::app::temporary::app().await;
        let name: protocol::name::MachineName = "web-1".parse().unwrap();
        let machine = KnownMachine {
            id: uuid::Uuid::nil(),
            name: name.clone(),
            joined_at: Timestamp::EPOCH,
            revoked_at: None,
            agent_version: "1".to_owned(),
            facts: MachineFacts::default(),
        };
        let named = |base: &str| Named {
            name: format!("{base}@web-1").parse().unwrap(),
            note: None,
            report: serde_json::from_value(serde_json::json!({"base": base, "state": "active", "age_ms": 0})).unwrap(),
        };
        app.change(|fleet, now| fleet.joined(machine, now));
        let instances = ["a", "b"].map(named).to_vec();
        app.change(|fleet, now| fleet.connected(&name, 1, "1", facts(), instances, now));
        (dir, app)
    }

    fn facts() -> MachineFacts {
        MachineFacts { user: "tomcat".to_owned(), ..MachineFacts::default() }
    }

    fn limited(target: &str) -> Caller {
        let targets = Some(vec![target.parse().unwrap()]);
        Caller { targets, credential: Credential::Token, ..Caller::at_socket("me".to_owned(), Some(Role::Viewer)) }
    }

    fn gone(name: &str) -> Topic {
        Draft::new(Kind::ServiceGone).service(&name.parse().unwrap()).machine(&"web-1".parse().unwrap()).topic()
    }

    #[tokio::test]
    async fn the_table_of_who_hears_that_something_is_gone() {
        let (_dir, app) = app().await;
        for (target, instance, agent) in [
            ("all", true, false),
            ("agents", false, true),
            ("@web-1", true, false),
            ("@web-2", false, false),
            ("x@web-1", true, false),
            // Whether it was theirs is not known any more: they begin anew.
            ("#blue", true, false),
        ] {
            let caller = limited(target);
            let hears = |topic: &Topic| app.sees(&caller, topic) || app.unsettles(&caller, topic);
            assert_eq!((hears(&gone("x@web-1")), hears(&gone("agent@web-9"))), (instance, agent), "{target}");
        }
    }

    #[tokio::test]
    async fn who_sees_some_services_is_told_the_least_of_their_machine() {
        let (_dir, app) = app().await;
        let machine = app.fleet().machine(&"web-1".parse().unwrap()).unwrap();
        let draft = Draft::from(crate::grid::event::Change::Machine(Box::new(machine)));
        let body = serde_json::to_string(&Event { id: "1-7".to_owned(), at: Timestamp::EPOCH, draft }).unwrap();
        assert!(body.contains("tomcat"));
        for (target, instances) in [("a@web-1", Some(1)), ("@web-1", Some(2)), ("agents", Some(0)), ("@web-2", None)] {
            let caller = limited(target);
            let told = app.narrowed(&caller, &body);
            let told: Option<Event> = told.map(|body| serde_json::from_str(&body).unwrap());
            assert_eq!(told.as_ref().map(|event| event.draft.data["instances"].clone()), instances.map(Into::into));
            // It is what their status says.
            let status = app.status(&caller, &[]).unwrap().machines.into_iter().next();
            assert_eq!(told.map(|event| event.draft.data), status.map(|view| serde_json::to_value(view).unwrap()));
        }
        assert!(app.sees(&limited("a@web-1"), &Draft::new(Kind::ManagerState).topic()));
    }

    #[tokio::test]
    async fn who_cannot_be_looked_at_again_goes_on_until_it_would_end_anyway() {
        let (_dir, app) = app().await;
        let unable = || Err(super::super::AppError::DiskFull);
        let until = |millis: i64| Caller {
            expires_at: Some(Timestamp::from_millis(Timestamp::now().as_millis() + millis)),
            ..limited("all")
        };
        assert!(app.may_go_on_watching(&limited("all"), &unable()));
        assert!(app.may_go_on_watching(&until(60_000), &unable()));
        assert!(!app.may_go_on_watching(&until(-1), &unable()));
    }
}
