//! Starts an instance: detached, in its own session, as its own user, its output to `logs/catalina.out`.
//!
//! The agent does not start Tomcat itself: it starts its own program again with the command `launch`
//! (see [`crate::launch`]), which becomes the instance's user before it opens anything in the base.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};
use uuid::Uuid;

use super::mark::Proof;
use crate::os::{process::ProcessKey, systemd};

/// How long it may take until the instance's program is executed.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a launcher that was killed may take to be gone.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that the launcher needs to know; it is passed as JSON on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// The user it runs as.
    pub user: String,
    /// Its working directory.
    pub directory: PathBuf,
    /// The file that its output is appended to.
    pub output: PathBuf,
    /// The file that its complaint goes to, where nobody reads its standard error.
    #[serde(default)]
    pub complaint: Option<PathBuf>,
    /// What proves that it went on.
    #[serde(default)]
    pub mark: Option<Mark>,
}

/// The mark of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The order.
    pub order: Uuid,
    /// The file: see [`super::mark`].
    pub path: PathBuf,
}

impl Launch {
    /// How to run a base with the programs of a home.
    pub fn of(base: &Path, home: &Path, user: &crate::os::users::Account, extra: &BTreeMap<String, String>) -> Self {
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("HOME".to_owned(), user.home.clone()),
            ("USER".to_owned(), user.name.clone()),
            ("LOGNAME".to_owned(), user.name.clone()),
            ("LANG".to_owned(), std::env::var("LANG").unwrap_or_else(|_| "C.UTF-8".to_owned())),
        ]);
        // Debian's layout has no `temp`, and its unit names another place. Without any, uploads fail.
        if !base.join("temp").is_dir() {
            environment.insert("CATALINA_TMPDIR".to_owned(), "/tmp".to_owned());
        }
        environment.extend(extra.iter().map(|(name, value)| (name.clone(), value.clone())));
        environment.insert("CATALINA_HOME".to_owned(), home.display().to_string());
        environment.insert("CATALINA_BASE".to_owned(), base.display().to_string());
        Self {
            program: super::installation::script(home),
            arguments: vec!["run".to_owned()],
            environment,
            user: user.name.clone(),
            directory: base.to_path_buf(),
            output: base.join("logs/catalina.out"),
            complaint: None,
            mark: None,
        }
    }
}

/// What has been started.
pub struct Started {
    /// The process, which is or will be the instance.
    pub key: ProcessKey,
    /// The process as a child of the agent, if it is one: only a parent learns the exit code.
    pub child: Option<Child>,
}

/// Starts it as a child of the agent. It outlives the agent.
pub async fn as_child(launch: &Launch) -> Result<Started> {
    let mut child = Command::new(own_program())
        .arg("launch")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env_clear()
        .kill_on_drop(false)
        .spawn()
        .context("run the launcher")?;
    let pid = child.id().context("the launcher has ended at once")?;
    let key = ProcessKey::of(pid).context("the launcher has vanished at once")?;
    let mut stdin = child.stdin.take().context("the launcher has no input")?;
    let mut stderr = child.stderr.take().context("the launcher has no output")?;
    let handshake = async {
        stdin.write_all(&serde_json::to_vec(launch)?).await?;
        drop(stdin);
        fail::fail_point!("launch_sent", |_| std::process::abort());
        // Its error output ends when the launcher has become the instance, or says why it could not.
        let mut complaint = String::new();
        stderr.read_to_string(&mut complaint).await?;
        Ok::<_, anyhow::Error>(complaint)
    };
    let complaint = tokio::time::timeout(LAUNCH_TIMEOUT, handshake).await.map_err(|_| {
        let _gone = child.start_kill();
        anyhow!("the launcher was not done in {} s", LAUNCH_TIMEOUT.as_secs())
    })??;
    if !complaint.trim().is_empty() {
        child.wait().await?;
        bail!("{}", complaint.trim());
    }
    Ok(Started { key, child: Some(child) })
}

