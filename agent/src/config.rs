//! The settings of the agent: its file, weakest; the environment; and the command line, strongest.

mod values;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use protocol::{name::ServiceName, secret::Secret};
use serde::Deserialize;
pub use values::{Health, Permission, ProgramHash};

/// `tomcat-grid-agent run`: flags and environment.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// Address of the manager, `https://host:port`; several are tried in turn
    #[arg(long, env = "TOMCAT_GRID_AGENT_MANAGER", value_name = "URL[,URL...]", value_delimiter = ',')]
    pub manager: Vec<String>,
    /// File that holds the join token (needed on the first start only)
    #[arg(long, env = "TOMCAT_GRID_AGENT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Join token; visible to every user of the host, so better --token-file or the environment
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<Secret>,
    /// Directory for the agent's key, certificate and memory
    #[arg(long, env = "TOMCAT_GRID_AGENT_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Name of this machine in the grid [default: the host name]
    #[arg(long, env = "TOMCAT_GRID_AGENT_NAME", value_name = "MACHINE")]
    pub name: Option<String>,
    /// Directory whose children may be a CATALINA_BASE; may be given more than once [default: /var/lib, /opt, /srv]
    #[arg(long = "root", env = "TOMCAT_GRID_AGENT_ROOTS", value_name = "DIR", value_delimiter = ',')]
    pub roots: Vec<PathBuf>,
    /// HTTP proxy to reach the manager through, `http://[user:password@]host:port`; visible to every user of the host, so
    /// with a password better TOMCAT_GRID_AGENT_PROXY_FILE or TOMCAT_GRID_AGENT_PROXY
    #[arg(long, value_name = "URL")]
    pub proxy: Option<Secret>,
    /// Settings file (TOML)
    #[arg(long, env = "TOMCAT_GRID_AGENT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The environment variable of the join token; read by hand so that it never shows in an error of the parser.
const TOKEN_VARIABLE: &str = "TOMCAT_GRID_AGENT_TOKEN";

/// The environment variable of the proxy; read by hand for the same reason, and to tell it from the flag.
const PROXY_VARIABLE: &str = "TOMCAT_GRID_AGENT_PROXY";

/// The environment variable of a file that holds the proxy's URL.
const PROXY_FILE_VARIABLE: &str = "TOMCAT_GRID_AGENT_PROXY_FILE";

/// The settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    manager: Vec<String>,
    token_file: Option<PathBuf>,
    state: Option<PathBuf>,
    name: Option<String>,
    roots: Option<Vec<PathBuf>>,
    proxy: Option<Secret>,
    proxy_file: Option<PathBuf>,
    exclude: Vec<PathBuf>,
    discover_processes: Option<bool>,
    allow: Option<Vec<Permission>>,
    hook_programs: Option<Vec<ProgramHash>>,
    hook_users: Vec<String>,
    hook_environment: Vec<String>,
    #[serde(deserialize_with = "values::duration")]
    start_timeout: Option<Duration>,
    tomcat: TomcatDefaults,
    instance: Vec<Instance>,
}

/// What holds for every instance of the machine.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TomcatDefaults {
    /// `CATALINA_HOME` where an instance's own is not known.
    pub home: Option<PathBuf>,
    /// The user to start instances as.
    pub user: Option<String>,
    /// Environment of instances that the agent starts.
    pub environment: BTreeMap<String, String>,
}

/// An instance that the file declares.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its `CATALINA_BASE`.
    pub base: PathBuf,
    /// Its name in the grid.
    pub name: Option<ServiceName>,
    /// Its `CATALINA_HOME`.
    pub home: Option<PathBuf>,
    /// The user to start it as.
    pub user: Option<String>,
    /// The systemd unit it is driven through.
    pub unit: Option<String>,
    /// Its environment when the agent starts it.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// A program with arguments that stops it, instead of SIGTERM.
    pub stop: Option<Vec<String>>,
    /// How its health is asked for.
    pub health: Option<Health>,
    /// How long its start may take.
    #[serde(default, deserialize_with = "values::duration")]
    pub start_timeout: Option<Duration>,
}

