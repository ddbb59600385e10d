//! What an agent does with itself when its manager orders it: it ends, or begins anew as the same process, and its
//! Tomcats live on.

use protocol::{
    link::{AgentOrder, FromAgent, Order, Outcome, ToAgent},
    state::{Action, AgentAction, State},
};
use tests::{agent::TestAgent, fake::FakeTomcat, manager::PATIENCE, raw_manager::RawManager, wait};
use uuid::Uuid;

struct Stage {
    manager: RawManager,
    agent: TestAgent,
    shop: FakeTomcat,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let manager = RawManager::new();
        let shop = FakeTomcat::builder(dir.path(), "shop").owner(1, 1).build();
        let config = format!("{config}\ntomcat.home = \"{}\"", shop.home().display());
        let mut agent = manager.agent(dir.path()).config(&config).build();
        manager.adopt(&agent);
        agent.run();
        manager.wait_link(1);
        Self { manager, agent, shop, _dir: dir }
    }

    fn order(&self, id: Uuid, action: AgentAction) {
        self.manager.send(ToAgent::AgentOrder(AgentOrder { id, action, ttl_ms: 60_000 }));
    }

    fn start_shop(&self) -> u32 {
        let base = self.shop.dir().canonicalize().expect("a base").display().to_string();
        let id = Uuid::new_v4();
        self.manager.send(ToAgent::Order(Order { id, base, action: Action::Start, ttl_ms: 60_000 }));
        assert!(matches!(self.manager.wait_outcome(id), Outcome::Done { .. }));
        self.wait_state(State::Active);
        self.shop.pid().expect("a process")
    }

    fn wait_state(&self, state: State) -> String {
        self.manager
            .wait_message(&format!("{state}"), |message| match message {
                FromAgent::Status { instance } if instance.state == state => Some(instance.reason.clone()),
                FromAgent::Hello(hello) => {
                    hello.instances.iter().find(|found| found.state == state).map(|found| found.reason.clone())
                }
                _ => None,
            })
            .unwrap_or_default()
    }
}

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done { .. })
}

#[test]
fn an_agent_that_is_told_to_stop_says_so_and_leaves_its_tomcats() {
    let mut stage = Stage::new("");
    let shop = stage.start_shop();
    let id = Uuid::new_v4();
    stage.order(id, AgentAction::Stop);
    assert!(is_done(&stage.manager.wait_outcome(id)));
    stage.manager.wait_message("its goodbye", |message| matches!(message, FromAgent::Goodbye { .. }).then_some(()));
    assert_eq!(stage.agent.wait_ended(), Some(0), "{}", stage.agent.log());
    assert_eq!(stage.shop.pid(), Some(shop));
}

#[test]
fn an_agent_that_is_told_to_kill_itself_says_so_first() {
    let mut stage = Stage::new("");
    let id = Uuid::new_v4();
    stage.order(id, AgentAction::Kill);
    assert!(is_done(&stage.manager.wait_outcome(id)));
    assert_eq!(stage.agent.wait_ended(), None, "killed by a signal");
}

#[test]
fn a_restart_is_the_same_process_anew_and_happens_once() {
    let mut stage = Stage::new("");
    let shop = stage.start_shop();
    let (id, pid) = (Uuid::new_v4(), stage.agent.pid());
    stage.manager.forget();
    stage.order(id, AgentAction::Restart);
    let outcome = stage.manager.wait_outcome(id);
    assert!(is_done(&outcome), "{outcome:?}");
    stage.manager.wait_link(2);
    assert_eq!(stage.agent.pid(), pid);
    stage.manager.forget();
    stage.order(id, AgentAction::Restart);
    assert_eq!(stage.manager.wait_outcome(id), outcome);

    // The agent is its parent still, and learns how it ends.
    tests::processes::send(shop, tests::processes::Signal::KILL);
    let reason = stage.wait_state(State::Stopped);
    assert!(reason.contains("signal 9 (SIGKILL)"), "{reason}");
    assert_eq!(stage.manager.links(), 2);
    assert!(!std::path::Path::new(&format!("/proc/{shop}")).exists(), "nothing is left of it");
    stage.agent.stop();
}

#[test]
fn what_the_machine_does_not_allow_is_refused_and_told() {
    let stage = Stage::new("allow = [\"start\"]");
    let allow = stage.manager.wait_message("its facts", |message| match message {
        FromAgent::Hello(hello) => Some(hello.facts.allow.clone()),
        _ => None,
    });
    assert_eq!(allow, ["start"]);
    let id = Uuid::new_v4();
    stage.order(id, AgentAction::Stop);
    assert!(matches!(stage.manager.wait_outcome(id), Outcome::Refused { .. }));
    wait::until("the agent to live", PATIENCE, || (stage.manager.links() == 1).then_some(()));
}
