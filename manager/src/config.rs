//! The settings of the manager: its file, weakest; the environment; and the command line, strongest.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use protocol::secret::Secret;
use serde::Deserialize;

use crate::{grid::access::Role, pki::server_certificate::OwnFiles};

/// `tomcat-grid serve`: flags and environment.
#[derive(Debug, Default, Args)]
pub struct Flags {
    /// Directory for the databases and keys [default: /var/lib/tomcat-grid for root, else below the state directory]
    #[arg(long, env = "TOMCAT_GRID_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The one TLS port for dashboard, API and agents; port 0 picks a free one [default: 0.0.0.0:8443]
    #[arg(long, env = "TOMCAT_GRID_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// What browsers and agents call this manager; may be given more than once [default: the host name]
    #[arg(long, env = "TOMCAT_GRID_ADVERTISE", value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub advertise: Vec<String>,
    /// Unix socket for the command line on this host [default: DIR/manager.sock]
    #[arg(long, env = "TOMCAT_GRID_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Name of the grid
    #[arg(long, env = "TOMCAT_GRID_NAME", value_name = "GRID")]
    pub name: Option<String>,
    /// Serve only agents on the port
    #[arg(long, env = "TOMCAT_GRID_NO_WEB")]
    pub no_web: bool,
    /// Certificate of one's own for browsers (PEM); needs --tls-key
    #[arg(long, env = "TOMCAT_GRID_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, env = "TOMCAT_GRID_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Settings file (TOML)
    #[arg(long, env = "TOMCAT_GRID_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data: Option<PathBuf>,
    listen: Option<SocketAddr>,
    advertise: Vec<String>,
    socket: Option<PathBuf>,
    name: Option<String>,
    no_web: bool,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    access: Access,
    hook_user: Option<String>,
}

/// What users and groups of the manager's host may do through the socket.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Roles by user name.
    pub users: BTreeMap<String, Role>,
    /// Roles by group name.
    pub groups: BTreeMap<String, Role>,
}

/// The settings as they are in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What the manager is called.
    pub advertise: Vec<String>,
    /// The Unix socket.
    pub socket: PathBuf,
    /// The grid's name, if it is set.
    pub name: Option<String>,
    /// Whether the port serves people as well.
    pub web: bool,
    /// The certificate of one's own.
    pub own_certificate: Option<OwnFiles>,
    /// Who may do what through the socket.
    pub access: Access,
    /// The user that hooks run as on this host; `nobody` where the manager is root and nothing is set.
    pub hook_user: Option<String>,
    /// The first password of the user `admin`, if it is given.
    pub admin_password: Option<Secret>,
}

impl Settings {
    /// Puts the settings together.
    pub fn resolve(flags: Flags) -> Result<Self> {
        let file = match &flags.config {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("read the settings file {}", path.display()))?;
                parse(&text).with_context(|| format!("in the settings file {}", path.display()))?
            }
            None => File::default(),
        };
        let own_certificate = match (flags.tls_cert.or(file.tls_cert), flags.tls_key.or(file.tls_key)) {
            (Some(certificate), Some(key)) => Some(OwnFiles { certificate, key }),
            (None, None) => None,
            _ => bail!("a certificate of one's own needs both --tls-cert and --tls-key"),
        };
        let data = flags.data.or(file.data).or_else(state_of_service).map_or_else(default_data, Ok)?;
        let name = flags.name.or(file.name);
        if let Some(name) = &name {
            name.parse::<protocol::name::MachineName>().context("the grid's name is not valid")?;
        }
        Ok(Self {
            socket: flags.socket.or(file.socket).unwrap_or_else(|| data.join("manager.sock")),
            data,
            listen: flags.listen.or(file.listen).unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 8443))),
            advertise: if flags.advertise.is_empty() { file.advertise } else { flags.advertise },
            name,
            web: !(flags.no_web || file.no_web),
            own_certificate,
            access: file.access,
            hook_user: file.hook_user.or_else(|| rustix::process::getuid().is_root().then(|| "nobody".to_owned())),
            admin_password: secret("TOMCAT_GRID_ADMIN_PASSWORD")?,
        })
    }
}

/// Reads the settings file. A mistake is told with its place, and not with its line, which may hold what is nobody's.
fn parse(text: &str) -> Result<File> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        anyhow!("line {line}, column {column}: {}", error.message())
    })
}

/// A secret from an environment variable, or from the file that `…_FILE` names.
pub fn secret(variable: &str) -> Result<Option<Secret>> {
    if let Some(path) = std::env::var_os(format!("{variable}_FILE")) {
        let path = Path::new(&path);
        let text =
            std::fs::read_to_string(path).with_context(|| format!("read {} ({variable}_FILE)", path.display()))?;
        return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned().into()));
    }
    Ok(std::env::var(variable).ok().filter(|value| !value.is_empty()).map(Secret::from))
}

/// The directory that systemd made for this service, if it did.
fn state_of_service() -> Option<PathBuf> {
    std::env::var_os("STATE_DIRECTORY").filter(|made| !made.is_empty()).map(PathBuf::from)
}

/// The data directory of a manager that is not told another.
pub fn default_data() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/tomcat-grid"));
    }
    Ok(user_state()?.join("tomcat-grid"))
}

/// The directory for state of the user.
pub fn user_state() -> Result<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).context("neither XDG_STATE_HOME nor HOME is set: where is the user's state?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, flags: Flags) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manager.toml");
        std::fs::write(&path, text).unwrap();
        Settings::resolve(Flags { config: Some(path), ..flags })
    }

    #[test]
    fn flags_are_stronger_than_the_file() {
        let text = "data = \"/file\"\nlisten = \"127.0.0.1:1\"\nname = \"shop\"\n[access.users]\nalice = \"operator\"";
        let settings = resolve(text, Flags { data: Some("/flag".into()), ..Flags::default() }).unwrap();
        assert_eq!(settings.data, Path::new("/flag"));
        assert_eq!(settings.socket, Path::new("/flag/manager.sock"));
        assert_eq!(settings.listen.port(), 1);
        assert_eq!(settings.access.users["alice"], Role::Operator);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            ("lisen = \"x\"", "line 1, column 1: unknown field `lisen`"),
            ("no_web = true\n  name = \"hush", "line 2, column 15: "),
            ("listen = \"here\"", "invalid socket address"),
            ("name = \"a b\"", "the grid's name is not valid"),
            ("tls_cert = \"/c\"", "both --tls-cert and --tls-key"),
            ("[access.users]\nbob = \"king\"", "unknown variant `king`"),
        ] {
            let error = format!("{:#}", resolve(text, Flags::default()).unwrap_err());
            assert!(error.contains(message), "{text}: {error}");
            assert!(!error.contains("hush"), "the line is told: {error}");
        }
    }

    /// Makes every key of the commented sample count.
    fn sample() -> String {
        let text = include_str!("../../docs/examples/manager.toml");
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
            assert!(found, "docs/examples/manager.toml lacks `{key}`");
        }
    }
}
