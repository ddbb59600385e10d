//! How much longer a restart of a real Tomcat takes than its own stop and start: beside a script that does the same with
//! `catalina.sh` and asks every 50 ms.
//!
//! Run by `script/bench`.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use tests::{agent::TestAgent, figures::Figures, manager::TestManager, tomcat::TomcatBase};

/// How often each is measured.
const ROUNDS: usize = 10;

/// How long one restart may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends SIGTERM, as `catalina.sh stop` does in the end (after it has started a JVM to ask by the shutdown port), waits
/// for the end of the process, starts, and waits for the first answer, each by a look every 50 ms. A process that has
/// ended and that its parent has not collected yet has no program any more, so that a slow init counts for neither.
const SCRIPT: &str = r#"
pid=$(cat "$CATALINA_PID")
kill "$pid"
while readlink "/proc/$pid/exe"; do sleep 0.05; done
rm -f "$CATALINA_PID"
"$CATALINA_HOME/bin/catalina.sh" start
until curl --silent --output /dev/null "http://127.0.0.1:$1/"; do sleep 0.05; done
"#;

fn main() {
    // `cargo test --benches` calls this too; there is nothing to measure in a debug build.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let manager = TestManager::start();
    let base = TomcatBase::builder(manager.dir(), "a").build();
    let by_hand = TomcatBase::builder(manager.dir(), "b").build();
    let config = format!("exclude = [\"{}\"]\n[tomcat]\nuser = \"root\"", by_hand.dir().display());
    let _agent = TestAgent::builder(&manager, "web-1", manager.dir()).config(&config).start(&manager);
    manager.trigger("start", "a@web-1");
    manager.wait_state("a@web-1", "active");
    by_hand.catalina_start();
    by_hand.wait_answering();
    let (mut grid, mut floor) = (Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let ran = manager.cli(&["restart", "a@web-1"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        grid.add(millis(begun));
        assert!(base.get("/").is_some(), "it answers");
        floor.add(script(&by_hand));
    }
    println!("restart of a real Tomcat by `tomcat-grid restart`, the command line included:\n  {grid}");
    println!("floor, a script with SIGTERM, `catalina.sh start` and a look every 50 ms:\n  {floor}");
    let longer = grid.median() - floor.median();
    println!(
        "longer than the floor at the median: {longer:.0} ms   limit 150 ms   ratio {:.2}",
        grid.median() / floor.median()
    );
}

fn script(base: &TomcatBase) -> f64 {
    let begun = Instant::now();
    let status = Command::new("timeout")
        .arg(LIMIT.as_secs().to_string())
        .args(["sh", "-c", SCRIPT, "restart", &base.port().to_string()])
        .env("CATALINA_HOME", base.home())
        .env("CATALINA_BASE", base.dir())
        .env("CATALINA_PID", base.pid_file())
        .stdout(std::process::Stdio::null())
        .status()
        .expect("sh runs");
    assert!(status.success(), "{status}");
    millis(begun)
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
