//! Collections: what is configured of each, and how its services are.

use std::collections::BTreeMap;

use protocol::{name::ServiceName, state::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, Result};
use crate::grid::{
    access::{Caller, Permission},
    config::{Budget, Mode, OnFailure},
    page::Page,
    schema,
    view::CollectionState,
};

/// A collection: what is configured of it, and how its services are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectionDetail {
    /// Its name.
    #[schema(value_type = schema::ServiceName)]
    pub name: ServiceName,
    /// In what order its members are worked on.
    pub mode: Mode,
    /// How many at a time, in parallel mode; `null` for all.
    pub max_parallel: Option<u32>,
    /// What happens at the first failure.
    pub on_failure: OnFailure,
    /// How many services in it may fail.
    pub failure_budget: Option<Budget>,
    /// Its members, in order: services and collections.
    #[schema(value_type = Vec<schema::ServiceName>)]
    pub members: Vec<ServiceName>,
    /// What the states of its services amount to.
    pub state: CollectionState,
    /// How many services it holds now, at any depth.
    pub services: usize,
    /// How many of them are in each state.
    #[schema(value_type = BTreeMap<String, usize>)]
    pub states: BTreeMap<State, usize>,
    /// How many services it names that are not there.
    #[serde(default)]
    pub missing: usize,
}

impl App {
    /// The collections, by name.
    pub fn collections(&self, caller: &Caller, after: Option<&str>, limit: u32) -> Result<Page<CollectionDetail>> {
        caller.may(Permission::ReadConfig)?;
        let views = self.fleet().collections(|_| true);
        let config = self.configuration.current();
        let details = views.into_iter().filter_map(|view| {
            let collection = config.collections.get(&view.name)?;
            Some(CollectionDetail {
                name: view.name,
                mode: collection.mode,
                max_parallel: collection.max_parallel.map(std::num::NonZeroU32::get),
                on_failure: collection.on_failure,
                failure_budget: collection.failure_budget,
                members: collection.members.clone(),
                state: view.state,
                services: view.services,
                states: view.states,
                missing: view.missing,
            })
        });
        Ok(Page::of(details, |detail| detail.name.to_string(), after, limit))
    }
}
