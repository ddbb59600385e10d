//! The demo of the README: it starts, says where to look, and leaves nothing behind.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::Duration,
};

use tests::{
    processes::{self, Signal},
    programs, wait,
};

#[test]
fn it_starts_says_where_to_look_and_leaves_nothing_behind() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../script/demo");
    let mut demo = Command::new(script)
        .env("BIN", programs::path("tomcat-grid").parent().expect("a directory"))
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("the demo runs");
    let mut said = String::new();
    let mut lines = BufReader::new(demo.stdout.take().expect("its output")).lines().map_while(Result::ok);
    lines.find(|line| {
        said.push_str(&format!("{line}\n"));
        line.starts_with("Ctrl-C ends")
    });
    let word =
        |prefix: &str| said.split_ascii_whitespace().find_map(|word| word.strip_prefix(prefix)).map(str::to_owned);
    let socket = word("TOMCAT_GRID_ADDR=").unwrap_or_else(|| panic!("no address in:\n{said}"));
    let dir = word("TOMCAT_GRID_LOG_DIR=").unwrap().trim_end_matches("/log").to_owned();

    let active = wait::within(Duration::from_secs(60), || {
        let ran = programs::run(
            Command::new(programs::path("tomcat-grid"))
                .args(["status", "shop-a@demo", "shop-b@demo", "--check"])
                .env("TOMCAT_GRID_ADDR", &socket)
                .env("TOMCAT_GRID_LOG_DIR", format!("{dir}/log")),
        );
        (ran.code == 0).then_some(())
    });
    let restarted = programs::run(
        Command::new(programs::path("tomcat-grid"))
            .args(["restart", "front"])
            .env("TOMCAT_GRID_ADDR", &socket)
            .env("TOMCAT_GRID_LOG_DIR", format!("{dir}/log")),
    );
    // Ctrl-C reaches the whole group of a terminal.
    rustix::process::kill_process_group(rustix::process::Pid::from_child(&demo), Signal::INT).expect("it can be ended");
    let farewell: Vec<String> = lines.collect();
    assert!(demo.wait().expect("it ends").success(), "{said}{farewell:?}");
    assert!(active.is_some(), "the Tomcats of the demo are not active:\n{said}");
    assert_eq!(restarted.code, 0, "what the demo says to try: {restarted:?}");
    assert!(farewell.last().is_some_and(|line| line.contains("left nothing behind")), "{farewell:?}");
    assert!(fs::metadata(&dir).is_err(), "{dir} is left");
    for name in ["shop-a", "shop-b", "blog"] {
        let base = format!("{dir}/tomcats/{name}");
        wait::until(&base, Duration::from_secs(10), || processes::is_gone(base.as_ref()).then_some(()));
    }
}
