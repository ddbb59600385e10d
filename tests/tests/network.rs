//! Agents whose network misbehaves: each lives in a network namespace of its own, so that the test can cut its cable,
//! take away its name service, or leave it nothing but a proxy.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tests::{
    agent::{Builder, TestAgent},
    fake::FakeTomcat,
    manager::{PATIENCE, TestManager},
    netns::Namespace,
    wait,
};

/// An agent that lives in the namespace.
fn builder(namespace: &Namespace, manager: &TestManager) -> Builder {
    TestAgent::builder(manager, "web-1", manager.dir()).wrapper(&namespace.wrapper())
}

#[test]
fn a_link_that_goes_silent_is_noticed_and_heals_by_itself() {
    let namespace = Namespace::new();
    let manager = TestManager::start_at(&namespace.outside());
    let shop = FakeTomcat::builder(manager.dir(), "shop").owner(1, 1).build();
    let home = format!("[tomcat]\nhome = \"{}\"", shop.home().display());
    let agent = builder(&namespace, &manager).config(&home).start(&manager);
    manager.trigger("start", "shop@web-1");
    let before = manager.wait_state("shop@web-1", "active");

    let cut = Instant::now();
    namespace.drop_packets();
    let lost = manager.wait_state("shop@web-1", "not_available");
    assert!(cut.elapsed() < Duration::from_secs(15), "noticed after {:?}", cut.elapsed());
    assert_eq!(lost["last_state"], "active");
    assert_eq!(manager.service("agent@web-1").unwrap()["state"], "not_available");
    agent.wait_log("the manager went silent");

    namespace.heal();
    let after = manager.wait_state("shop@web-1", "active");
    manager.wait_state("agent@web-1", "active");
    assert_eq!(after["pid"], before["pid"]);
    assert_eq!(manager.trigger("stop", "shop@web-1")["outcome"], "done");
    manager.wait_state("shop@web-1", "stopped");
}

