//! The grid's configuration: what is in force, its versions, and their changes.

use std::sync::{Arc, PoisonError, RwLock};

use protocol::{name::ServiceName, time::Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::{App, AppError, Result};
use crate::{
    grid::{
        access::{Caller, Permission},
        audit::Deed,
        config::{
            Collection, GridConfig,
            check::{Checked, Known, check},
            diff::{Difference, diff},
            edit,
            mistake::{placed, told},
            parse::{MAX_TEXT, Parsed, parse},
        },
        event::{Draft, Kind},
        page::{MOST, Page},
        schema,
        target::NoSuchTarget,
        view::ServiceType,
    },
    store::{Store, configuration::ConfigVersion},
};

/// The configuration that is in force.
#[derive(Default)]
pub struct Configuration {
    // Held for moments only, never across an await.
    current: RwLock<Arc<GridConfig>>,
    changed: watch::Sender<u64>,
    /// Held while a version is checked and applied: what it names must still be there when it counts.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Configuration {
    /// The version that was applied last.
    pub(super) async fn load(store: &Store) -> anyhow::Result<Self> {
        let loaded = Self::default();
        if let Some(version) = store.current_configuration().await? {
            let Parsed { config, remarks, .. } = parse(&version.text);
            for mistake in placed(&version.text, remarks) {
                // It was right when it was applied, so only another version of the manager sees it otherwise.
                tracing::error!(
                    "version {} of the configuration: {mistake}; this part is not in force",
                    version.version
                );
            }
            loaded.put(config);
        }
        Ok(loaded)
    }

    /// What is in force now.
    pub fn current(&self) -> Arc<GridConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another one in force.
    pub fn put(&self, config: GridConfig) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells whenever another one is in force.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// A version of the configuration, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// Its number.
    pub version: u64,
    /// When it was applied.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// How it came: `apply`, `restore` or `collection`.
    pub cause: String,
}

/// A version of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigView {
    /// Its number; 0 before the first.
    pub version: u64,
    /// When it was applied.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub at: Option<Timestamp>,
    /// By whom.
    pub actor: Option<String>,
    /// How it came: `apply`, `restore` or `collection`.
    pub cause: Option<String>,
    /// Its text, as it was applied.
    pub text: String,
}

/// What came of a change, or would come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// The version that is in force then.
    pub version: u64,
    /// Whether it differs from the one before.
    pub changed: bool,
    /// In what, as a unified diff.
    pub diff: String,
    /// What is odd, and not wrong, with line and column.
    pub warnings: Vec<String>,
}

/// What is different from the configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigDifference {
    /// Whether anything is.
    pub changed: bool,
    /// What, as a unified diff.
    pub diff: String,
}

/// How a change is to be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct How {
    /// Only say what would come of it.
    pub dry_run: bool,
    /// Only if this version is in force.
    pub if_version: Option<u64>,
}

/// What is to be changed.
#[derive(Debug, Clone)]
pub enum Edit {
    /// The whole text is replaced.
    Apply(String),
    /// The text of a version that was in force is put in force again.
    Restore(u64),
    /// A collection is set.
    SetCollection(ServiceName, Box<Collection>),
    /// A collection is taken away.
    RemoveCollection(ServiceName),
}

impl Edit {
    /// As the audit names it.
    fn action(&self) -> &'static str {
        match self {
            Edit::Apply(_) => "config-apply",
            Edit::Restore(_) => "config-restore",
            Edit::SetCollection(..) => "collection-set",
            Edit::RemoveCollection(_) => "collection-remove",
        }
    }

    /// As the history names it.
    fn cause(&self) -> &'static str {
        match self {
            Edit::Apply(_) => "apply",
            Edit::Restore(_) => "restore",
            Edit::SetCollection(..) | Edit::RemoveCollection(_) => "collection",
        }
    }

    /// What it is on, as the audit names it.
    fn subject(&self) -> String {
        match self {
            Edit::Apply(_) => String::new(),
            Edit::Restore(version) => format!("version {version}"),
            Edit::SetCollection(name, _) | Edit::RemoveCollection(name) => name.to_string(),
        }
    }
}

impl App {
    /// The configuration in force, as its text.
    pub async fn configuration(&self, caller: &Caller) -> Result<ConfigView> {
        caller.may(Permission::ReadConfig)?;
        Ok(view(self.store.current_configuration().await?))
    }

    /// What is different between a text and the configuration in force.
    pub async fn configuration_difference(&self, caller: &Caller, text: String) -> Result<ConfigDifference> {
        caller.may(Permission::ReadConfig)?;
        if text.len() > MAX_TEXT {
            return Err(AppError::Invalid(format!("the text has {} bytes: at most {MAX_TEXT}", text.len())));
        }
        let current = view(self.store.current_configuration().await?);
        let difference = aside(move || diff(&current.text, &text)).await?;
        Ok(ConfigDifference { changed: !difference.text.is_empty(), diff: difference.text })
    }

