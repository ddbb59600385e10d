//! Hook programs: adding, replacing, removing and showing them.

use std::sync::Arc;

use protocol::{name::MachineName, time::Timestamp};

use crate::{
    app::{App, AppError, Result},
    grid::{
        access::{Caller, Permission},
        audit::Deed,
        config::{GridConfig, Hook},
        event::{Draft, Kind},
        hooks::{
            program::{
                Binding, HooksView, MOST_PROGRAMS, MachineProgram, ProgramView, StoredProgram, check_bytes, check_name,
            },
            secrets::{Secrets, missing},
        },
        target::NoSuchTarget,
    },
    store::StoreError,
};

/// What adding is called in the audit.
const ADD: &str = "hooks-add";

/// What removing is called in the audit.
const REMOVE: &str = "hooks-remove";

impl App {
    /// Checks that a caller may add a program of this name, before it is sent.
    pub async fn may_add_program(&self, caller: &Caller, name: &str) -> Result<()> {
        self.permit(caller, Permission::Configure, ADD, name).await?;
        check_name(name).map_err(AppError::Invalid)
    }

    /// Adds a program, or replaces the one of its name. The very same again changes nothing.
    pub async fn add_program(&self, caller: &Caller, name: &str, bytes: Vec<u8>) -> Result<ProgramView> {
        self.may_add_program(caller, name).await?;
        check_bytes(&bytes).map_err(AppError::Invalid)?;
        let _turn = self.hooks.changing.lock().await;
        let before = self.hooks.lock().programs.get(name).cloned();
        if before.is_none() && self.hooks.lock().programs.len() >= MOST_PROGRAMS {
            let message = format!("there are {MOST_PROGRAMS} programs, the most that a grid has: remove one first");
            return Err(AppError::Conflict(message));
        }
        let (blobs, _place) = (self.hooks.blobs.clone(), self.hooks.place().await);
        let size = bytes.len() as u64;
        let kept = tokio::task::spawn_blocking(move || blobs.put(&bytes)).await;
        let kept = kept.map_err(|error| AppError::Internal(error.into()))?.map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::DiskFull,
            _ => StoreError::Other(error.into()),
        });
        let hash = self.journal.noting(kept)?;
        let deed = Deed::of(caller, ADD, name).detail(format!("SHA-256 {hash}"));
        let program = StoredProgram {
            name: name.to_owned(),
            hash,
            size,
            added_at: Timestamp::now(),
            added_by: caller.name.clone(),
        };
        if let Some(same) = before.as_ref().filter(|before| before.hash == program.hash) {
            self.journal.noting(self.store.record_deed(Timestamp::now(), &deed.outcome("ignored")).await)?;
            return Ok(self.program_view(same));
        }
        let data = serde_json::json!({
            "name": program.name, "hash": program.hash, "size": program.size, "replaced": before.is_some(),
        });
        let draft = Draft::new(Kind::ProgramAdded).data(data).deed(deed);
        self.carry_out(draft, async |event| {
            self.store.put_program(&program, event).await?;
            self.hooks.lock().programs.insert(program.name.clone(), program.clone());
            Ok(())
        })
        .await?;
        self.programs_changed().await;
        Ok(self.program_view(&program))
    }

    /// Removes a program that no hook of the configuration runs.
    pub async fn remove_program(&self, caller: &Caller, name: &str) -> Result<()> {
        self.permit(caller, Permission::Configure, REMOVE, name).await?;
        let _turn = self.hooks.changing.lock().await;
        self.stored_program(name)?;
        let deed = Deed::of(caller, REMOVE, name);
        if let Some(hook) = self.configuration.current().hooks.iter().find(|hook| hook.program == name) {
            let targets = hook.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let message = format!(
                "the configuration runs `{name}` at {} on {targets}: take the hook out of it first",
                hook.event
            );
            self.record_deed(&deed.outcome("failed").detail(&message)).await;
            return Err(AppError::Conflict(message));
        }
        let draft = Draft::new(Kind::ProgramRemoved).data(serde_json::json!({"name": name})).deed(deed);
        self.carry_out(draft, async |event| {
            self.store.remove_program(name, event).await?;
            self.hooks.lock().programs.remove(name);
            Ok(())
        })
        .await?;
        self.programs_changed().await;
        Ok(())
    }

    /// All programs, and the hooks of the configuration.
    pub async fn hooks(self: &Arc<Self>, caller: &Caller) -> Result<HooksView> {
        caller.may(Permission::ReadConfig)?;
        let app = self.clone();
        let looked = tokio::task::spawn_blocking(move || app.hooks_view()).await;
        looked.map_err(|error| AppError::Internal(error.into()))
    }

    fn hooks_view(&self) -> HooksView {
        let (config, secrets) = (self.configuration.current(), self.secrets());
        let programs: Vec<StoredProgram> = self.hooks.lock().programs.values().cloned().collect();
        let machines = self.hooks.machines_by_program(None, |machine| self.is_linked(machine));
        let of = |program: &StoredProgram| machines.get(&program.hash).cloned().unwrap_or_default();
        let mut programs: Vec<_> = programs.iter().map(|program| view(program, &config, of(program))).collect();
        self.mark_without_secrets(&mut programs, &secrets);
        let services = self.fleet().services(&[]).unwrap_or_default();
        let binding = |hook: &Hook| Binding { not_ready: missing(hook, &config, &services, &secrets), ..hook.into() };
        HooksView { programs, bindings: config.hooks.iter().map(binding).collect() }
    }

    /// One program.
    pub fn program(&self, caller: &Caller, name: &str) -> Result<ProgramView> {
        caller.may(Permission::ReadConfig)?;
        Ok(self.program_view(&self.stored_program(name)?))
    }

    fn stored_program(&self, name: &str) -> Result<StoredProgram> {
        let inner = self.hooks.lock();
        let known = inner.programs.keys().map(String::as_str);
        inner.programs.get(name).cloned().ok_or_else(|| NoSuchTarget::new("hook program", name, known).into())
    }

    fn program_view(&self, program: &StoredProgram) -> ProgramView {
        let mut machines = self.hooks.machines_by_program(Some(&program.hash), |machine| self.is_linked(machine));
        let view = view(program, &self.configuration.current(), machines.remove(&program.hash).unwrap_or_default());
        let mut views = [view];
        // Only machines are told of.
        let secrets = Secrets { here: None, machines: self.hooks.secrets() };
        self.mark_without_secrets(&mut views, &secrets);
        let [view] = views;
        view
    }

    /// Whether the agent of a machine is linked.
    pub(super) fn is_linked(&self, machine: &MachineName) -> bool {
        let agent = self.fleet().agent_of(machine);
        agent.is_some_and(|agent| self.links.connection(agent).is_some())
    }

    /// Removes the files that nobody needs any more, and tells the machines.
    async fn programs_changed(&self) {
        let needed = self.hooks.lock().programs.values().map(|program| program.hash.clone()).collect();
        let blobs = self.hooks.blobs.clone();
        match tokio::task::spawn_blocking(move || blobs.sweep(&needed)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("cannot remove what no hook program is any more: {error}"),
            Err(error) => tracing::error!("removing what no hook program is any more failed: {error}"),
        }
        self.hooks.look_at_all();
    }
}

fn view(program: &StoredProgram, config: &GridConfig, machines: Vec<MachineProgram>) -> ProgramView {
    ProgramView {
        name: program.name.clone(),
        hash: program.hash.clone(),
        size: program.size,
        added_at: program.added_at,
        added_by: program.added_by.clone(),
        used: config.hooks.iter().any(|hook| hook.program == program.name),
        machines,
    }
}
