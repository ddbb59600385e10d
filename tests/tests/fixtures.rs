//! Stories about the fixtures themselves: what other tests believe of them holds.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::fake::{FakeTomcat, fake_home};
use tests::processes::{self, Signal};
use tests::tomcat::{Port, TomcatBase};
use tests::users::ids;
use tests::wait;

const SOON: Duration = Duration::from_secs(10);

fn temp() -> TempDir {
    TempDir::new().expect("create a temporary directory")
}

fn ok(body: &str) -> Option<(u16, String)> {
    Some((200, body.to_owned()))
}

#[test]
fn a_tomcat_starts_answers_stops_and_starts_again() {
    let temp = temp();
    let tomcat = TomcatBase::builder(temp.path(), "one").build();
    assert_eq!(tomcat.get("/p/"), None);

    for round in 1..=2 {
        let start = Instant::now();
        let pid = tomcat.start_by_hand();
        tomcat.wait_answering();
        eprintln!("round {round}: answers after {:.0?}", start.elapsed());
        assert_eq!(tomcat.pid(), Some(pid));
        assert_eq!(tomcat.get("/p/"), ok("ok"));
        assert_eq!(tomcat.get("/").map(|(status, _)| status), Some(200));
        assert_eq!(tomcat.get("/nothing").map(|(status, _)| status), Some(404));

        processes::send(pid, Signal::TERM);
        tomcat.wait_gone();
        assert!(!processes::is_alive(pid));
        assert_eq!(tomcat.get("/p/"), None);
    }
}

#[test]
fn the_class_data_archive_is_used() {
    let temp = temp();
    let tomcat = TomcatBase::builder(temp.path(), "one").build();
    let pid = tomcat.start_by_hand();
    tomcat.wait_answering();

    let mapped = fs::read_to_string(format!("/proc/{pid}/maps")).expect("read the memory map");
    assert!(mapped.contains("/tomcat.jsa"));
}

#[test]
fn a_sleeping_request_answers_after_its_time() {
    let temp = temp();
    let tomcat = TomcatBase::builder(temp.path(), "one").build();
    tomcat.start_by_hand();
    tomcat.wait_answering();

    let start = Instant::now();
    assert_eq!(tomcat.get("/p/sleep?ms=700"), ok("slept"));
    assert!(start.elapsed() >= Duration::from_millis(700));
    assert_eq!(tomcat.get_within("/p/sleep?ms=5000", Duration::from_millis(300)), None);
}

#[test]
fn a_graceful_stop_finishes_running_requests_and_refuses_new_ones() {
    let temp = temp();
    let tomcat = TomcatBase::builder(temp.path(), "one").graceful(Duration::from_secs(20)).bind_on_init(false).build();
    let pid = tomcat.start_by_hand();
    tomcat.wait_answering();

    thread::scope(|scope| {
        let request = scope.spawn(|| tomcat.get_within("/p/sleep?ms=4000", SOON));
        tomcat.wait_sleepers(1);
        processes::send(pid, Signal::TERM);
        let refused = || TcpStream::connect(("127.0.0.1", tomcat.port())).err();
        wait::until("the closed port", SOON, refused);
        assert_eq!(request.join().expect("the request"), ok("slept"));
    });
    tomcat.wait_gone();
}

#[test]
fn a_killed_tomcat_is_gone_at_once_and_a_stopped_one_is_not() {
    let temp = temp();
    let tomcat = TomcatBase::builder(temp.path(), "one").build();
    let pid = tomcat.start_by_hand();
    tomcat.wait_answering();

    processes::send(pid, Signal::STOP);
    let stopped = || (processes::process_state(pid) == Some('T')).then_some(());
    wait::until("the stopped process", SOON, stopped);
    assert!(processes::is_alive(pid));
    assert_eq!(tomcat.get("/p/"), None);

    processes::send(pid, Signal::KILL);
    tomcat.wait_gone();
    wait::until("the reaped process", SOON, || processes::process_state(pid).is_none().then_some(()));
}

#[test]
fn two_tomcats_run_side_by_side() {
    let temp = temp();
    let tomcats = ["one", "two"].map(|name| TomcatBase::builder(temp.path(), name).build());
    let pids = tomcats.each_ref().map(TomcatBase::start_by_hand);
    tomcats.iter().for_each(TomcatBase::wait_answering);

    assert_ne!(tomcats[0].port(), tomcats[1].port());
    assert_eq!(tomcats.each_ref().map(TomcatBase::pid), pids.map(Some));
    processes::send(pids[0], Signal::TERM);
    tomcats[0].wait_gone();
    assert_eq!(tomcats[1].get("/p/"), ok("ok"));
}

