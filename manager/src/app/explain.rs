//! What a command would do, and why so.

use std::collections::HashMap;

use protocol::name::{MachineName, ServiceName};

use super::{App, Result, status::bounded};
use crate::grid::{
    access::{Caller, Permission},
    command::Command,
    explain::{
        Known, Question, Readiness, explain,
        view::{ClaimView, Explanation, PermissionView},
    },
    operation::{
        HookNode, ServiceNode,
        request::{OperationRequest, Order},
    },
    target::Target,
    view::{MachineView, ServiceView},
};

impl App {
    /// Explains a command. Whoever may see its services may ask, allowed to give it or not.
    pub fn explain(&self, caller: &Caller, command: Command, targets: Vec<Target>) -> Result<Explanation> {
        caller.may(Permission::Read)?;
        bounded(&targets)?;
        let request = OperationRequest { command, targets, order: Order::default(), dry_run: true };
        let words: Vec<String> = request.targets.iter().map(ToString::to_string).collect();
        let (config, services) = (self.configuration.current(), self.services_for(caller, &[])?);
        let tree = self.plan_with(caller, &request, &config, &services)?;
        let permission = permission_of(caller);
        let is_limited = caller.targets.is_some();
        let known = Now { app: self, machines: self.machines_of(&services), is_limited };
        let question =
            Question { command, targets: words, tree: &tree, config: &config, services: &services, permission };
        Ok(explain(question, &known))
    }

    /// The machines of services, by name.
    fn machines_of(&self, services: &[ServiceView]) -> HashMap<MachineName, MachineView> {
        let all = self.fleet().machines().into_iter().map(|machine| (machine.name.clone(), machine));
        let mut all: HashMap<MachineName, MachineView> = all.collect();
        let named: std::collections::HashSet<&MachineName> = services.iter().map(|service| &service.machine).collect();
        all.retain(|name, _| named.contains(name));
        all
    }
}

fn permission_of(caller: &Caller) -> PermissionView {
    let refusal = caller.may(Permission::Trigger).err();
    PermissionView {
        caller: caller.name.clone(),
        role: caller.role,
        needs: Permission::Trigger.needs(),
        allowed: refusal.is_none(),
        why: refusal.map(|refusal| refusal.to_string()),
    }
}

/// What this manager knows now.
struct Now<'a> {
    app: &'a App,
    machines: HashMap<MachineName, MachineView>,
    /// Whether the caller may see only some services.
    is_limited: bool,
}

impl Known for Now<'_> {
    fn claim(&self, service: &ServiceName) -> Option<ClaimView> {
        let holder = self.app.operations.claims.holder(service)?;
        if self.is_limited {
            let command = "another operation".to_owned();
            return Some(ClaimView { operation: uuid::Uuid::nil(), command, actor: "somebody".to_owned() });
        }
        let command = format!("{} {}", holder.command, holder.targets);
        Some(ClaimView { operation: holder.operation, command, actor: holder.actor })
    }

    fn ready(&self, hook: &HookNode, machine: Option<&MachineName>) -> Readiness {
        self.app.readiness(hook, machine)
    }

    fn warnings(&self, command: Command, node: &ServiceNode) -> Vec<String> {
        self.app.warnings_of(command, node, None, self.is_limited)
    }

    fn allow(&self, machine: &MachineName) -> Vec<String> {
        self.machines.get(machine).map(|machine| machine.facts.allow.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::{AppError, temporary},
        grid::{
            access::Role,
            config::{Collection, GridConfig},
        },
    };

    fn named(names: &[&str]) -> Vec<Target> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_viewer_is_told_that_it_would_be_refused() {
        let (_dir, app) = temporary::app().await;
        let mut config = GridConfig::default();
        let front = Collection { members: vec!["lost@web-9".parse().unwrap()], ..Collection::default() };
        config.collections.insert("front".parse().unwrap(), front);
        app.configuration.put(config);
        let viewer = Caller::at_socket("vera".to_owned(), Some(Role::Viewer));
        let told = app.explain(&viewer, Command::Restart, named(&["front"])).unwrap();
        assert!(!told.permission.allowed && told.permission.why.unwrap().contains("operator"));
        assert_eq!((told.groups.len(), told.services.len()), (1, 1));
        let nobody = Caller::at_socket("nobody".to_owned(), None);
        let refused = app.explain(&nobody, Command::Restart, named(&["front"]));
        assert!(matches!(refused, Err(AppError::NotAllowed(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn who_is_limited_learns_nothing_of_what_is_outside() {
        let (_dir, app) = temporary::app().await;
        let mut config = GridConfig::default();
        let front = Collection { members: vec!["lost@web-9".parse().unwrap()], ..Collection::default() };
        config.collections.insert("front".parse().unwrap(), front);
        app.configuration.put(config);
        let anna = Caller::at_socket("anna".to_owned(), Some(Role::Operator));
        let limited = Caller { targets: Some(named(&["a@web-1"])), ..anna.clone() };
        for target in ["front", "nothing@web-1"] {
            let refused = app.explain(&limited, Command::Stop, named(&[target]));
            assert!(matches!(refused, Err(AppError::NotAllowed(_))), "{target}: {refused:?}");
        }
        let missing = app.explain(&anna, Command::Stop, named(&["fronts"]));
        assert!(matches!(missing, Err(AppError::NoSuchTarget(_))), "{missing:?}");
    }
}
