//! A network of its own for an agent: a namespace that a pair of virtual cards joins to the test's.
//! The test's end has an address that nobody else uses, for managers and proxies to listen on. Needs root.

use std::{
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

/// How many pairs fit into 198.18.0.0/15, which is set aside for testing networks.
const PAIRS: u32 = 1 << 15;

/// A namespace and its card; both go on drop.
pub struct Namespace {
    name: String,
    index: u32,
}

impl Namespace {
    /// Makes a namespace whose card is up.
    pub fn new() -> Self {
        let namespace = Self::unplugged();
        namespace.plug_in();
        namespace
    }

    /// Makes a namespace with a card that is down and has no address, as before the network is up.
    pub fn unplugged() -> Self {
        // The name is the claim to the addresses: the kernel gives it once.
        let first = std::process::id() % PAIRS;
        let index = (0..PAIRS)
            .map(|step| (first + step) % PAIRS)
            .find(|&index| ip(&["netns", "add", &name_of(index)]).is_ok())
            .expect("a namespace can be made");
        let namespace = Self { name: name_of(index), index };
        let card = namespace.card();
        fs::create_dir_all(namespace.etc()).expect("a directory for the namespace's files");
        expect(ip(&["link", "add", &card, "type", "veth", "peer", "name", "eth0", "netns", &namespace.name]));
        expect(ip(&["address", "add", &format!("{}/30", namespace.outside()), "dev", &card]));
        expect(ip(&["link", "set", &card, "up"]));
        namespace.run(&["ip", "link", "set", "lo", "up"]);
        namespace
    }

    /// Brings the namespace's card up and gives it its address.
    pub fn plug_in(&self) {
        let address = format!("{}/30", self.address(2));
        self.run(&["ip", "address", "add", &address, "dev", "eth0"]);
        self.run(&["ip", "link", "set", "eth0", "up"]);
    }

    /// From now on every packet vanishes, and neither side is told.
    pub fn drop_packets(&self) {
        expect(ip(&["link", "set", &self.card(), "down"]));
    }

    /// Lets packets through again.
    pub fn heal(&self) {
        expect(ip(&["link", "set", &self.card(), "up"]));
    }

    /// The address of the test's end.
    pub fn outside(&self) -> String {
        self.address(1)
    }

    /// A free port of the test's end. Nobody else uses the address, so it stays free.
    pub fn free_port(&self) -> u16 {
        let listener = TcpListener::bind((self.outside(), 0)).expect("a free port");
        listener.local_addr().expect("its address").port()
    }

    /// What to write before a command that is to run in the namespace.
    pub fn wrapper(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// Writes a file that stands for one of `/etc` for what runs in the namespace. It must be there before
    /// that starts, and may change later.
    pub fn write_etc(&self, file: &str, content: &str) {
        fs::write(self.etc().join(file), content).expect("a file of the namespace");
    }

    fn run(&self, words: &[&str]) {
        expect(ip(&[&["netns", "exec", &self.name], words].concat()));
    }

    fn etc(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    fn card(&self) -> String {
        format!("{}h", self.name)
    }

    fn address(&self, host: u32) -> String {
        let [_, second, third, fourth] = (self.index * 4 + host).to_be_bytes();
        format!("198.{}.{third}.{fourth}", 18 + second)
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // With one end of the pair goes the other; what the agent left behind keeps an empty network.
        for words in [["link", "delete", &self.card()], ["netns", "delete", &self.name]] {
            if let Err(error) = ip(&words) {
                eprintln!("{error}");
            }
        }
        let _absent = fs::remove_dir_all(self.etc());
    }
}

fn name_of(index: u32) -> String {
    format!("tgtest{index}")
}

fn ip(words: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(words).output()?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("`ip {}`: {complaint}", words.join(" "))))
}

#[track_caller]
fn expect(result: io::Result<()>) {
    if let Err(error) = result {
        panic!("{error}");
    }
}