#[test]
fn a_slow_start_holds_the_first_answer_back() {
    let temp = temp();
    let slow = Duration::from_secs(3);
    let tomcat = TomcatBase::builder(temp.path(), "one").slow_start(slow).build();
    let start = Instant::now();
    tomcat.start_by_hand();

    let connect = || TcpStream::connect(("127.0.0.1", tomcat.port())).ok();
    wait::until("the open port", SOON, connect);
    assert_eq!(tomcat.get_within("/p/", Duration::from_millis(300)), None);
    tomcat.wait_answering();
    assert!(start.elapsed() >= slow);
}

#[test]
fn a_tomcat_of_another_user_runs_as_that_user() {
    let owner @ (uid, gid) = ids("tomcat");
    let temp = temp();
    let tomcat = TomcatBase::builder(temp.path(), "one").owner(uid, gid).build();
    let server_xml = fs::metadata(tomcat.dir().join("conf/server.xml")).expect("look at a file");
    assert_eq!((server_xml.uid(), server_xml.gid()), owner);

    let pid = tomcat.start_by_hand();
    tomcat.wait_answering();
    let process = fs::metadata(format!("/proc/{pid}")).expect("look at the process");
    assert_eq!((process.uid(), process.gid()), owner);
    assert_eq!(tomcat.pid(), Some(pid));
}

#[test]
fn the_script_starts_and_stops_a_tomcat() {
    let temp = temp();
    let tomcat = TomcatBase::builder(temp.path(), "one").build();
    assert!(tomcat.catalina_start().success());
    tomcat.wait_answering();

    let pid = tomcat.pid().expect("a running Tomcat has a process");
    let written = fs::read_to_string(tomcat.pid_file()).expect("read the pid file");
    assert_eq!(written.trim(), pid.to_string());
    assert!(tomcat.catalina_stop().success());
    tomcat.wait_gone();
}

#[test]
fn an_extra_connector_answers_too() {
    let temp = temp();
    let port = Port::lease();
    let connector = format!(r#"<Connector port="{}" address="127.0.0.1"/>"#, port.number());
    let tomcat = TomcatBase::builder(temp.path(), "one").extra_connector(&connector).build();
    tomcat.start_by_hand();
    tomcat.wait_answering();
    wait::until("the second connector", SOON, || TcpStream::connect(("127.0.0.1", port.number())).ok());
}

#[test]
fn dropping_a_base_kills_its_tomcat_even_while_it_starts() {
    let temp = temp();
    let starting = TomcatBase::builder(temp.path(), "starting").build();
    let running = TomcatBase::builder(temp.path(), "running").build();
    let running_pid = running.start_by_hand();
    running.wait_answering();
    let starting_pid = starting.start_by_hand();

    drop(starting);
    drop(running);
    for pid in [starting_pid, running_pid] {
        assert!(!processes::is_alive(pid), "{:?}", processes::process_state(pid));
    }
}

#[test]
fn leased_ports_differ_between_threads() {
    let lease = || thread::spawn(|| (0..20).map(|_| Port::lease()).collect::<Vec<_>>());
    let threads: Vec<_> = (0..4).map(|_| lease()).collect();
    let ports: Vec<Port> = threads.into_iter().flat_map(|thread| thread.join().expect("the leasing thread")).collect();
    let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 80);
}

#[test]
fn a_fake_looks_like_a_tomcat() {
    let temp = temp();
    let fake = FakeTomcat::builder(temp.path(), "one").build();
    let start = Instant::now();
    let pid = fake.start_by_hand();
    fake.wait_answering();
    eprintln!("a fake answers after {:.0?}", start.elapsed());
    assert_eq!(fake.pid(), Some(pid));
    assert_eq!(fake.get("/"), ok("ok"));
    assert_eq!(fake.get("/p/sleep?ms=100"), ok("slept"));
    fake.wait_sleepers(0);
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).expect("read the process name");
    assert_eq!(name.trim(), "java");

    processes::send(pid, Signal::TERM);
    fake.wait_gone();
}

