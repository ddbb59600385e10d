//! systemd, where it runs the machine: which unit a process belongs to, and driving units with `systemctl`.

use std::{collections::HashMap, ffi::OsStr, fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// How long one `systemctl` call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Whether systemd runs the machine: the test of `sd_booted(3)`.
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The service unit that a process belongs to.
pub fn unit_of(pid: u32) -> Option<String> {
    if !is_running() {
        return None;
    }
    unit_in(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// Reads a unit out of `/proc/PID/cgroup`: the last part of a path that names a service, scopes left aside. Where both
/// versions of cgroups are in use, only one of them may tell.
fn unit_in(cgroup: &str) -> Option<String> {
    let unit_of = |line: &str| {
        // Names that the kernel could take for its own are written with this in front.
        let plain = |part: &str| part.strip_prefix('_').unwrap_or(part).to_owned();
        let path = line.strip_prefix("0::").or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))?;
        path.split('/').rev().find(|part| part.ends_with(".service") || part.ends_with(".scope")).map(plain)
    };
    let unit = cgroup.lines().find_map(unit_of)?;
    // The user's own manager is a service of the system that holds everything a login started.
    (unit.ends_with(".service") && !unit.starts_with("user@")).then_some(unit)
}

/// The unit that a base would be started through, if there is one that names the base in its environment.
pub async fn unit_for_base(base: &Path) -> Option<String> {
    if !is_running() {
        return None;
    }
    let unit = format!("{}.service", base.file_name()?.to_str()?);
    let found = show(&unit, &["LoadState", "Environment"]).await.ok()?;
    let names_base = found.get("Environment")?.split_ascii_whitespace().any(|word| {
        word.strip_prefix("CATALINA_BASE=")
            .is_some_and(|path| fs::canonicalize(path.trim_matches('"')).is_ok_and(|path| path == base))
    });
    (found.get("LoadState")? == "loaded" && names_base).then_some(unit)
}

/// Properties of a unit.
pub async fn show(unit: &str, properties: &[&str]) -> Result<HashMap<String, String>> {
    let text = call("systemctl", ["show", "--property", &properties.join(","), "--", unit]).await?;
    Ok(text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

/// A unit as systemd sees it now.
pub struct Run {
    /// The number that systemd gives to each run; empty if it knows none.
    pub invocation: String,
    /// Whether it is about to run.
    pub is_coming: bool,
    /// Whether it is about to end.
    pub is_going: bool,
}

/// The latest run of a unit.
pub async fn run_of(unit: &str) -> Result<Run> {
    let found = show(unit, &["InvocationID", "ActiveState", "Job"]).await?;
    let get = |name: &str| found.get(name).map_or("", String::as_str);
    let has_job = !matches!(get("Job"), "" | "0");
    let state = get("ActiveState");
    Ok(Run {
        invocation: get("InvocationID").to_owned(),
        is_coming: state == "activating" || (has_job && matches!(state, "inactive" | "failed")),
        is_going: state == "deactivating" || (has_job && state == "active"),
    })
}

/// Queues the start of a unit, without waiting for its end.
pub async fn start(unit: &str) -> Result<()> {
    call("systemctl", ["start", "--no-block", "--", unit]).await.map(drop)
}

/// Queues the stop of a unit, without waiting for its end.
pub async fn stop(unit: &str) -> Result<()> {
    call("systemctl", ["stop", "--no-block", "--", unit]).await.map(drop)
}

/// Kills all processes of a unit.
///
/// The stop is queued first: a unit with `Restart=on-abort` would answer a mere kill with a new process.
pub async fn kill(unit: &str) -> Result<()> {
    stop(unit).await?;
    call("systemctl", ["kill", "--signal=SIGKILL", "--", unit]).await.map(drop)
}

/// Forgets the failure of a transient unit, so that its name can be used again.
pub async fn reset_failed(unit: &str) {
    // A unit that is not known has nothing to forget.
    let _unknown = call("systemctl", ["reset-failed", "--", unit]).await;
}

/// Runs a program as a transient service of its own, outside of the agent's cgroup, and returns when it is started.
///
/// If it fails, systemd keeps it until [`reset_failed`], and tells how its process ended.
pub async fn run_transient(unit: &str, program: &Path, arguments: &[String], input: &Path) -> Result<()> {
    let mut words: Vec<&OsStr> =
        ["--quiet", "--service-type=exec", "--property=KillMode=mixed"].iter().map(OsStr::new).collect();
    let unit_word = format!("--unit={unit}");
    let input_word = format!("--property=StandardInput=file:{}", input.display());
    words.extend([OsStr::new(&unit_word), OsStr::new("--property=SuccessExitStatus=143"), OsStr::new(&input_word)]);
    words.extend([OsStr::new("--"), program.as_os_str()]);
    words.extend(arguments.iter().map(OsStr::new));
    call("systemd-run", words).await.map(drop)
}

async fn call(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
    let running = Command::new(program)
        .args(arguments)
        .env("SYSTEMD_COLORS", "0")
        .env("SYSTEMD_PAGER", "")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(CALL_TIMEOUT, running)
        .await
        .with_context(|| format!("`{program}` did not answer in {} s", CALL_TIMEOUT.as_secs()))?
        .with_context(|| format!("run `{program}`"))?;
    if !output.status.success() {
        bail!("`{program}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_read_out_of_the_cgroup() {
        for (cgroup, unit) in [
            ("0::/system.slice/tomcat10.service\n", Some("tomcat10.service")),
            ("12:pids:/x\n1:name=systemd:/system.slice/tomcat10.service\n", Some("tomcat10.service")),
            ("1:name=systemd:/\n0::/system.slice/tomcat10.service\n", Some("tomcat10.service")),
            ("0::/system.slice/system-tomcat.slice/tomcat@a\\x2db.service\n", Some("tomcat@a\\x2db.service")),
            ("0::/system.slice/_cpu.service\n", Some("cpu.service")),
            ("0::/user.slice/user-0.slice/session-3.scope\n", None),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n", None),
            ("0::/\n", None),
        ] {
            assert_eq!(unit_in(cgroup).as_deref(), unit, "{cgroup}");
        }
    }
}
