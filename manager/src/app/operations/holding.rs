//! What is said before an agent is stopped, killed or begun anew, on whose machine operations hold services.

use std::collections::BTreeMap;

use protocol::name::{MachineName, ServiceName};
use uuid::Uuid;

use super::claims::Holder;
use crate::{
    app::App,
    grid::{
        command::Command,
        operation::{NodeKind, ServiceNode, view::StepView},
        view::ServiceType,
    },
};

/// How many operations are named, and how many services of each.
const NAMED: usize = 5;

impl App {
    /// Which operations need an agent that a command takes away: a text for each. One operation is left out, because it
    /// is the one that is asked about.
    pub(in crate::app) fn needed_by(
        &self,
        machine: &MachineName,
        besides: Option<Uuid>,
        is_limited: bool,
    ) -> Vec<String> {
        let services: Vec<ServiceName> = self.fleet().names(machine).cloned().collect();
        let held = services.into_iter().filter_map(|service| {
            let holder = self.operations.claims.holder(&service)?;
            (Some(holder.operation) != besides).then_some((service, holder))
        });
        words(machine, held, is_limited)
    }

    /// The same of a service of an operation; nothing of one that is no agent, or whose command takes none away.
    pub(in crate::app) fn warnings_of(
        &self,
        command: Command,
        node: &ServiceNode,
        operation: Option<Uuid>,
        is_limited: bool,
    ) -> Vec<String> {
        let is_gone = node.gone || node.impossible.is_some();
        if node.r#type != ServiceType::Agent || is_gone || !takes_away(command) {
            return Vec::new();
        }
        self.needed_by(&node.machine, operation, is_limited)
    }

    /// Says it at the steps of a plan.
    pub(super) fn warn_at(&self, command: Command, steps: &mut [StepView], is_limited: bool) {
        for step in steps {
            if let NodeKind::Service(node) = &step.kind {
                step.message = self.warnings_of(command, node, None, is_limited).join("; ");
            }
        }
    }
}

/// Whether an agent is away during a command, or after it.
fn takes_away(command: Command) -> bool {
    matches!(command, Command::Stop | Command::Kill | Command::Restart)
}

fn words(machine: &MachineName, held: impl Iterator<Item = (ServiceName, Holder)>, is_limited: bool) -> Vec<String> {
    const NEED: &str = "need this agent: they wait while it is away, and fail if that takes too long";
    let mut by_operation: BTreeMap<Uuid, (Holder, Vec<ServiceName>)> = BTreeMap::new();
    for (service, holder) in held {
        by_operation.entry(holder.operation).or_insert_with(|| (holder, Vec::new())).1.push(service);
    }
    if by_operation.is_empty() {
        return Vec::new();
    }
    if is_limited {
        return vec![format!("other operations that hold services on {machine} {NEED}")];
    }
    let operations = by_operation.len();
    let mut told: Vec<String> = (by_operation.into_values().take(NAMED))
        .map(|(Holder { operation, command, targets, actor }, services)| {
            let services = some(services.iter().map(ServiceName::as_str), services.len());
            format!(
                "operation {operation} ({command} {targets}, by {actor}) holds {services} and needs this agent: it waits \
                 while the agent is away, and fails if that takes too long"
            )
        })
        .collect();
    match operations.saturating_sub(NAMED) {
        0 => {}
        1 => told.push("1 more operation needs this agent".to_owned()),
        more => told.push(format!("{more} more operations need this agent")),
    }
    told
}

/// The first of some names, and how many there are besides.
fn some<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let named = names.take(NAMED).collect::<Vec<_>>().join(", ");
    match count.saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(operation: u128, services: usize) -> Vec<(ServiceName, Holder)> {
        let (targets, actor) = ("front".to_owned(), "anna".to_owned());
        let holder = Holder { operation: Uuid::from_u128(operation), command: Command::Restart, targets, actor };
        (0..services).map(|number| (format!("s{number}@web-1").parse().unwrap(), holder.clone())).collect()
    }

    #[test]
    fn the_table_of_operations_that_need_an_agent() {
        let machine: MachineName = "web-1".parse().unwrap();
        let words = |held: Vec<(ServiceName, Holder)>, limited| words(&machine, held.into_iter(), limited);
        assert_eq!(words(Vec::new(), false), Vec::<String>::new());
        let two = words([held(1, 2), held(2, 7)].concat(), false);
        assert_eq!(two.len(), 2);
        assert!(two[0].contains("(restart front, by anna) holds s0@web-1, s1@web-1 and needs"), "{two:?}");
        assert!(two[1].contains("s4@web-1 and 2 more and needs"), "{two:?}");
        let many = words((1..=8).flat_map(|operation| held(operation, 1)).collect(), false);
        assert_eq!((many.len(), many[5].as_str()), (6, "3 more operations need this agent"));
        let limited = words(held(1, 2), true);
        assert!(limited.len() == 1 && !limited[0].contains("anna") && !limited[0].contains("s0"), "{limited:?}");
    }

    #[test]
    fn only_some_commands_take_an_agent_away() {
        let taking: Vec<Command> = Command::ALL.into_iter().filter(|command| takes_away(*command)).collect();
        assert_eq!(taking, [Command::Stop, Command::Kill, Command::Restart]);
    }
}
