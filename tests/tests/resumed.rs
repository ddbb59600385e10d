//! Orders that are asked for again, because the agent was killed before it could say what became of them: none is
//! carried out twice, and none is forgotten.

use std::path::Path;

use protocol::{
    link::{FromAgent, Order, Outcome, ToAgent},
    state::{Action, State},
};
use tests::{agent::TestAgent, fake::FakeTomcat, manager::PATIENCE, raw_manager::RawManager, wait};
use uuid::Uuid;

/// An agent whose manager sends what the test wants.
struct Stage {
    manager: RawManager,
    agent: TestAgent,
    shop: FakeTomcat,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new(make: impl FnOnce(&Path) -> FakeTomcat) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let manager = RawManager::new();
        let shop = make(dir.path());
        let config = format!("tomcat.home = \"{}\"", shop.home().display());
        let agent = manager.agent(dir.path()).config(&config).build();
        manager.adopt(&agent);
        Self { manager, agent, shop, _dir: dir }
    }

    fn run(&mut self, point: Option<&str>) {
        let links = self.manager.links();
        match point {
            Some(point) => self.agent.run_with(&[("FAILPOINTS", &format!("{point}=return"))]),
            None => self.agent.run(),
        }
        self.manager.wait_link(links + 1);
    }

    fn order(&self, id: Uuid, action: Action) {
        let base = self.shop.dir().canonicalize().expect("a base").display().to_string();
        self.manager.send(ToAgent::Order(Order { id, base, action, ttl_ms: 60_000 }));
    }

    fn wait_state(&self, state: State) {
        self.manager.wait_message(&format!("{state}"), |message| match message {
            FromAgent::Status { instance } if instance.state == state => Some(()),
            FromAgent::Hello(hello) if hello.instances.iter().any(|instance| instance.state == state) => Some(()),
            _ => None,
        });
    }

    /// Has the agent killed at a point of an order, started again, and asked for the same order again.
    fn killed_at(&mut self, point: &str, action: Action) -> Outcome {
        let id = Uuid::new_v4();
        self.order(id, action);
        assert_eq!(self.agent.wait_ended(), None, "killed at {point}:\n{}", self.agent.log());
        self.manager.forget();
        self.run(None);
        self.order(id, action);
        let outcome = self.manager.wait_outcome(id);
        // And once more: it is remembered.
        self.order(id, action);
        let again = wait::until("its outcome once more", PATIENCE, || {
            let messages = self.manager.messages().into_iter();
            let mut outcomes = messages.filter_map(|message| match message {
                FromAgent::Outcome { order, outcome } if order == id => Some(outcome),
                _ => None,
            });
            outcomes.nth(1)
        });
        assert_eq!(again, outcome);
        outcome
    }
}

#[test]
fn a_start_is_carried_out_once_wherever_the_agent_is_killed() {
    for point in ["order_noted", "launch_sent", "launch_marked", "order_signalled"] {
        let mut stage = Stage::new(|dir| FakeTomcat::builder(dir, "shop").owner(1, 1).build());
        stage.run(Some(point));
        let outcome = stage.killed_at(point, Action::Start);
        assert!(matches!(outcome, Outcome::Done { .. }), "{point}: {outcome:?}");
        stage.wait_state(State::Active);
        assert_eq!(stage.shop.times("start"), 1, "{point}");
    }
}

#[test]
fn a_stop_is_carried_out_once_wherever_the_agent_is_killed() {
    for (point, terms) in [("order_noted", 1), ("order_signalled", 1)] {
        let mut stage = Stage::new(|dir| FakeTomcat::builder(dir, "shop").set("stop_delay_ms", 4000).build());
        stage.run(Some(point));
        stage.shop.start_by_hand();
        stage.wait_state(State::Active);
        let outcome = stage.killed_at(point, Action::Stop);
        assert!(matches!(outcome, Outcome::Done { .. }), "{point}: {outcome:?}");
        stage.shop.wait_gone();
        assert_eq!(stage.shop.times("term"), terms, "{point}");
    }
}

#[test]
fn a_stop_that_was_sent_is_never_sent_to_the_next_process() {
    let mut stage = Stage::new(|dir| FakeTomcat::builder(dir, "shop").build());
    stage.run(Some("order_signalled"));
    stage.shop.start_by_hand();
    stage.wait_state(State::Active);
    let id = Uuid::new_v4();
    stage.order(id, Action::Stop);
    assert_eq!(stage.agent.wait_ended(), None);
    stage.shop.wait_gone();
    let next = stage.shop.start_by_hand();
    stage.manager.forget();
    stage.run(None);
    stage.order(id, Action::Stop);
    let outcome = stage.manager.wait_outcome(id);
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    stage.wait_state(State::Active);
    assert_eq!((stage.shop.pid(), stage.shop.times("term")), (Some(next), 1));
}

#[test]
fn a_kill_is_repeated_and_hits_only_the_process_it_was_meant_for() {
    for point in ["order_noted", "order_signalled"] {
        let mut stage = Stage::new(|dir| FakeTomcat::builder(dir, "shop").build());
        stage.run(Some(point));
        stage.shop.start_by_hand();
        stage.wait_state(State::Active);
        let outcome = stage.killed_at(point, Action::Kill);
        assert!(matches!(outcome, Outcome::Done { .. }), "{point}: {outcome:?}");
        stage.shop.wait_gone();
    }
}

#[test]
fn an_agent_that_is_told_to_end_finishes_what_it_has_in_hand() {
    let mut stage = Stage::new(|dir| FakeTomcat::builder(dir, "shop").owner(1, 1).build());
    stage.run(None);
    let id = Uuid::new_v4();
    stage.order(id, Action::Start);
    wait::until("the order to be noted", PATIENCE, || {
        let files = std::fs::read_dir(stage.agent.state().join("launch")).ok()?;
        (files.count() > 0 || stage.shop.pid().is_some()).then_some(())
    });
    stage.agent.stop();
    assert!(matches!(stage.manager.wait_outcome(id), Outcome::Done { .. }));
    stage.manager.wait_message("its goodbye", |message| matches!(message, FromAgent::Goodbye { .. }).then_some(()));
    stage.manager.forget();
    stage.run(None);
    stage.wait_state(State::Active);
    assert_eq!(stage.shop.times("start"), 1);
}