/// Starts it as a transient unit of systemd, outside of the agent's own cgroup.
pub async fn as_transient_unit(launch: &Launch, unit: &str, state_dir: &Path) -> Result<Started> {
    let dir = super::mark::dir(state_dir).context("make a directory for launchers")?;
    let mut order = tempfile::NamedTempFile::new_in(&dir).context("write the launcher's order")?;
    let complaint = tempfile::NamedTempFile::new_in(&dir).context("make a file for the launcher's complaint")?;
    let launch = Launch { complaint: Some(complaint.path().to_path_buf()), ..launch.clone() };
    order.write_all(&serde_json::to_vec(&launch)?)?;
    let invocation = async || systemd::run_of(unit).await.ok().map(|run| run.invocation);
    let before = invocation().await;
    systemd::reset_failed(unit).await;
    let mut is_begun = false;
    let run = async {
        systemd::run_transient(unit, &own_program(), &["launch".to_owned()], order.path()).await?;
        is_begun = true;
        let main = systemd::show(unit, &["MainPID", "Result"]).await?;
        let pid = main.get("MainPID").and_then(|pid| pid.parse().ok()).filter(|&pid| pid != 0);
        let key = pid.and_then(ProcessKey::of).ok_or_else(|| {
            let result = main.get("Result").map_or("", String::as_str);
            anyhow!("the unit {unit} ended at once ({result}): see `journalctl -u {unit}`")
        })?;
        wait_until_executed(key).await?;
        Ok(Started { key, child: None })
    };
    let mut started = run.await;
    if let (Err(_), Some(mark)) = (&started, &launch.mark) {
        // What has the unit's name may have had it before, and be an instance that runs.
        let is_own = is_begun || is_another(before.as_deref(), invocation().await.as_deref());
        if let Some(key) = end_launch(is_own.then_some(unit), state_dir, mark.order).await {
            started = Ok(Started { key, child: None });
        }
    }
    let complaint = std::fs::read_to_string(complaint.path()).unwrap_or_default();
    if !complaint.trim().is_empty() {
        systemd::reset_failed(unit).await;
        bail!("{}", complaint.trim());
    }
    started
}

/// Whether a unit is known to be in another run than before.
fn is_another(before: Option<&str>, now: Option<&str>) -> bool {
    matches!((before, now), (Some(before), Some(now)) if !now.is_empty() && now != before)
}

/// Sees to it that a launch which was given up does not go on later; returns its process if it has gone on and lives. The
/// unit is killed, if one is known to be of this launch.
async fn end_launch(unit: Option<&str>, state_dir: &Path, order: Uuid) -> Option<ProcessKey> {
    let kill = async || match unit {
        Some(unit) => systemd::kill(unit).await,
        None => Ok(()),
    };
    let begun = Instant::now();
    let mut is_killed = false;
    loop {
        let dir = state_dir.to_path_buf();
        let settled = tokio::task::spawn_blocking(move || super::mark::settle(&dir, order)).await;
        match settled {
            Ok(Ok(Proof::NotGone)) => {
                // Its launcher may wait for its order yet, and is of no use any more.
                let _gone = kill().await;
                return None;
            }
            Ok(Ok(Proof::Gone(key))) => return Some(key).filter(|key| key.is_alive()),
            _ if begun.elapsed() > END_TIMEOUT => return None,
            _ if !is_killed => {
                is_killed = true;
                let _gone = kill().await;
            }
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Waits until the launcher has read its order and become the instance.
async fn wait_until_executed(key: ProcessKey) -> Result<()> {
    let is_launcher = || {
        key.is_alive()
            && crate::os::process::command_line(key.pid)
                .is_some_and(|arguments| arguments.get(1).is_some_and(|word| word == "launch"))
    };
    let executed = async {
        while is_launcher() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LAUNCH_TIMEOUT, executed)
        .await
        .with_context(|| format!("the launcher was not done in {} s", LAUNCH_TIMEOUT.as_secs()))
}

fn own_program() -> PathBuf {
    // The link stays right when the file has been replaced by an upgrade.
    let link = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    std::env::current_exe().ok().filter(|path| path.is_file()).unwrap_or(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_units_that_may_be_killed() {
        for (before, now, is_own) in [
            (Some(""), Some("a"), true),
            (Some("a"), Some("b"), true),
            (Some("a"), Some("a"), false),
            (Some("a"), Some(""), false),
            (Some(""), Some(""), false),
            (Some("a"), None, false),
            (None, Some("a"), false),
            (None, None, false),
        ] {
            assert_eq!(is_another(before, now), is_own, "{before:?} {now:?}");
        }
    }
}
