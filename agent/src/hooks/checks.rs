//! What must hold before a hook runs, and what it runs with.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use protocol::{
    hook::{HookAbout, HookRun, MAX_ENVIRONMENT, may_be_given},
    report::InstanceReport,
};
use runner::{Account, Run};

use super::{
    secrets,
    store::Store,
    user::{self, Question},
};
use crate::{
    config::{Permission, Settings},
    desired,
};

/// The longest that a hook may run.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// The largest input, in bytes.
const MAX_INPUT: usize = 256 * 1024;

/// The variables of an instance, which are those of the agent's own report.
const OF_INSTANCE: [&str; 2] = ["CATALINA_HOME", "CATALINA_BASE"];

/// What the machine's own file says about hooks.
pub struct Checks {
    allow: Arc<[Permission]>,
    users: Vec<String>,
    /// The variables that may be given besides the grid's own; any, where any program may be there.
    variables: Option<Vec<String>>,
    state_dir: PathBuf,
    store: Store,
}

impl Checks {
    /// Of an agent's settings.
    pub fn new(settings: &Settings, state_dir: PathBuf, store: Store) -> Self {
        let variables = settings.hook_programs.as_ref().map(|_| settings.hook_environment.clone());
        Self { allow: settings.allow.clone().into(), users: settings.hook_users.clone(), variables, state_dir, store }
    }

    /// Makes a run of what the manager asks for; `report` is that of the instance that it is about. The error says why
    /// it cannot run, and what to do. Blocks.
    pub fn check(&self, asked: HookRun, report: Option<Option<InstanceReport>>) -> Result<Run, String> {
        if !self.allow.contains(&Permission::Hooks) {
            return Err("the agent's own configuration does not allow `hooks` (see `allow` there)".to_owned());
        }
        if !desired::is_hash(&asked.program) {
            return Err("the program is named by no SHA-256".to_owned());
        }
        if asked.about() == HookAbout::Instance && asked.base.is_none() {
            return Err("it is about an instance, and the manager does not say which".to_owned());
        }
        let report = match report {
            Some(None) => {
                let base = protocol::limits::clip(asked.base.as_deref().unwrap_or_default());
                return Err(format!("there is no instance at {base} on this machine"));
            }
            Some(Some(report)) => Some(report),
            None => None,
        };
        check_environment(&asked.environment, self.variables.as_deref())?;
        let account = self.account(&asked, report.as_ref())?;
        let secrets = secrets::read(&self.state_dir, &asked.secrets)?;
        let input = serde_json::to_vec(&asked.input).map_err(|error| error.to_string())?;
        if input.len() > MAX_INPUT {
            return Err(format!("its input is larger than {MAX_INPUT} bytes"));
        }
        let mut environment = asked.environment;
        // What these name is executed by many a program, so that nobody but the agent says what they are.
        OF_INSTANCE.into_iter().for_each(|name| drop(environment.remove(name)));
        if let Some(report) = report {
            let [home, base] = OF_INSTANCE;
            environment.insert(base.to_owned(), report.base);
            environment.extend(report.home.map(|of_report| (home.to_owned(), of_report)));
            environment.extend(report.pid.map(|pid| ("TOMCAT_GRID_PID".to_owned(), pid.to_string())));
        }
        // Last, so that as little time as can be lies between it and the run.
        let program = self.store.get(&asked.program)?;
        Ok(Run {
            id: asked.id,
            program,
            name: asked.name,
            account,
            environment,
            secrets,
            input,
            timeout: Duration::from_millis(asked.timeout_ms).min(MAX_TIMEOUT),
        })
    }

    fn account(&self, asked: &HookRun, report: Option<&InstanceReport>) -> Result<Option<Account>, String> {
        let find = |name: &str| {
            let name = protocol::limits::clip(name);
            Account::by_name(&name).ok_or_else(|| format!("there is no user `{name}` on this machine"))
        };
        let agent = Account::current().ok_or("the agent's own user has no name")?;
        let named = asked.user.as_deref().map(find).transpose()?;
        let instance = match report {
            None => None,
            Some(InstanceReport { user: Some(user), .. }) => Some(find(user)?),
            Some(InstanceReport { base, .. }) => {
                return Err(format!(
                    "whose the instance at {base} is cannot be told: set its `user` in the agent's file"
                ));
            }
        };
        let listed: Vec<_> = self.users.iter().filter_map(|name| Account::by_name(name)).collect();
        user::decide(&Question { asked: named.as_ref(), instance: instance.as_ref(), agent: &agent, listed: &listed })
    }
}

/// Refuses an environment by which something else than the program would run. `listed` are the only variables besides the
/// grid's own, where the machine's file limits them.
fn check_environment(environment: &BTreeMap<String, String>, listed: Option<&[String]>) -> Result<(), String> {
    let size: usize = environment.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if size > MAX_ENVIRONMENT {
        return Err(format!("its environment is larger than {MAX_ENVIRONMENT} bytes"));
    }
    for name in environment.keys() {
        let shown = protocol::limits::clip(&name.escape_default().to_string());
        if !may_be_given(name) {
            return Err(format!("the variable `{shown}` cannot be given to a hook: take it out of its `environment`"));
        }
        let is_own = name.starts_with("TOMCAT_GRID_") || OF_INSTANCE.contains(&name.as_str());
        if listed.is_some_and(|listed| !is_own && !listed.contains(name)) {
            return Err(format!(
                "the agent's own configuration names the programs of hooks, and not the variable `{shown}`: list it there \
                 with `hook_environment = [\"{shown}\"]`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_environments() {
        let listed = ["MODE".to_owned()];
        for (name, listed, error) in [
            ("MODE", None, ""),
            ("MODE", Some(&listed[..]), ""),
            ("OTHER", None, ""),
            ("OTHER", Some(&listed[..]), "hook_environment = [\"OTHER\"]"),
            ("TOMCAT_GRID_EVENT", Some(&[][..]), ""),
            ("CATALINA_BASE", Some(&[][..]), ""),
            ("CATALINA_HOME", Some(&[][..]), ""),
            ("CATALINA_OPTS", None, ""),
            ("CATALINA_OPTS", Some(&listed[..]), "hook_environment = [\"CATALINA_OPTS\"]"),
            ("CATALINA_OPTS", Some(&["CATALINA_OPTS".to_owned()][..]), ""),
            ("CATALINA_TMPDIR", Some(&[][..]), "hook_environment = [\"CATALINA_TMPDIR\"]"),
            ("CATALINA_BASE_X", Some(&[][..]), "hook_environment = [\"CATALINA_BASE_X\"]"),
            ("LD_PRELOAD", None, "cannot be given"),
            ("BASH_FUNC_ls%%", None, "cannot be given"),
            ("A\u{1b}[2J", None, "`A\\u{1b}[2J` cannot be given"),
        ] {
            let environment = BTreeMap::from([(name.to_owned(), "x".to_owned())]);
            let checked = check_environment(&environment, listed).err().unwrap_or_default();
            assert!(checked.contains(error) && checked.is_empty() == error.is_empty(), "{name}: {checked}");
        }
        let large = BTreeMap::from([("MODE".to_owned(), "x".repeat(MAX_ENVIRONMENT))]);
        assert!(check_environment(&large, None).unwrap_err().contains("larger"));
    }
}
