//! A fake Tomcat for stories that need odd behaviour or many instances: a CATALINA_HOME whose script
//! becomes the `fake-tomcat` program, and a base that tells the program how to behave.
//! To /proc and to HTTP it looks like the real one, and it starts in a few milliseconds.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::tomcat::{Port, TomcatBase, files};

const SCRIPT: &str = include_str!("fake/catalina.sh");

/// What the `fake-tomcat` program understands: a typing error must not pass for default behaviour.
const KEYS: [&str; 9] = [
    "answer_delay_ms",
    "crash_after_ms",
    "crash_code",
    "exit_code",
    "hang",
    "ignore_term",
    "no_listen",
    "start_delay_ms",
    "stop_delay_ms",
];

/// Chooses how a fake behaves; see [`FakeTomcat::builder`].
#[derive(Debug)]
pub struct FakeBuilder {
    parent: PathBuf,
    name: String,
    port: Option<u16>,
    owner: Option<(u32, u32)>,
    properties: BTreeMap<String, String>,
}

impl FakeBuilder {
    /// Sets one property of the behaviour; the `fake-tomcat` program lists them.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.properties.insert(key.to_owned(), value.to_string());
        self
    }

    /// A certain port, which nothing reserves; a leased one unless set.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The base belongs to this user, who also runs what the fixture starts. Needs root.
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.owner = Some((uid, gid));
        self
    }

    /// Writes the base, and the home beside it if there is none yet.
    ///
    /// # Panics
    /// When the `fake-tomcat` program has not been built, or the files cannot be written.
    pub fn build(self) -> FakeTomcat {
        let home = fake_home(&self.parent);
        let dir = self.parent.join(&self.name);
        let port = self.port.map_or_else(Port::lease, Port::fixed);
        files::write(&dir, "conf/server.xml", &server_xml(port.number()));
        for empty in ["bin", "logs", "temp", "webapps", "work"] {
            files::create_dir(&dir.join(empty));
        }
        write_properties(&dir, &self.properties);
        FakeTomcat { base: TomcatBase::adopt(dir, home, port, self.owner), properties: self.properties }
    }
}

/// A base of the fake; everything that [`TomcatBase`] offers works here too.
#[derive(Debug)]
pub struct FakeTomcat {
    base: TomcatBase,
    properties: BTreeMap<String, String>,
}

impl FakeTomcat {
    /// A base in `parent/name`, with the home in `parent/fake-home`.
    pub fn builder(parent: &Path, name: &str) -> FakeBuilder {
        FakeBuilder {
            parent: parent.to_owned(),
            name: name.to_owned(),
            port: None,
            owner: None,
            properties: BTreeMap::new(),
        }
    }

    /// Changes one property; a running fake follows at its next request or signal.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        self.properties.insert(key.to_owned(), value.to_string());
        write_properties(self.base.dir(), &self.properties);
    }
}

impl FakeTomcat {
    /// How often something (`start`, `term`) really happened to it, by its own record.
    pub fn times(&self, what: &str) -> usize {
        let record = fs::read_to_string(self.base.dir().join("work/fake.record")).unwrap_or_default();
        record.lines().filter(|line| line.split(' ').next() == Some(what)).count()
    }
}

impl Deref for FakeTomcat {
    type Target = TomcatBase;

    fn deref(&self) -> &TomcatBase {
        &self.base
    }
}

/// The CATALINA_HOME of the fakes below `parent`, made at the first call.
///
/// Bases without `conf/fake.properties` run in it too, with default behaviour.
pub fn fake_home(parent: &Path) -> PathBuf {
    let home = parent.join("fake-home");
    if home.exists() {
        return home;
    }
    files::create_dir(parent);
    let unfinished = TempDir::with_prefix_in("fake-home-", parent).expect("create the fake's home");
    let made = unfinished.path().join("home");
    for jar in ["bin/bootstrap.jar", "bin/tomcat-juli.jar", "lib/catalina.jar"] {
        files::write(&made, jar, "");
    }
    // The name of the link becomes the name of the process.
    symlink(program(), made.join("bin/java")).expect("link the fake's java");
    install_script(&unfinished.path().join("script"), &made.join("bin/catalina.sh"));
    if let Err(error) = fs::rename(&made, &home) {
        assert!(home.exists(), "cannot publish {}: {error}", home.display());
    }
    home
}

/// Another program copies the script: a file that this process has written cannot be run as long as
/// a child just being started by another thread still holds it open ("text file busy").
fn install_script(draft: &Path, script: &Path) {
    fs::write(draft, SCRIPT).expect("write the fake's script");
    let status = Command::new("install").args(["-m", "755"]).args([draft, script]).status().expect("run install");
    assert!(status.success(), "cannot install {}", script.display());
}

/// The program is built into the directory above that of the test executables.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its program");
    let program =
        test.ancestors().skip(1).take(2).map(|dir| dir.join("fake-tomcat")).find(|candidate| candidate.is_file());
    program.unwrap_or_else(|| {
        panic!(
            "no fake-tomcat beside {}: run `cargo build -p tests --bin fake-tomcat` in the same profile",
            test.display()
        )
    })
}

/// Renamed into place, so the program never reads half a file.
fn write_properties(dir: &Path, properties: &BTreeMap<String, String>) {
    for key in properties.keys() {
        assert!(KEYS.contains(&key.as_str()), "a fake knows no {key}");
    }
    let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    files::write(dir, "conf/fake.properties.new", &text);
    fs::rename(dir.join("conf/fake.properties.new"), dir.join("conf/fake.properties"))
        .expect("replace the fake's properties");
}

fn server_xml(port: u16) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1">
  <Service name="Catalina">
    <Connector port="{port}" address="127.0.0.1" protocol="HTTP/1.1"/>
    <Engine name="Catalina" defaultHost="localhost">
      <Host name="localhost" appBase="webapps" autoDeploy="false"/>
    </Engine>
  </Service>
</Server>
"#
    )
}
