//! What every Tomcat base needs and takes long to make: the compiled servlet and a class data archive.
//! Made once per machine for each Java and Tomcat, under a lock, in a directory that any user can read.

use std::fs::{self, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{HOME, TomcatBase};
use crate::processes::{self, Signal};

const SERVLET_SOURCE: &str = include_str!("Probe.java");

/// The class data archive of this run-time and class path.
const ARCHIVE: &str = "tomcat.jsa";

/// Increase when a change of the making itself must not meet old files.
const RECIPE: u32 = 1;

/// The finished files and what they were made with.
pub(super) struct Cache {
    /// Directory with the class file of the servlet.
    pub(super) classes: PathBuf,
    /// JVM options that use the archive, or make it.
    pub(super) jvm_options: String,
    /// Every jar of Tomcat: only classes of the JVM's own class path can come from an archive.
    pub(super) class_path: String,
    /// The Java that the archive belongs to.
    pub(super) java_home: PathBuf,
}

impl Cache {
    /// The files of this machine's Java and Tomcat, made now if they are not there.
    pub(super) fn ready() -> Self {
        let java_home = java_home();
        let jars = jars();
        let root = std::env::var_os("TOMCAT_GRID_TEST_CACHE")
            .map_or_else(|| std::env::temp_dir().join("tomcat-grid-test-cache"), PathBuf::from);
        let dir = root.join(key(&java_home, &jars));
        let class_path =
            jars.iter().map(|jar| jar.to_str().expect("Tomcat's file names are plain")).collect::<Vec<_>>().join(":");
        let cache = |dir: &Path, option: &str| Self {
            classes: dir.join("classes"),
            jvm_options: format!("{option}={}", dir.join(ARCHIVE).display()),
            class_path: class_path.clone(),
            java_home: java_home.clone(),
        };

        // The directory appears complete, by a rename, so its presence is enough: no lock to read.
        if !dir.exists() {
            create_readable(&root);
            let lock = File::create(dir.with_extension("lock")).unwrap_or_else(|error| {
                panic!("cannot write to {}, set TOMCAT_GRID_TEST_CACHE: {error}", root.display())
            });
            lock.lock().expect("lock the cache");
            if !dir.exists() {
                let unfinished = dir.with_extension("unfinished");
                let _ = fs::remove_dir_all(&unfinished);
                create_readable(&unfinished);
                make(&unfinished, &cache(&unfinished, "-XX:ArchiveClassesAtExit"));
                fs::rename(&unfinished, &dir).expect("publish the cache");
            }
        }
        cache(&dir, "-XX:SharedArchiveFile")
    }
}

/// Compiles the servlet, then lets a Tomcat write the archive of all classes it has loaded by its end.
fn make(dir: &Path, cache: &Cache) {
    compile(dir, cache);

    let base = TomcatBase::builder(dir, "base").build_with(cache);
    let pid = base.start_by_hand();
    base.wait_answering();
    base.get("/").expect("the default servlet answers");
    processes::send(pid, Signal::TERM);
    base.wait_gone();
    let log = base.log();
    drop(base);
    fs::remove_dir_all(dir.join("base")).expect("remove the base that made the archive");

    // Tomcat's umask leaves nothing for other users.
    fs::set_permissions(dir.join(ARCHIVE), Permissions::from_mode(0o644))
        .unwrap_or_else(|error| panic!("no class data archive was made: {error}\n{log}"));
}

fn compile(dir: &Path, cache: &Cache) {
    let source = dir.join("Probe.java");
    create_readable(&cache.classes);
    fs::write(&source, SERVLET_SOURCE).expect("write the servlet's source");
    let output = Command::new(cache.java_home.join("bin/javac"))
        .arg("-d")
        .arg(&cache.classes)
        .arg("-cp")
        .arg(Path::new(HOME).join("lib/servlet-api.jar"))
        .arg(&source)
        .stdin(Stdio::null())
        .output()
        .expect("run javac: apt-get install openjdk-17-jdk-headless");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "javac failed: {complaint}");
    // The test's umask may leave nothing for other users.
    let package = cache.classes.join("probe");
    create_readable(&package);
    fs::set_permissions(package.join("Probe.class"), Permissions::from_mode(0o644)).expect("make the servlet readable");
}

/// The Java that `catalina.sh` would take: the environment's, else that of the search path.
fn java_home() -> PathBuf {
    if let Some(home) = std::env::var_os("JAVA_HOME") {
        return PathBuf::from(home);
    }
    let path = std::env::var_os("PATH").expect("PATH is set");
    std::env::split_paths(&path)
        .filter_map(|dir| fs::canonicalize(dir.join("java")).ok())
        .find_map(|java| Some(java.parent()?.parent()?.to_path_buf()))
        .expect("no java in PATH: apt-get install openjdk-17-jdk-headless")
}

/// Tomcat's jars in a fixed order, without translations.
fn jars() -> Vec<PathBuf> {
    let lib = Path::new(HOME).join("lib");
    let mut jars: Vec<PathBuf> = fs::read_dir(&lib)
        .unwrap_or_else(|error| panic!("no Tomcat in {HOME}: apt-get install tomcat10: {error}"))
        .map(|entry| entry.expect("list Tomcat's jars").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "jar"))
        .filter(|path| !path.to_string_lossy().contains("i18n"))
        .collect();
    jars.sort();
    jars
}

/// Changes with every other version of Java or Tomcat, even a repackaged one of the same number:
/// the JVM compares sizes and times of the jars as well, and ignores an archive that does not fit.
fn key(java_home: &Path, jars: &[PathBuf]) -> String {
    let mut hasher = DefaultHasher::new();
    (RECIPE, SERVLET_SOURCE, java_home).hash(&mut hasher);
    let own = ["lib/server/libjvm.so", "lib/modules"].map(|file| java_home.join(file));
    let started = ["bootstrap.jar", "tomcat-juli.jar"].map(|jar| Path::new(HOME).join("bin").join(jar));
    for file in jars.iter().chain(&own).chain(&started) {
        let metadata = fs::metadata(file).unwrap_or_else(|error| panic!("cannot look at {}: {error}", file.display()));
        (file, metadata.len(), metadata.mtime()).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

fn create_readable(dir: &Path) {
    fs::create_dir_all(dir).unwrap_or_else(|error| panic!("cannot create {}: {error}", dir.display()));
    // Another user may own the root of the cache; then it is as readable as that user made it.
    let _ = fs::set_permissions(dir, Permissions::from_mode(0o755));
}
