//! Commands that wait, on fake Tomcats: how they go on, end, are cancelled, resumed and tried again.

mod ends;
mod groups;
mod links;
mod order;
mod resumed;

use tests::{
    agent::TestAgent,
    fake::{FakeBuilder, FakeTomcat, fake_home},
    manager::TestManager,
};

/// A manager, and one machine of fakes.
struct Grid {
    manager: TestManager,
    agent: TestAgent,
    fakes: Vec<FakeTomcat>,
}

impl Grid {
    /// A machine `web-1` with fakes of these names, which are all active.
    fn of(names: &[&str]) -> Self {
        Self::with(names, |_, fake| fake)
    }

    /// The same with fakes that behave in some way.
    fn with(names: &[&str], build: impl Fn(&str, FakeBuilder) -> FakeBuilder) -> Self {
        Self::on(TestManager::start(), names, build)
    }

    fn on(manager: TestManager, names: &[&str], build: impl Fn(&str, FakeBuilder) -> FakeBuilder) -> Self {
        let fake = |name: &&str| build(name, FakeTomcat::builder(manager.dir(), name).owner(1, 1)).build();
        let fakes = names.iter().map(fake).collect();
        let home = format!("[tomcat]\nhome = \"{}\"", fake_home(manager.dir()).display());
        let agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&home).start(&manager);
        for name in names {
            manager.wait_state(&at(name), "stopped");
            manager.trigger("start", &at(name));
        }
        for name in names {
            manager.wait_state(&at(name), "active");
        }
        Self { manager, agent, fakes }
    }

    /// How many orders the agent has carried out since the grid was put together.
    fn orders(&self) -> usize {
        self.agent.log().matches("order carried out").count() - self.fakes.len()
    }
}

/// A service of the machine.
fn at(name: &str) -> String {
    format!("{name}@web-1")
}
