//! `tomcat-grid-agent launch`: becomes an instance.
//!
//! Reads a [`Launch`] from standard input, gives up its privileges for those of the instance's user, opens a session
//! of its own, opens the output file, marks that it goes on, and executes the instance's program. What goes wrong goes to standard error,
//! which otherwise ends without a word when the program is executed.

use std::{
    ffi::CString,
    fs::File,
    io::{Read, Write},
    os::unix::{fs::FileTypeExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::unistd::{Gid, Uid, initgroups, setgid, setuid};
use rustix::fs::{Mode, OFlags};

use crate::{
    os::users::{self, Account},
    tomcat::{mark::Hold, start::Launch},
};

/// The largest order in bytes.
const MAX_ORDER: u64 = 1024 * 1024;

/// Runs the launcher; returns only when it failed.
pub fn run() -> ExitCode {
    // Opened with the agent's privileges, before they are given up; a successful `exec` closes it.
    let mut complaint = None;
    let Err(error) = read_order().and_then(|launch| {
        if let Some(path) = &launch.complaint {
            complaint = Some(File::options().write(true).open(path).context("open the file for complaints")?);
        }
        let hold = launch.mark.as_ref().map(|mark| Hold::take(&mark.path, mark.order)).transpose()?;
        become_instance(&launch, hold)
    });
    // Nobody is left to be told when these fail.
    let _unheard = writeln!(std::io::stderr(), "{error:#}");
    let _unread = complaint.map(|mut file| writeln!(file, "{error:#}"));
    ExitCode::FAILURE
}

fn read_order() -> Result<Launch> {
    let mut order = Vec::new();
    std::io::stdin().take(MAX_ORDER).read_to_end(&mut order)?;
    serde_json::from_slice(&order).context("read the launcher's order")
}

fn become_instance(launch: &Launch, mut hold: Option<Hold>) -> Result<std::convert::Infallible> {
    let user = users::by_name(&launch.user).with_context(|| format!("there is no user `{}`", launch.user))?;
    // Fails only for who leads a session already, as under systemd; that is as good.
    let _leads_already = rustix::process::setsid();
    become_user(&user)?;
    std::env::set_current_dir(&launch.directory)
        .with_context(|| format!("enter {} as `{}`", launch.directory.display(), user.name))?;
    let output = open_output(&launch.output, &user.name)?;
    let errors = output.try_clone().context("share the output file")?;
    if let Some(hold) = &mut hold {
        hold.go_on()?;
    }
    let error = Command::new(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(&launch.environment)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .exec();
    if let Some(hold) = &mut hold {
        hold.stay()?;
    }
    Err(error).with_context(|| format!("execute {} as `{}`", launch.program.display(), user.name))
}

fn become_user(user: &Account) -> Result<()> {
    if users::current() == user.uid {
        return Ok(());
    }
    if users::current() != 0 {
        bail!("the agent runs as `{}` and cannot start anything as `{}`", users::shown(users::current()), user.name);
    }
    let name = CString::new(user.name.as_str()).context("a user name without NUL")?;
    let become_user = || {
        initgroups(&name, Gid::from_raw(user.gid))?;
        setgid(Gid::from_raw(user.gid))?;
        setuid(Uid::from_raw(user.uid))
    };
    become_user().with_context(|| format!("become the user `{}`", user.name))
}

/// Opens the output file as the instance's user. A link in its place is refused: who planted it would choose what
/// file the output is appended to. A FIFO is refused because Tomcat would hang when nobody reads it.
fn open_output(path: &Path, user: &str) -> Result<File> {
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        std::fs::create_dir(parent).with_context(|| format!("create {} as `{user}`", parent.display()))?;
    }
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::from_raw_mode(0o640)) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            bail!("{} is a symbolic link, which is not followed: remove it", path.display())
        }
        Err(error) => return Err(error).with_context(|| format!("open {} as `{user}`", path.display())),
    };
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() || !kind.is_file() {
        bail!("{} is not a regular file: remove it", path.display());
    }
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND).context("make the output file blocking")?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_link_is_refused_and_its_target_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "kept").unwrap();
        let output = dir.path().join("catalina.out");
        std::os::unix::fs::symlink(&victim, &output).unwrap();
        let error = open_output(&output, "me").unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
    }

    #[test]
    fn output_is_appended_and_a_missing_directory_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("logs/catalina.out");
        for _ in 0..2 {
            open_output(&output, "me").unwrap().write_all(b"line\n").unwrap();
        }
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "line\nline\n");
    }

    #[test]
    fn a_fifo_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("catalina.out");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open_output(&fifo, "me").is_err());
    }
}