#[test]
fn a_fake_answers_the_question_of_a_load_balancer() {
    let temp = temp();
    let fake = FakeTomcat::builder(temp.path(), "one").build();
    fake.start_by_hand();
    fake.wait_answering();

    let mut stream = TcpStream::connect(("127.0.0.1", fake.port())).expect("connect");
    stream.write_all(b"OPTIONS * HTTP/1.1\r\nHost: fake\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read the answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_fake_hangs_and_recovers_while_it_runs() {
    let temp = temp();
    let mut fake = FakeTomcat::builder(temp.path(), "one").build();
    fake.start_by_hand();
    fake.wait_answering();

    fake.set("hang", true);
    assert_eq!(fake.get_within("/", Duration::from_millis(300)), None);
    fake.set("hang", false);
    assert_eq!(fake.get("/"), ok("ok"));
}

#[test]
fn a_fake_ignores_sigterm_until_told_otherwise() {
    let temp = temp();
    let mut fake = FakeTomcat::builder(temp.path(), "one").set("ignore_term", true).build();
    let pid = fake.start_by_hand();
    fake.wait_answering();

    processes::send(pid, Signal::TERM);
    assert!(wait::within(Duration::from_millis(300), || (!processes::is_alive(pid)).then_some(())).is_none());
    assert_eq!(fake.get("/"), ok("ok"));
    fake.set("ignore_term", false);
    processes::send(pid, Signal::TERM);
    fake.wait_gone();
}

#[test]
fn a_fake_closes_its_port_before_a_slow_end() {
    let temp = temp();
    let fake = FakeTomcat::builder(temp.path(), "one").set("stop_delay_ms", 1500).build();
    let pid = fake.start_by_hand();
    fake.wait_answering();

    let start = Instant::now();
    processes::send(pid, Signal::TERM);
    wait::until("the closed port", SOON, || TcpStream::connect(("127.0.0.1", fake.port())).err());
    assert_eq!(fake.pid(), Some(pid));
    fake.wait_gone();
    assert!(start.elapsed() >= Duration::from_millis(1500));
}

#[test]
fn a_fake_ends_with_the_exit_code_of_a_tomcat_or_the_one_set() {
    let temp = temp();
    for (fake, code) in [
        (FakeTomcat::builder(temp.path(), "usual").build(), 143),
        (FakeTomcat::builder(temp.path(), "odd").set("exit_code", 7).build(), 7),
    ] {
        let mut child = Command::new(fake.home().join("bin/catalina.sh"))
            .arg("run")
            .env("CATALINA_BASE", fake.dir())
            .spawn()
            .expect("run the fake's script");
        fake.wait_answering();
        processes::send(child.id(), Signal::TERM);
        assert_eq!(child.wait().expect("wait for the fake").code(), Some(code));
    }
}

#[test]
fn a_fake_starts_late_crashes_or_never_listens() {
    let temp = temp();
    let late = FakeTomcat::builder(temp.path(), "late").set("start_delay_ms", 1000).build();
    let crashing = FakeTomcat::builder(temp.path(), "crashing").set("crash_after_ms", 500).build();
    let deaf = FakeTomcat::builder(temp.path(), "deaf").set("no_listen", true).build();
    let start = Instant::now();
    late.start_by_hand();
    let crashing_pid = crashing.start_by_hand();
    deaf.start_by_hand();

    late.wait_answering();
    assert!(start.elapsed() >= Duration::from_millis(1000));
    wait::until("the crash", SOON, || (!processes::is_alive(crashing_pid)).then_some(()));
    assert_eq!(deaf.get("/"), None);
    assert!(deaf.pid().is_some());
}

#[test]
fn the_script_starts_and_stops_a_fake_of_another_user() {
    let (uid, gid) = ids("tomcat");
    let temp = temp();
    let fake = FakeTomcat::builder(temp.path(), "one").owner(uid, gid).build();
    assert!(fake.catalina_start().success());
    fake.wait_answering();
    let pid = fake.pid().expect("a running fake has a process");
    assert_eq!(fs::metadata(format!("/proc/{pid}")).expect("look at it").uid(), uid);
    assert!(!fake.catalina_start().success(), "it runs already");
    assert!(fake.catalina_stop().success());
    fake.wait_gone();
}

#[test]
#[should_panic(expected = "a fake knows no hangs")]
fn a_fake_refuses_an_unknown_property() {
    FakeTomcat::builder(temp().path(), "one").set("hangs", true).build();
}

#[test]
fn fakes_below_one_directory_share_their_home() {
    let temp = temp();
    let fake = FakeTomcat::builder(temp.path(), "one").build();
    assert_eq!(fake.home(), fake_home(temp.path()));
}

#[tokio::test]
#[should_panic(expected = "in vain for: the impossible")]
async fn waiting_in_vain_names_what_was_missing() {
    let never = async || std::future::pending::<Option<()>>().await;
    wait::until_async("the impossible", Duration::from_millis(50), never).await;
}

#[tokio::test]
async fn waiting_ends_with_the_condition() {
    let mut looks = 0;
    let third = async || {
        looks += 1;
        (looks == 3).then_some("third")
    };
    assert_eq!(wait::until_async("the third look", SOON, third).await, "third");
    assert_eq!(wait::until("now", SOON, || Some("now")), "now");
}