#[test]
fn an_agent_joins_when_name_service_network_and_manager_come_one_after_the_other() {
    let namespace = Namespace::unplugged();
    let mut manager = TestManager::start_at(&namespace.outside());
    let address = manager.address();
    let (_, port) = address.rsplit_once(':').unwrap();
    let mut agent = builder(&namespace, &manager).manager(&format!("https://manager.test:{port}")).build();
    manager.kill();

    namespace.write_etc("hosts", "127.0.0.1 localhost\n");
    namespace.write_etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    agent.run();
    agent.wait_log("failed to lookup address");
    namespace.write_etc("hosts", &format!("{} manager.test\n", namespace.outside()));
    agent.wait_log("Network is unreachable");
    namespace.plug_in();
    agent.wait_log("Connection refused");
    manager.start_again();
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn an_agent_opens_no_port_and_needs_one_outbound() {
    let namespace = Namespace::new();
    let manager = TestManager::start_at(&namespace.outside());
    let agent = builder(&namespace, &manager).start(&manager);
    let sockets = sockets_beside(agent.pid());
    let address = manager.address();
    let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let connected = |socket: &Socket| socket.protocol.starts_with("tcp") && socket.state != LISTEN;
    assert!(sockets.iter().any(connected), "{sockets:?}");
    assert!(sockets.iter().all(|socket| connected(socket) && socket.remote_port == port), "{sockets:?}");
}

#[test]
fn the_first_manager_that_answers_is_taken() {
    let namespace = Namespace::new();
    let manager = TestManager::start_at(&namespace.outside());
    let dead = format!("https://{}:{}", namespace.outside(), namespace.free_port());
    let good = format!("https://{}", manager.address());
    let agent = builder(&namespace, &manager).manager(&format!("{dead},{good}")).start(&manager);
    assert!(agent.log().contains(&format!("cannot reach the manager at {}", &dead[8..])), "{}", agent.log());
}

#[test]
fn an_agent_joins_and_links_through_a_proxy_where_there_is_no_other_way() {
    let namespace = Namespace::new();
    let manager = TestManager::start();
    let proxy = Proxy::start(&namespace, &manager);
    let direct = builder(&namespace, &manager).run();
    direct.wait_log("cannot reach the manager");
    drop(direct);
    let nameless = builder(&namespace, &manager).argument("--proxy", &format!("http://{}", proxy.address)).run();
    nameless.wait_log("status 407: its URL needs a user and a password");
    drop(nameless);

    let agent = builder(&namespace, &manager).argument("--proxy", &proxy.url(PASSWORD)).start(&manager);
    let tunnels = || proxy.log().matches(&format!("CONNECT {}", manager.address())).count();
    wait::until("a tunnel to join by, and one for the link", PATIENCE, || (tunnels() >= 2).then_some(()));
    agent.wait_log("through the proxy");
    assert!(!agent.log().contains(PASSWORD));
}

#[test]
fn a_proxy_that_does_not_know_the_password_is_told_of_without_it() {
    let namespace = Namespace::new();
    let manager = TestManager::start();
    let proxy = Proxy::start(&namespace, &manager);
    let token = manager.token();
    let agent = builder(&namespace, &manager)
        .token(&token)
        .argument("--proxy", &proxy.url("not-the-password"))
        .env("TOMCAT_GRID_AGENT_LOG", "trace")
        .run();
    agent.wait_log("it does not accept the user and the password of its URL");
    // The last is the header's form of `grid:not-the-password`.
    for secret in [&token, "not-the-password", "Z3JpZDpub3QtdGhlLXBhc3N3b3Jk"] {
        assert!(!agent.log().contains(secret), "`{secret}` is in the log:\n{}", agent.log());
    }
    assert!(manager.service("agent@web-1").is_none());
}

#[test]
fn an_impostor_with_a_certificate_of_its_own_gets_no_token() {
    let mut manager = TestManager::start();
    let token = manager.token();
    let mut agent = TestAgent::builder(&manager, "web-1", manager.dir()).token(&token).build();
    manager.kill();
    // The authority's certificate is no secret, so an impostor may show it beside its own.
    let authority = manager.data().join("pki/ca.pem");
    let impostor = Impostor::start(&manager.address(), Some(&authority));
    agent.run();
    agent.wait_log("is not the manager of this grid");
    impostor.wait_turned_away();
    assert!(!impostor.heard().contains(&token));
    drop(impostor);
    manager.start_again();
    manager.wait_state("agent@web-1", "active");
}

#[test]
fn a_member_does_not_talk_to_an_impostor() {
    let mut manager = TestManager::start();
    let agent = TestAgent::start(&manager, "web-1", manager.dir());
    manager.kill();
    let impostor = Impostor::start(&manager.address(), None);
    agent.wait_log("is not the manager of this grid");
    impostor.wait_turned_away();
    assert!(!impostor.heard().contains("/agent/v1"), "{}", impostor.heard());
    drop(impostor);
    manager.start_again();
    manager.wait_state("agent@web-1", "active");
}

/// The proxy's password.
const PASSWORD: &str = "right-pass-word";

/// An HTTP proxy at the test's end of the namespace's cable.
struct Proxy {
    dir: TempDir,
    address: String,
    process: Child,
}

impl Proxy {
    fn start(namespace: &Namespace, manager: &TestManager) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (host, port) = (namespace.outside(), namespace.free_port());
        let address = manager.address();
        let (_, allowed) = address.rsplit_once(':').expect("a port");
        let config = dir.path().join("tinyproxy.conf");
        let lines = format!(
            "Port {port}\nListen {host}\nLogFile \"{}\"\nLogLevel Connect\nBasicAuth grid {PASSWORD}\nConnectPort {allowed}\n",
            dir.path().join("log").display()
        );
        fs::write(&config, lines).expect("a file");
        let mut command = Command::new("tinyproxy");
        let process = command.arg("-d").arg("-c").arg(&config).stdout(Stdio::null()).spawn().expect("tinyproxy runs");
        Self { dir, address: format!("{host}:{port}"), process }
    }

    fn url(&self, password: &str) -> String {
        format!("http://grid:{password}@{}", self.address)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// A TLS server that is not the manager and shows all it hears.
struct Impostor {
    dir: TempDir,
    process: Child,
}

impl Impostor {
    fn start(address: &str, beside: Option<&Path>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (key, certificate) = (dir.path().join("key.pem"), dir.path().join("certificate.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        openssl.args(["-subj", "/CN=manager", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
        let made = openssl.output().expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

        let heard = File::create(dir.path().join("heard")).expect("a file");
        let mut command = Command::new("openssl");
        command.args(["s_server", "-tls1_3", "-accept", address, "-key"]).arg(&key).arg("-cert").arg(&certificate);
        if let Some(beside) = beside {
            command.arg("-cert_chain").arg(beside);
        }
        // Its input stays open: it ends with it.
        command.stdin(Stdio::piped()).stdout(heard.try_clone().expect("a file")).stderr(heard);
        Self { dir, process: command.spawn().expect("openssl runs") }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.path().join("heard")).unwrap_or_default()).into_owned()
    }

    /// Waits until the agent has broken off the handshake. What it said before is in what was heard.
    fn wait_turned_away(&self) {
        wait::until("an alert", PATIENCE, || self.heard().contains("alert").then_some(()));
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn end(process: &mut Child) {
    process.kill().expect("it can be killed");
    process.wait().expect("it has ended");
}

/// The state of a listening TCP socket, as the kernel writes it.
const LISTEN: &str = "0A";

/// A line of `/proc/PID/net/…`.
#[derive(Debug)]
struct Socket {
    protocol: &'static str,
    state: String,
    remote_port: u16,
}

/// Every socket of the network that a process lives in.
fn sockets_beside(pid: u32) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{protocol}")).expect("a table");
        for line in table.lines().skip(1) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let (_, port) = words[2].split_once(':').expect("a port");
            let remote_port = u16::from_str_radix(port, 16).expect("a port in hexadecimal digits");
            sockets.push(Socket { protocol, state: words[3].to_owned(), remote_port });
        }
    }
    sockets
}