/// The settings as they are in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The managers' addresses.
    pub managers: Vec<String>,
    /// Where the join token comes from.
    pub token: TokenSource,
    /// The state directory.
    pub state: PathBuf,
    /// The machine's name, if it is set.
    pub name: Option<String>,
    /// Where instances are looked for.
    pub roots: Vec<PathBuf>,
    /// The proxy.
    pub proxy: Option<Secret>,
    /// Bases, or directories of bases, that are left alone.
    pub exclude: Vec<PathBuf>,
    /// Whether running Tomcats outside of the roots count.
    pub discover_processes: bool,
    /// What may be done.
    pub allow: Vec<Permission>,
    /// The only hook programs that may be there; any, where the file does not say.
    pub hook_programs: Option<Vec<ProgramHash>>,
    /// The users that hooks may run as, besides that of the instance they are about.
    pub hook_users: Vec<String>,
    /// Variables that hooks may be given where only certain programs may be there, besides the grid's own.
    pub hook_environment: Vec<String>,
    /// How long a start may take.
    pub start_timeout: Duration,
    /// What holds for every instance.
    pub tomcat: TomcatDefaults,
    /// The declared instances.
    pub instances: Vec<Instance>,
}

/// Where the join token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// Nowhere: the agent has joined before, or cannot.
    None,
    /// A file, read when it is needed.
    File(PathBuf),
    /// A value.
    Value(Secret),
}

impl Settings {
    /// Puts the settings together.
    pub fn resolve(flags: Flags) -> Result<Self> {
        Self::resolve_with(flags, |name| std::env::var(name).ok())
    }

    fn resolve_with(flags: Flags, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let file = match &flags.config {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        let managers = if flags.manager.is_empty() { file.manager } else { flags.manager };
        if managers.is_empty() {
            bail!(
                "no manager is set: give --manager https://HOST:8443, or TOMCAT_GRID_AGENT_MANAGER, or `manager` in the file"
            );
        }
        let token = match (flags.token_file, variable(TOKEN_VARIABLE), flags.token, file.token_file) {
            (Some(path), ..) => TokenSource::File(path),
            (None, Some(value), ..) => TokenSource::Value(value.into()),
            (None, None, Some(value), _) => {
                tracing::warn!(
                    "--token shows the token to every user of this host: use --token-file or {TOKEN_VARIABLE}"
                );
                TokenSource::Value(value)
            }
            (None, None, None, Some(path)) => TokenSource::File(path),
            (None, None, None, None) => TokenSource::None,
        };
        let roots = if flags.roots.is_empty() { file.roots } else { Some(flags.roots) };
        let usual_roots = || ["/var/lib", "/opt", "/srv"].map(PathBuf::from).to_vec();
        let proxy_file = variable(PROXY_FILE_VARIABLE).map(PathBuf::from);
        let proxy = match (flags.proxy, proxy_file, variable(PROXY_VARIABLE), file.proxy_file) {
            (Some(url), ..) => Some(url),
            (None, Some(path), ..) => Some(read_secret(&path)?),
            (None, None, Some(url), _) => Some(url.into()),
            (None, None, None, Some(path)) => Some(read_secret(&path)?),
            (None, None, None, None) => file.proxy,
        };
        let allow = file.allow.unwrap_or_else(|| Permission::ALL.to_vec());
        Ok(Self {
            managers,
            token,
            state: flags.state.or(file.state).map_or_else(default_state, Ok)?,
            name: flags.name.or(file.name),
            roots: roots.unwrap_or_else(usual_roots),
            proxy,
            exclude: file.exclude,
            discover_processes: file.discover_processes.unwrap_or(true),
            allow,
            hook_programs: file.hook_programs,
            hook_users: file.hook_users,
            hook_environment: file.hook_environment,
            start_timeout: file.start_timeout.unwrap_or(Duration::from_secs(180)),
            tomcat: file.tomcat,
            instances: file.instance,
        })
    }
}

impl File {
    fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read the settings file {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the settings file {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            // The parser would show the whole line, which may hold a password.
            let before = &text[..error.span().map_or(0, |span| text.floor_char_boundary(span.start))];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
            anyhow!("line {line}, column {column}: {}", error.message())
        })
    }
}

/// Reads a file that holds one secret.
pub fn read_secret(path: &Path) -> Result<Secret> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.trim().to_owned().into())
}

