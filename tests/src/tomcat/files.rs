//! The files of a Tomcat base that starts fast and offers one servlet.
//! Everything is on the JVM's class path and no jar is scanned: good for these tests only.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::time::Duration;

use super::TomcatBuilder;
use super::cache::Cache;

/// Common loader off: the classes come from the class path, where the archive has them.
const CATALINA_PROPERTIES: &str = "\
common.loader=
tomcat.util.scan.StandardJarScanFilter.jarsToSkip=*.jar
";

/// No pages in JSP and no WebSockets, which would cost start-up time.
const CONTEXT_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Context containerSciFilter="org\.apache\.(jasper|tomcat\.websocket)\..*">
  <WatchedResource>WEB-INF/web.xml</WatchedResource>
</Context>
"#;

const WEB_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
  <servlet>
    <servlet-name>default</servlet-name>
    <servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class>
    <load-on-startup>1</load-on-startup>
  </servlet>
  <servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
  <session-config><session-timeout>30</session-timeout></session-config>
  <mime-mapping><extension>html</extension><mime-type>text/html</mime-type></mime-mapping>
  <welcome-file-list><welcome-file>index.html</welcome-file></welcome-file-list>
</web-app>
"#;

/// Writes the whole tree below `dir`.
pub(super) fn write_base(dir: &Path, port: u16, options: &TomcatBuilder, cache: &Cache) {
    write(dir, "conf/server.xml", &server_xml(port, options));
    write(dir, "conf/web.xml", WEB_XML);
    write(dir, "conf/context.xml", CONTEXT_XML);
    write(dir, "conf/catalina.properties", CATALINA_PROPERTIES);
    write(dir, "bin/setenv.sh", &setenv(cache));
    write(dir, "webapps/ROOT/index.html", "<!DOCTYPE html><title>up</title>up\n");
    write(dir, "webapps/ROOT/WEB-INF/web.xml", &application_xml(options.slow_start));
    copy_tree(&cache.classes, &dir.join("webapps/ROOT/WEB-INF/classes"));
    for empty in ["logs", "temp", "work"] {
        create_dir(&dir.join(empty));
    }
}

/// Writes one file of a base, readable for everybody, with the directories above it.
pub(crate) fn write(base: &Path, name: &str, content: &str) {
    let path = base.join(name);
    create_dir(path.parent().expect("the name is below the base"));
    fs::write(&path, content).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    set_mode(&path, 0o644);
}

/// Creates a directory that everybody can enter, whatever the umask of the test.
pub(crate) fn create_dir(dir: &Path) {
    if !dir.is_dir() {
        create_dir(dir.parent().expect("the root directory exists"));
        fs::create_dir(dir).unwrap_or_else(|error| panic!("create {}: {error}", dir.display()));
        set_mode(dir, 0o755);
    }
}

/// Gives a tree to another user, and lets that user reach it through the temporary directories above.
pub(crate) fn give_to(tree: &Path, (uid, gid): (u32, u32)) {
    change_owner(tree, uid, gid);

    let top = std::env::temp_dir();
    for above in tree.ancestors().skip(1) {
        if above == top || !above.starts_with(&top) {
            break;
        }
        let metadata = fs::metadata(above).expect("the directory above the base exists");
        let mode = metadata.permissions().mode();
        if mode & 0o001 == 0 {
            set_mode(above, mode | 0o011);
        }
    }
}

fn change_owner(path: &Path, uid: u32, gid: u32) {
    lchown(path, Some(uid), Some(gid))
        .unwrap_or_else(|error| panic!("give {} to {uid}:{gid}: {error}", path.display()));
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("list a directory of the base") {
            change_owner(&entry.expect("list a directory of the base").path(), uid, gid);
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    create_dir(to);
    for entry in fs::read_dir(from).expect("list the compiled classes") {
        let entry = entry.expect("list the compiled classes");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copy a compiled class");
            set_mode(&target, 0o644);
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("set the mode of {}: {error}", path.display()));
}

/// Always with an address: Tomcat's default is every interface. No shutdown port, as on Debian.
fn server_xml(port: u16, options: &TomcatBuilder) -> String {
    let graceful =
        options.graceful.map_or(String::new(), |wait| format!(" gracefulStopAwaitMillis=\"{}\"", wait.as_millis()));
    let bind_on_init = options.bind_on_init;
    let extra = options.extra_connectors.join("\n    ");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1">
  <Service name="Catalina"{graceful}>
    <Connector port="{port}" address="127.0.0.1" protocol="HTTP/1.1" connectionTimeout="20000" bindOnInit="{bind_on_init}"/>
    {extra}
    <Engine name="Catalina" defaultHost="localhost">
      <Host name="localhost" appBase="webapps" unpackWARs="true" autoDeploy="false"/>
    </Engine>
  </Service>
</Server>
"#
    )
}

fn application_xml(slow_start: Option<Duration>) -> String {
    let sleep = slow_start.map_or(String::new(), |time| {
        format!(
            "<context-param><param-name>initSleep</param-name><param-value>{}</param-value></context-param>",
            time.as_millis()
        )
    });
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0" metadata-complete="true">
  {sleep}
  <servlet>
    <servlet-name>probe</servlet-name>
    <servlet-class>probe.Probe</servlet-class>
    <load-on-startup>1</load-on-startup>
  </servlet>
  <servlet-mapping><servlet-name>probe</servlet-name><url-pattern>/p/*</url-pattern></servlet-mapping>
</web-app>
"#
    )
}

/// Appends to what the environment brings, as an administrator's file must.
fn setenv(cache: &Cache) -> String {
    let class_path = &cache.class_path;
    let java_home = cache.java_home.display();
    let jvm_options = &cache.jvm_options;
    format!(
        r#"CLASSPATH="{class_path}"
[ -n "$JAVA_HOME$JRE_HOME" ] || JRE_HOME="{java_home}"
CATALINA_OPTS="$CATALINA_OPTS -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx64m {jvm_options}"
"#
    )
}
