//! What the machines of a simulated fleet are called, what they are, and in which state their instances begin.

use protocol::{report::MachineFacts, state::State};

use super::instance::{Instance, Temper};

/// What instances are called.
const NAMES: [&str; 16] = [
    "shop", "blog", "api", "auth", "billing", "search", "mail", "docs", "jobs", "admin", "cart", "cms", "crm", "wiki",
    "intranet", "reports",
];

/// An hour, in milliseconds.
const HOUR: u64 = 3_600_000;

/// The name of a machine.
pub(super) fn machine(at: usize) -> String {
    format!("web-{:02}", at + 1)
}

/// The name of an instance, the same on each machine.
pub(super) fn instance(at: usize) -> String {
    let name = NAMES[at % NAMES.len()];
    if at < NAMES.len() { name.to_owned() } else { format!("{name}-{}", at / NAMES.len() + 1) }
}

/// What a machine is.
pub(super) fn facts(at: usize) -> MachineFacts {
    let large = at.is_multiple_of(4);
    MachineFacts {
        hostname: format!("{}.example.org", machine(at)),
        os: if at.is_multiple_of(7) { "Red Hat Enterprise Linux 9.4" } else { "Debian GNU/Linux 13 (trixie)" }
            .to_owned(),
        kernel: if at.is_multiple_of(7) { "5.14.0-427.el9.x86_64" } else { "6.12.48+deb13-amd64" }.to_owned(),
        arch: "x86_64".to_owned(),
        cpus: if large { 32 } else { 8 },
        memory: (if large { 128 } else { 32 }) << 30,
        boot_id: format!("{:08x}-0000-4000-8000-000000000000", at + 1),
        user: "root".to_owned(),
        systemd: true,
        allow: Vec::new(),
        notes: Vec::new(),
    }
}

/// An instance as it is when the fleet starts; `mixed` makes some of them less than well.
pub(super) fn begin(machine: usize, at: usize, mixed: bool) -> Instance {
    let name = instance(at);
    let port = 8080 + 10 * u16::try_from(at % 1000).unwrap_or(0);
    let pid = 1000 + u32::try_from(dice(machine, at, 1) % 4_000_000).unwrap_or(0);
    let mut begun = Instance::new(&name, port, pid);
    // Since minutes to weeks.
    begun.grow_old(60_000 + dice(machine, at, 2) % (24 * HOUR * 20));
    if !mixed {
        return begun;
    }
    begun.temper = match dice(machine, at, 3) % 100 {
        0..=2 => Temper::Refuses,
        3..=4 => Temper::Crashes,
        5..=6 => Temper::Hangs,
        _ => Temper::Obeys,
    };
    match dice(machine, at, 4) % 200 {
        0..=5 => begun.end(true, "ended with exit code 143 after SIGTERM", Some(143)),
        6..=7 => begun.end(false, "ended with exit code 1: java.lang.OutOfMemoryError", Some(1)),
        8 => begun.end(false, "killed by signal 9: perhaps the kernel was out of memory", None),
        9..=10 => {
            begun.set(State::Unresponsive, Some("the connector on port 8080 accepts and does not answer".to_owned()));
        }
        11 => begun.set(State::Starting, Some("the port is not open yet".to_owned())),
        12 => begun.set(State::Stopping, Some("waits for requests that are being answered".to_owned())),
        _ => {}
    }
    if begun.state() != State::Active {
        begun.grow_old(20_000 + dice(machine, at, 5) % (6 * HOUR));
    }
    if dice(machine, at, 6).is_multiple_of(50) {
        begun.note("server.xml: the AJP connector has no secret; Tomcat refuses to start it");
    }
    begun
}

/// The same number for the same place in every run (SplitMix64).
fn dice(machine: usize, instance: usize, what: u64) -> u64 {
    let mut mixed = ((machine as u64) << 32 | (instance as u64) << 8 | what).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