    /// The versions that were applied, newest first.
    pub async fn configuration_history(
        &self,
        caller: &Caller,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<VersionView>> {
        caller.may(Permission::ReadConfig)?;
        let limit = limit.clamp(1, MOST);
        let mut versions = self.store.configurations(before, limit + 1).await?;
        let is_last = versions.len() <= limit as usize;
        versions.truncate(limit as usize);
        let next = versions.last().filter(|_| !is_last).map(|last| last.version.to_string());
        let item = |ConfigVersion { version, at, actor, cause, .. }| VersionView { version, at, actor, cause };
        Ok(Page { items: versions.into_iter().map(item).collect(), next })
    }

    /// One version.
    pub async fn configuration_version(&self, caller: &Caller, version: u64) -> Result<ConfigView> {
        caller.may(Permission::ReadConfig)?;
        let found = self.store.configuration(version).await?;
        Ok(view(Some(found.ok_or_else(|| no_version(version))?)))
    }

    /// Changes the configuration: all of it is checked before any of it counts.
    pub async fn configure(self: &Arc<Self>, caller: &Caller, edit: Edit, how: How) -> Result<Applied> {
        let (action, cause, subject) = (edit.action(), edit.cause(), edit.subject());
        self.permit(caller, Permission::Configure, action, &subject).await?;
        let _turn = self.configuration.turn.lock().await;
        let _programs = self.hooks.unchanged().await;
        let current = view(self.store.current_configuration().await?);
        if let Some(expected) = how.if_version.filter(|expected| *expected != current.version) {
            let now = current.version;
            let what =
                format!("version {now} of the configuration is in force, not {expected}: look at it, and try again");
            return Err(AppError::Conflict(what));
        }
        let (text, also_known) = self.edited(&current.text, edit).await?;
        let known = self.known().await?.and_named_by(&self.configuration.current());
        let known = also_known.iter().fold(known, Known::and_named_by);
        let before = current.text;
        let looked = aside(move || (check(&text, &known), diff(&before, &text), text)).await?;
        let (checked, Difference { text: diff, added, removed }, text) = looked;
        let Checked { config, warnings } = checked.map_err(|mistakes| AppError::Invalid(told(&mistakes)))?;
        let changed = !diff.is_empty();
        let version = current.version + u64::from(changed);
        let warnings = warnings.iter().map(ToString::to_string).collect();
        let applied = Applied { version, changed, diff, warnings };
        if how.dry_run {
            return Ok(applied);
        }
        let subject = if subject.is_empty() { format!("version {version}") } else { subject };
        let deed = Deed::of(caller, action, subject);
        if !changed {
            self.record_deed(&deed.outcome("ignored").detail("nothing is different")).await;
            return Ok(applied);
        }
        let detail = format!("version {version}: {added} lines added, {removed} removed");
        let data = serde_json::json!({"version": version, "cause": cause, "added": added, "removed": removed});
        let draft = Draft::new(Kind::ConfigApplied).data(data).deed(deed.detail(detail));
        let (actor, cause) = (caller.name.clone(), cause.to_owned());
        let row = ConfigVersion { version, at: Timestamp::now(), actor, cause, text };
        self.carry_out(draft, async |event| {
            self.store.add_configuration(&row, event).await?;
            // What is stored has its effect at once, and before anything else is told.
            self.change(|fleet, _| fleet.configure(&config));
            self.configuration.put(config);
            Ok(())
        })
        .await?;
        Ok(applied)
    }

    /// The text as it is after an edit, and configurations whose names may have vanished.
    async fn edited(&self, current: &str, edit: Edit) -> Result<(String, Vec<GridConfig>)> {
        let broken = |why: String| AppError::Conflict(format!("the configuration cannot be edited: {why}"));
        Ok(match edit {
            Edit::Apply(text) => (text, Vec::new()),
            Edit::Restore(version) => {
                let found = self.store.configuration(version).await?.ok_or_else(|| no_version(version))?;
                let config = parse(&found.text).config;
                (found.text, vec![config])
            }
            Edit::SetCollection(name, collection) => {
                (edit::set_collection(current, &name, &collection).map_err(broken)?, Vec::new())
            }
            Edit::RemoveCollection(name) => {
                let edited = edit::remove_collection(current, &name).map_err(broken)?;
                (edited.ok_or_else(|| self.no_collection(&name))?, Vec::new())
            }
        })
    }

    fn no_collection(&self, name: &ServiceName) -> NoSuchTarget {
        let current = self.configuration.current();
        NoSuchTarget::new("collection", name.as_str(), current.collections.keys().map(ServiceName::as_str))
    }

    /// What a configuration can name now.
    async fn known(self: &Arc<Self>) -> Result<Known> {
        let programs = self.store.program_names().await?;
        let app = self.clone();
        let secrets = aside(move || app.secrets()).await?;
        let fleet = self.fleet();
        let services = fleet.services(&[]).unwrap_or_default();
        let instances = services.iter().filter(|service| service.r#type == ServiceType::Instance);
        Ok(Known {
            instances: instances.map(|service| service.name.clone()).collect(),
            machines: fleet.machines().into_iter().map(|machine| machine.name).collect(),
            tags: fleet.tags().into_iter().map(|view| view.tag).collect(),
            programs,
            services,
            secrets,
            ..Known::default()
        })
    }
}

/// Has something computed beside what others wait for.
async fn aside<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(compute).await.map_err(|error| AppError::Internal(error.into()))
}

fn no_version(version: u64) -> NoSuchTarget {
    NoSuchTarget::new("version of the configuration", &version.to_string(), std::iter::empty())
}

fn view(version: Option<ConfigVersion>) -> ConfigView {
    match version {
        None => ConfigView { version: 0, at: None, actor: None, cause: None, text: String::new() },
        Some(ConfigVersion { version, at, actor, cause, text }) => {
            ConfigView { version, at: Some(at), actor: Some(actor), cause: Some(cause), text }
        }
    }
}
