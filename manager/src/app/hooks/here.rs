//! Hooks that run on the manager's host.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    time::Duration,
};

use protocol::hook::HookEnd;
use runner::{Account, Program, Run, Secret};
use rustix::fs::{Mode, OFlags};

use super::{begun::Begun, running::HookContext, telling};
use crate::{app::App, grid::operation::HookNode};

/// The largest secret, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

impl App {
    pub(super) async fn run_here(
        &self,
        hook: &HookNode,
        context: &HookContext,
        told: impl FnMut(&str) + Send,
    ) -> HookEnd {
        let limit = Duration::from_millis(hook.timeout_ms);
        let Ok(Ok(_place)) = tokio::time::timeout(limit, self.hooks.here.acquire()).await else {
            return HookEnd::not_run("too many hooks run on the manager's host, and none of them ended in time");
        };
        match self.prepare(hook, context, limit).await {
            Ok((run, begun)) => {
                let end = runner::run(run, &self.host.launcher, told, std::future::pending()).await;
                // Before it is told: what a hook that has ended may leave running is not for the next manager to kill.
                let _ended = tokio::task::spawn_blocking(move || begun.end()).await;
                end
            }
            Err(why) => HookEnd::not_run(why),
        }
    }

    async fn prepare(&self, hook: &HookNode, context: &HookContext, timeout: Duration) -> Result<(Run, Begun), String> {
        let stored = self.hooks.lock().programs.get(&hook.program).cloned();
        let stored = stored.ok_or_else(|| no_program(&hook.program))?;
        let path = self.hooks.blobs.path(&stored.hash).ok_or_else(|| no_program(&hook.program))?;
        let account = account(self.host.hook_user.as_deref(), hook.user.as_deref())?;
        let (names, dir) = (hook.secrets.clone(), self.host.data.join("secrets"));
        let (runs, run, uid) = (self.hooks.begun.clone(), context.run, account.uid);
        let reading = tokio::task::spawn_blocking(move || {
            let program =
                Program::verify(&path, &stored.hash).map_err(|error| format!("{error}: `hooks add` it again"))?;
            let secret = |name: String| match read_secret(&dir, &name) {
                Ok(value) => Ok(Secret { name, value }),
                Err(error) => Err(no_secret(&name, &dir, &error)),
            };
            let secrets = names.into_iter().map(secret).collect::<Result<Vec<_>, _>>()?;
            let begun = runs.begin(run, uid).map_err(|error| format!("it cannot be noted that it begins: {error}"))?;
            Ok::<_, String>((program, secrets, begun))
        });
        let (program, secrets, begun) = reading.await.map_err(|error| error.to_string())??;
        let service = telling::service_of(self, context);
        let input = telling::input(self, hook, context, service.as_ref());
        let run = Run {
            id: context.run,
            program,
            name: hook.program.clone(),
            account: Some(account),
            environment: telling::environment(self, hook, context, service.as_ref()),
            secrets,
            input: format!("{input}\n").into_bytes(),
            timeout,
        };
        Ok((run, begun))
    }
}

/// What is said of a program that the grid does not have.
pub(super) fn no_program(name: &str) -> String {
    format!("the grid has no hook program `{name}`: `hooks add FILE` adds one")
}

/// Whom a hook runs as: the user that this host's settings name, and nobody else.
fn account(hook_user: Option<&str>, wanted: Option<&str>) -> Result<Account, String> {
    let account = match hook_user {
        Some(name) => Account::by_name(name).ok_or_else(|| {
            format!("the manager's host has no user `{name}`: set `hook_user` in the manager's settings to one it has")
        })?,
        // The manager's own user can read the grid's keys.
        None => {
            return Err(
                "hooks run on the manager's host only as a user that its settings name: set `hook_user` there, best to one \
                 that is not the manager's own"
                    .to_owned(),
            );
        }
    };
    match wanted.filter(|wanted| *wanted != account.name) {
        Some(wanted) => Err(format!(
            "it is to run as `{wanted}`, and hooks on the manager's host run as `{}`: change `user`, or `hook_user` in the \
             manager's settings",
            account.name
        )),
        None => Ok(account),
    }
}

/// What is said of a secret that cannot be read.
pub(super) fn no_secret(name: &str, dir: &std::path::Path, error: &io::Error) -> String {
    format!("the secret `{name}` cannot be read from {}: {error}", dir.display())
}

/// Reads a secret, without the line end of its file.
pub(super) fn read_secret(dir: &std::path::Path, name: &str) -> io::Result<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.len() > 128 || !name.chars().all(is_name) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a secret"));
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let dir = rustix::fs::open(dir, flags | OFlags::DIRECTORY, Mode::empty())?;
    let file = File::from(rustix::fs::openat(dir, name, flags | OFlags::NONBLOCK, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_SECRET {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file, or a large one"));
    }
    if metadata.uid() != 0 && metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user: `chown` it"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can read or write it: `chmod 600` it"));
    }
    let mut value = String::new();
    file.take(MAX_SECRET).read_to_string(&mut value)?;
    Ok(value.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_users() {
        let own = Account::current().unwrap().name;
        let as_whom = |hook_user, wanted| account(hook_user, wanted).map(|account| account.name);
        assert_eq!(as_whom(Some(&own), None), Ok(own.clone()));
        assert!(as_whom(None, None).unwrap_err().contains("set `hook_user`"));
        assert_eq!(as_whom(Some("nobody"), None), Ok("nobody".to_owned()));
        assert_eq!(as_whom(Some("nobody"), Some("nobody")), Ok("nobody".to_owned()));
        assert!(as_whom(Some("nobody"), Some("root")).unwrap_err().contains("it is to run as `root`"));
        assert!(as_whom(Some("no-such-user"), None).unwrap_err().contains("has no user `no-such-user`"));
    }

    #[test]
    fn secrets_are_files_of_their_directory_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8], mode| {
            std::fs::write(dir.path().join(name), content).unwrap();
            std::fs::set_permissions(dir.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("KEY", b"value\n", 0o600);
        write("OPEN", b"value\n", 0o640);
        write("LARGE", &vec![b'x'; MAX_SECRET as usize + 1], 0o600);
        std::os::unix::fs::symlink(dir.path().join("KEY"), dir.path().join("LINK")).unwrap();
        assert_eq!(read_secret(dir.path(), "KEY").unwrap(), "value");
        for name in ["", "NONE", "LARGE", "OPEN", "LINK", "../KEY", ".", "/etc/passwd"] {
            assert!(read_secret(dir.path(), name).is_err(), "{name}");
        }
    }
}
