//! The dashboard in a real browser, on a real manager and real agents: what is seen, what can be done, and by whom.

mod acting;
mod configuration;
mod keyboard;
mod live;
mod login;
mod many;
mod narrow;
mod operations;
mod people;

use tests::{
    agent::TestAgent,
    browser::Browser,
    dashboard::Dashboard,
    fake::FakeTomcat,
    manager::{PASSWORD, TestManager},
    tomcat::TomcatBase,
};

/// A manager with an agent that has some fakes.
struct Small {
    manager: TestManager,
    fakes: Vec<FakeTomcat>,
    _agent: TestAgent,
}

impl Small {
    fn with(names: &[&str]) -> Self {
        Self::allowed(names, "")
    }

    /// With what the machine's own file says.
    fn allowed(names: &[&str], config: &str) -> Self {
        let manager = TestManager::start();
        let fakes: Vec<_> =
            names.iter().map(|name| FakeTomcat::builder(manager.dir(), name).owner(1, 1).build()).collect();
        let config = format!("{config}\n[tomcat]\nhome = \"{}\"", fakes[0].home().display());
        let agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&config).start(&manager);
        for name in names {
            manager.wait_state(&format!("{name}@web-1"), "stopped");
        }
        Self { manager, fakes, _agent: agent }
    }

    async fn dashboard(&self) -> Dashboard {
        self.dashboard_of("admin", PASSWORD).await
    }

    async fn dashboard_of(&self, name: &str, password: &str) -> Dashboard {
        let dashboard = Dashboard::open(&self.manager.address()).await;
        dashboard.log_in(name, password).await;
        dashboard
    }

    /// Makes a user; the password is `PASSWORD`.
    fn add_user(&self, name: &str, role: &str) {
        let body = serde_json::json!({"name": name, "role": role, "password": PASSWORD});
        let answer = self.manager.api("POST", "/users", Some(&body)).expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

/// A manager with an agent that has one real Tomcat, `shop@web-1`.
struct Real {
    manager: TestManager,
    base: TomcatBase,
    _agent: TestAgent,
}

impl Real {
    fn start() -> Self {
        let manager = TestManager::start();
        let base = TomcatBase::builder(manager.dir(), "shop").build();
        let agent = TestAgent::builder(&manager, "web-1", manager.dir()).config("[tomcat]\nuser = \"root\"");
        let agent = agent.start(&manager);
        manager.wait_state("shop@web-1", "stopped");
        Self { manager, base, _agent: agent }
    }

    async fn dashboard(&self) -> Dashboard {
        let dashboard = Dashboard::open(&self.manager.address()).await;
        dashboard.log_in("admin", PASSWORD).await;
        dashboard
    }
}

/// The row of a service.
fn row(service: &str) -> String {
    format!("[data-service='{service}']")
}

/// Waits until a row is in a state.
async fn wait_state(browser: &Browser, service: &str, state: &str) {
    browser.wait_true(&format!("document.querySelector(\"{}[data-state='{state}']\")", row(service))).await;
}

/// Confirms what is asked.
async fn confirm(dashboard: &Dashboard) {
    dashboard.wait_shown("dialog[open] [data-confirm]").await;
    dashboard.browser.wait_true("!document.querySelector('dialog[open] [data-confirm]').disabled").await;
    dashboard.browser.click("dialog[open] [data-confirm]").await;
}