fn default_state() -> Result<PathBuf> {
    if crate::os::users::current() == 0 {
        return Ok(PathBuf::from("/var/lib/tomcat-grid-agent"));
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let dir = state.or_else(home).context("neither --state nor HOME is set: where shall the agent keep its state?")?;
    Ok(dir.join("tomcat-grid-agent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_in_the_file_are_named() {
        for (text, message) in [
            ("rots = []", "unknown field `rots`"),
            ("start_timeout = \"soon\"", "`soon` is no duration"),
            ("hook_programs = [\"../x\"]", "no SHA-256"),
            ("allow = [\"everything\"]", "unknown variant `everything`"),
            ("[[instance]]\nbase = \"/a\"\nname = \"all\"", "`all` is taken"),
            ("[[instance]]\nbase = \"/a\"\nhealth = { path = \"/\", expect = \"fine\" }", "no range of status codes"),
            ("[[instance]]\nbase = \"/a\"\nhealth = { path = \"health\" }", "line 3, column 19: `health` is no path"),
            ("[[instance]]\nbase = \"/a\"\nhealth = { path = \"/a b\" }", "`/a b` is no path"),
        ] {
            let error = File::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn flags_are_stronger_than_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        std::fs::write(&path, "manager = [\"https://a:1\"]\nname = \"file\"\nroots = [\"/x\"]\nstart_timeout = \"5m\"")
            .unwrap();
        let flags = Flags { name: Some("flag".to_owned()), config: Some(path), ..Flags::default() };
        let settings = Settings::resolve(flags).unwrap();
        assert_eq!(settings.name.as_deref(), Some("flag"));
        assert_eq!(settings.managers, ["https://a:1"]);
        assert_eq!(settings.roots, [PathBuf::from("/x")]);
        assert_eq!(settings.start_timeout, Duration::from_secs(300));
    }

    #[test]
    fn a_mistake_beside_a_secret_does_not_show_it() {
        let error = File::parse("name = \"a\"\nproxy = \"http://me:hunter2@proxy\" x").unwrap_err().to_string();
        assert!(error.starts_with("line 2, column ") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn what_is_nearer_is_stronger_and_a_file_comes_before_a_value() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (proxy, file_proxy) = (file("proxy", "environment's file\n"), file("file-proxy", "file's file\n"));
        let config = file(
            "agent.toml",
            &format!("manager = [\"https://a:1\"]\ntoken_file = \"/t\"\nproxy_file = {file_proxy:?}\nproxy = \"file\""),
        );
        let resolve = |token: Option<&str>, proxy: Option<&str>, environment: &[(&str, &str)]| {
            let secret = |text: Option<&str>| text.map(|text| Secret::from(text.to_owned()));
            let flags =
                Flags { config: Some(config.clone()), token: secret(token), proxy: secret(proxy), ..Flags::default() };
            let variable =
                |name: &str| environment.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned());
            let settings = Settings::resolve_with(flags, variable).unwrap();
            let token = match settings.token {
                TokenSource::Value(value) => value.expose().to_owned(),
                TokenSource::File(path) => path.display().to_string(),
                TokenSource::None => String::new(),
            };
            (token, settings.proxy.unwrap().expose().to_owned())
        };
        let own = |token: &str, proxy: &str| (token.to_owned(), proxy.to_owned());
        let proxy = proxy.to_str().unwrap();
        assert_eq!(resolve(None, None, &[]), own("/t", "file's file"));
        assert_eq!(resolve(Some("flag"), Some("flag"), &[(PROXY_FILE_VARIABLE, proxy)]), own("flag", "flag"));
        let both = [(TOKEN_VARIABLE, "env"), (PROXY_VARIABLE, "env"), (PROXY_FILE_VARIABLE, proxy)];
        assert_eq!(resolve(Some("flag"), None, &both), own("env", "environment's file"));
        assert_eq!(resolve(None, None, &both[..2]), own("env", "env"));
        assert_eq!(resolve(None, None, &[(TOKEN_VARIABLE, "")]), own("/t", "file's file"));
    }

    #[test]
    fn a_manager_is_needed() {
        assert!(Settings::resolve(Flags::default()).unwrap_err().to_string().contains("--manager"));
    }

    /// Makes every key of the commented sample count.
    fn sample() -> String {
        let text = include_str!("../../docs/examples/agent.toml");
        let is_key = |line: &str| {
            line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        };
        let uncomment = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if is_key(rest) || rest.starts_with("[[") => rest.to_owned(),
            _ => line.to_owned(),
        };
        text.lines().map(uncomment).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_sample_holds_every_key() {
        let sample = sample();
        toml::from_str::<File>(&sample).unwrap();
        // The parser's own complaint lists all keys there are.
        let complaint = toml::from_str::<File>("no_such_key = 1").unwrap_err().to_string();
        let keys: Vec<&str> = complaint.split('`').skip(3).step_by(2).collect();
        assert!(keys.len() > 5, "{complaint}");
        for key in keys {
            let found =
                sample.lines().any(|line| line.starts_with(&format!("{key} = ")) || line.contains(&format!("[{key}")));
            assert!(found, "docs/examples/agent.toml lacks `{key}`");
        }
    }
}
