//! Tags: adding and removing them, and which there are.

use std::collections::BTreeSet;

use protocol::name::{MachineName, ServiceName};
use serde::{Deserialize, Serialize};

use super::{App, AppError, Result};
use crate::grid::{
    access::{Caller, Permission},
    audit::{Deed, in_one_line},
    event::{Draft, Kind},
    fleet::TagError,
    page::Page,
    schema,
    tags::{Tag, TagChange, TagView, Tagged},
    target::MAX_TARGETS,
};

/// What tags were changed of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TagsChanged {
    /// Services.
    #[schema(value_type = Vec<schema::ServiceName>)]
    pub services: Vec<ServiceName>,
    /// Machines.
    #[schema(value_type = Vec<schema::MachineName>)]
    pub machines: Vec<MachineName>,
}

impl From<TagError> for AppError {
    fn from(error: TagError) -> Self {
        match error {
            TagError::NoSuchTarget(error) => error.into(),
            TagError::Invalid(message) => AppError::Invalid(message),
        }
    }
}

impl App {
    /// Changes the tags of services and machines; says of which it changed something.
    pub async fn change_tags(
        &self,
        caller: &Caller,
        change: &TagChange,
        services: &BTreeSet<ServiceName>,
        machines: &BTreeSet<MachineName>,
    ) -> Result<TagsChanged> {
        let subject = subject(services.iter().map(ServiceName::as_str), machines);
        self.permit(caller, Permission::Tag, "tag", &subject).await?;
        if services.is_empty() && machines.is_empty() {
            return Err(AppError::Invalid("name at least one service or machine to tag".to_owned()));
        }
        if services.len() + machines.len() > MAX_TARGETS {
            return Err(AppError::Invalid(format!("tag at most {MAX_TARGETS} services and machines at once")));
        }
        // One at a time: what is planned must still be so when it is carried out.
        let _turn = self.tagging.lock().await;
        let plan = self.fleet().plan_tags(change, services, machines)?;
        let Tagged { services, machines } = &plan;
        let changed = TagsChanged {
            services: services.iter().map(|(name, ..)| name.clone()).collect(),
            machines: machines.clone(),
        };
        let deed = Deed::of(caller, "tag", subject).detail(change.to_string());
        if services.is_empty() && machines.is_empty() {
            let ignored = deed.outcome("ignored");
            self.journal.noting(self.store.record_deed(protocol::time::Timestamp::now(), &ignored).await)?;
            return Ok(changed);
        }
        let data = serde_json::json!({
            "services": changed.services, "machines": changed.machines, "add": change.add, "remove": change.remove,
        });
        let mut draft = Draft::new(Kind::TagsChanged).data(data).deed(deed);
        // Who looks for the events of the one that was tagged finds this one.
        match (changed.services.as_slice(), changed.machines.as_slice()) {
            ([service], []) => draft = draft.service(service),
            ([], [machine]) => draft = draft.machine(machine),
            _ => {}
        }
        self.carry_out(draft, async |event| {
            self.store.change_tags(change, &plan, event).await?;
            // What is stored has its effect at once, and before anything else is told.
            self.change(|fleet, _| fleet.tag(change, &plan));
            Ok(())
        })
        .await?;
        self.hooks.look_at_all();
        Ok(changed)
    }

    /// Which tags there are.
    pub fn tags(&self, caller: &Caller, after: Option<&Tag>, limit: u32) -> Result<Page<TagView>> {
        // Which tags there are is about more than single services.
        caller.may(Permission::ReadFigures)?;
        Ok(Page::of(self.fleet().tags(), |view| view.tag.to_string(), after.map(Tag::as_str), limit))
    }
}

/// What is tagged, as the audit names it.
fn subject<'a>(services: impl Iterator<Item = &'a str>, machines: &BTreeSet<MachineName>) -> String {
    let machines = machines.iter().map(|machine| format!("@{machine}"));
    in_one_line(services.map(str::to_owned).chain(machines))
}
