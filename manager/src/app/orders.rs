//! What is sent to agents: for a trigger, and for the signals of operations.

use protocol::{
    link::{AgentOrder, Order, ToAgent},
    state::{Action, AgentAction, State},
};
use uuid::Uuid;

use crate::grid::{
    fleet::{AWAY, Standing},
    operation::{Signal, plan::on_the_host},
    view::ServiceType,
};

/// How long an order is worth carrying out, in milliseconds from its receipt.
pub const WORTH_MS: u64 = 10_000;

/// The order for a signal; nothing for the start of an agent, which nobody would hear.
pub fn order(id: Uuid, signal: Signal, standing: &Standing, ttl_ms: u64) -> Option<ToAgent> {
    match standing.r#type {
        ServiceType::Instance => {
            let action = match signal {
                Signal::Start | Signal::Restart => Action::Start,
                Signal::Stop => Action::Stop,
                Signal::Kill => Action::Kill,
            };
            Some(ToAgent::Order(Order { id, base: standing.base.clone(), action, ttl_ms }))
        }
        ServiceType::Agent => {
            let action = match signal {
                Signal::Start => return None,
                Signal::Stop => AgentAction::Stop,
                Signal::Kill => AgentAction::Kill,
                Signal::Restart => AgentAction::Restart,
            };
            Some(ToAgent::AgentOrder(AgentOrder { id, action, ttl_ms }))
        }
    }
}

/// Whether the end of its link is all that is heard of an agent: one that is killed says nothing.
pub fn ends_link(signal: Signal, standing: &Standing) -> bool {
    standing.r#type == ServiceType::Agent && signal == Signal::Kill
}

/// What is said of a service whose agent is away, and what to do.
pub fn away(signal: Signal, standing: &Standing) -> String {
    // Of an instance it is said that its agent is away, and then why.
    let reason = standing.reason.as_deref().map(|reason| reason.strip_prefix(AWAY).unwrap_or(reason));
    let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    match (standing.r#type, standing.state) {
        (ServiceType::Instance, _) => format!("the agent of {} is not linked{why}", standing.machine),
        (ServiceType::Agent, State::Active) => "the agent is linked".to_owned(),
        (ServiceType::Agent, _) => {
            let host = on_the_host(signal.word(), &standing.machine);
            format!("the agent is not linked{why}; on the host, {host}")
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::time::Timestamp;

    use super::*;

    #[test]
    fn the_table_of_what_is_said_of_who_is_away() {
        use ServiceType::{Agent, Instance};
        let broke = Some("its link broke".to_owned());
        for (r#type, reason, words) in [
            (Instance, Some(format!("{AWAY}its link broke")), "the agent of web-1 is not linked: its link broke"),
            (Instance, None, "the agent of web-1 is not linked"),
            (Agent, broke, "the agent is not linked: its link broke; on the host, "),
        ] {
            let standing = Standing {
                r#type,
                agent: Uuid::nil(),
                machine: "web-1".parse().unwrap(),
                base: String::new(),
                linked: false,
                absence: Some(crate::grid::fleet::Absence::Lost),
                state: State::NotAvailable,
                reason,
                since: Timestamp::EPOCH,
                pid: None,
                exit: None,
            };
            let told = away(Signal::Stop, &standing);
            assert!(told.starts_with(words) && !told.contains("is away"), "{told}");
        }
    }
}
