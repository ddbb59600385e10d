//! Real programs that do what programs should not do.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use protocol::hook::{HookEnd, HookFate, MAX_CHUNK, MAX_OUTPUT};
use runner::{Account, Launcher, Program, Run, Secret, program};
use uuid::Uuid;

/// How long anything may take here on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn run_of(script: &str) -> Run {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("program");
    fs::write(&path, script).expect("a program");
    let program = Program::verify(&path, &program::hash(script.as_bytes())).expect("the program");
    Run {
        id: Uuid::new_v4(),
        program,
        name: "hook.sh".to_owned(),
        account: None,
        environment: BTreeMap::new(),
        secrets: Vec::new(),
        input: Vec::new(),
        timeout: PATIENCE,
    }
}

fn sh(script: &str) -> Run {
    run_of(&format!("#!/bin/sh\n{script}\n"))
}

fn launcher() -> Launcher {
    Launcher::at(env!("CARGO_BIN_EXE_run-hook"))
}

async fn end_of(run: Run) -> HookEnd {
    let id = run.id;
    let end = runner::run(run, &launcher(), |_| {}, std::future::pending()).await;
    assert_eq!(alive(id), Vec::<i32>::new(), "nothing of it is left: {end:?}");
    assert!(!room(id).exists(), "its directory is removed");
    end
}

fn room(id: Uuid) -> PathBuf {
    std::env::temp_dir().join(format!("tomcat-grid-hook-{}", id.simple()))
}

/// The processes that carry a run's id.
fn alive(id: Uuid) -> Vec<i32> {
    let mark = format!("TOMCAT_GRID_RUN={id}");
    let carries = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(carries).collect()
}

fn ran(exit_code: i32) -> HookFate {
    HookFate::Ran { exit_code }
}

fn why(end: &HookEnd) -> &str {
    match &end.fate {
        HookFate::NotRun { why } => why,
        other => panic!("it should not run: {other:?}"),
    }
}

#[tokio::test]
async fn it_runs_and_its_exit_code_output_and_input_are_as_they_are() {
    let mut run = sh("cat; echo to stderr >&2; basename $0; exit 3");
    run.input = b"from the grid\n".to_vec();
    let end = end_of(run).await;
    assert_eq!((end.fate, end.output.as_str(), end.dropped), (ran(3), "from the grid\nto stderr\nhook.sh\n", 0));
}

#[tokio::test]
async fn its_surroundings_are_only_what_is_given() {
    let mut run = sh(
        "env | cut -d= -f1 | sort | tr '\\n' ' '; umask; ls /proc/self/fd | tr '\\n' ' '; touch made; ls -l | tail -1 | cut -c1-10; pwd; ulimit -c",
    );
    run.environment.insert("GIVEN".to_owned(), "1".to_owned());
    // Open for whoever is started, unless somebody sees to it.
    let open = fs::File::open("/dev/null").expect("a file");
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).expect("it is inherited");
    let id = run.id;
    let end = end_of(run).await;
    let lines: Vec<&str> = end.output.lines().collect();
    let work = room(id).join("work").display().to_string();
    // `ls` itself holds a fourth one; the shell adds PWD.
    let expected =
        ["GIVEN HOME LOGNAME PATH PWD TMPDIR TOMCAT_GRID_RUN USER 0077", "0 1 2 3 -rw-------", work.as_str(), "0"];
    assert_eq!(lines, expected, "{}", end.output);
}

#[tokio::test]
async fn it_runs_as_its_user_for_good() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let nobody = Account::by_name("nobody").expect("nobody");
    let mut run = sh(
        "id -u; id -G; stat -c '%u %a' . ..; echo x > ../bin/hook.sh && echo changed; ls .. >/dev/null && echo seen; echo $HOME; grep -E '^Cap(Eff|Prm|Inh|Amb)' /proc/self/status | tr -dc '1-9a-f'",
    );
    run.account = Some(nobody.clone());
    let end = end_of(run).await;
    assert!(end.output.starts_with(&format!("{0}\n{1}\n{0} 700\n0 710\n", nobody.uid, nobody.gid)), "{}", end.output);
    assert!(!end.output.contains("changed") && !end.output.contains("\nseen"), "{}", end.output);
    assert!(end.output.contains(&format!("\n{}\n", nobody.home)), "{}", end.output);
}

#[tokio::test]
async fn one_that_hangs_is_ended_in_time_with_everything_it_started() {
    for script in [
        "sleep 1000",
        "trap '' TERM; echo waits; while :; do sleep 1000; done",
        "sleep 1000 & sleep 1000 & wait",
        "setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & sleep 1001' & sleep 1002",
        "(setsid sh -c '(setsid sleep 1000 >/dev/null 2>&1 &) ; sleep 1001' &) ; sleep 1002",
        "exec </dev/null >/dev/null 2>&1; sleep 1000",
        "kill -STOP $$",
        "f() { f & f & sleep 1; }; ulimit -u 40; f; wait; sleep 1000",
    ] {
        let mut run = sh(script);
        run.timeout = Duration::from_millis(700);
        run.account = Account::by_name("nobody").filter(|_| rustix::process::geteuid().is_root());
        let begun = Instant::now();
        let end = end_of(run).await;
        assert_eq!(end.fate, HookFate::TimedOut {}, "{script}");
        assert!((700..10_000).contains(&begun.elapsed().as_millis()), "{script}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn one_that_is_asked_to_end_can_say_so() {
    let mut run = sh("trap 'echo cleaned up; exit 0' TERM; echo runs; while :; do sleep 0.05; done");
    run.timeout = Duration::from_millis(500);
    let end = end_of(run).await;
    // The shell itself notes between the two that its `sleep` was ended.
    assert!(end.output.starts_with("runs\n") && end.output.ends_with("cleaned up\n"), "{end:?}");
    assert_eq!(end.fate, HookFate::TimedOut {});
}

#[tokio::test]
async fn one_that_is_abandoned_or_dropped_is_killed() {
    let run = sh("echo runs; sleep 1000");
    let id = run.id;
    let (began, begins) = tokio::sync::oneshot::channel::<()>();
    let mut began = Some(began);
    let told = move |_: &str| drop(began.take());
    let abandoned = async move {
        let _began = begins.await;
    };
    assert_eq!(runner::run(run, &launcher(), told, abandoned).await.fate, HookFate::Abandoned {});
    assert_eq!(alive(id), Vec::<i32>::new());

    let run = sh("setsid sleep 1000 & echo runs; sleep 1000");
    let id = run.id;
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let launcher = launcher();
    let of_run = launcher.clone();
    let running = tokio::spawn(async move {
        runner::run(run, &of_run, |part| drop(told.send(part.to_owned())), std::future::pending()).await
    });
    assert_eq!(tells.recv().await.as_deref(), Some("runs\n"));
    running.abort();
    assert!(running.await.is_err());
    tokio::task::spawn_blocking(move || launcher.wait_for_last_work(PATIENCE)).await.expect("no panic");
    assert_eq!(alive(id), Vec::<i32>::new());
    assert!(!room(id).exists());
}

#[tokio::test]
async fn a_flood_is_kept_in_part_and_counted() {
    let mut run = sh("dd if=/dev/zero bs=1048576 count=256 2>/dev/null | tr '\\0' x; exit 7");
    run.timeout = Duration::from_secs(60);
    let mut told = 0;
    let end = runner::run(
        run,
        &launcher(),
        |part| {
            assert!(part.len() <= MAX_CHUNK);
            told += part.len();
        },
        std::future::pending(),
    )
    .await;
    assert_eq!(end.fate, ran(7));
    assert_eq!((end.output.len(), told), (MAX_OUTPUT, MAX_OUTPUT));
    assert_eq!(end.dropped, 256 * 1024 * 1024 - MAX_OUTPUT as u64);
    let peak = fs::read_to_string("/proc/self/status").expect("a status");
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 100_000, "{peak} kB");
}

#[tokio::test]
async fn one_that_floods_for_ever_is_ended_in_time() {
    let mut run = sh("yes");
    run.timeout = Duration::from_millis(500);
    let end = end_of(run).await;
    assert_eq!((end.fate, end.output.len()), (HookFate::TimedOut {}, MAX_OUTPUT));
    assert!(end.dropped > 0);
}

#[tokio::test]
async fn input_that_nobody_reads_holds_nothing_up() {
    for (script, code) in [("exit 0", 0), ("exec <&-; sleep 0.2; exit 4", 4), ("sleep 0.2; exit 5", 5)] {
        let mut run = sh(script);
        run.input = vec![b'x'; 1024 * 1024];
        assert_eq!(end_of(run).await.fate, ran(code), "{script}");
    }
}

#[tokio::test]
async fn what_holds_the_output_open_is_not_waited_for() {
    let begun = Instant::now();
    let end = end_of(sh("echo done; sleep 1000 & setsid sleep 1000 & exit 0")).await;
    assert_eq!((end.fate, end.output.as_str()), (ran(0), "done\n"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_has_closed_its_output_may_stay() {
    let run = sh("setsid sleep 1000 </dev/null >/dev/null 2>&1 & exit 0");
    let id = run.id;
    let end = runner::run(run, &launcher(), |_| {}, std::future::pending()).await;
    assert_eq!(end.fate, ran(0));
    assert_eq!(alive(id).len(), 1);
    runner::clear_up(id, rustix::process::geteuid().as_raw());
    assert_eq!(alive(id), Vec::<i32>::new());
}

#[tokio::test]
async fn what_cannot_be_executed_says_why() {
    for (program, expected) in [
        ("just text\n", "neither a script that begins with `#!` nor a program"),
        ("#!/no/such/interpreter -x\n", "its interpreter `/no/such/interpreter` is not there"),
        ("#!/etc/passwd\n", "its interpreter `/etc/passwd` may not be executed"),
    ] {
        let end = end_of(run_of(program)).await;
        assert!(why(&end).contains(expected), "{end:?}");
    }
    let gone = runner::run(sh("true"), &Launcher::at("/no/such/launcher"), |_| {}, std::future::pending()).await;
    assert!(why(&gone).contains("it cannot be started"), "{gone:?}");
    // A program that knows nothing of launching must not pass for one that ran.
    let other = runner::run(sh("true"), &Launcher::at("/bin/true"), |_| {}, std::future::pending()).await;
    assert!(why(&other).contains("without a word"), "{other:?}");
}

#[tokio::test]
async fn signals_have_their_usual_meaning() {
    let end = end_of(sh("grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2; yes | head -1")).await;
    let lines: Vec<&str> = end.output.lines().collect();
    // The two signals that the C library keeps to itself are above.
    let usual = |mask: &str| u64::from_str_radix(mask, 16).expect("a mask") & 0x7fff_ffff == 0;
    assert!(usual(lines[0]) && usual(lines[1]) && lines[2..] == ["y"], "{lines:?}");
}

#[tokio::test]
async fn a_signal_that_ends_it_is_told() {
    assert_eq!(end_of(sh("kill -9 $$")).await.fate, HookFate::Killed { signal: 9 });
}

#[tokio::test]
async fn secrets_are_in_its_environment_and_not_in_its_output() {
    let mut run = sh("echo \"<$KEY>\"; printf hunt; sleep 0.3; printf 'er2\\n'; test \"$KEY\" = hunter2");
    run.secrets = vec![Secret { name: "KEY".to_owned(), value: "hunter2".to_owned() }];
    let mut told = String::new();
    let end = runner::run(run, &launcher(), |part| told.push_str(part), std::future::pending()).await;
    assert_eq!((end.fate, end.output.as_str(), told.as_str()), (ran(0), "<***>\n***\n", "<***>\n***\n"));

    let mut run = sh("true");
    run.secrets = vec![Secret { name: "PIN".to_owned(), value: "123".to_owned() }];
    let end = end_of(run).await;
    assert!(why(&end).contains("`PIN`") && !why(&end).contains("123"), "{end:?}");
}

#[tokio::test]
async fn a_program_that_was_changed_meanwhile_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("program");
    fs::write(&path, "#!/bin/sh\necho good\n").expect("a program");
    let verified = Program::verify(&path, &program::hash(b"#!/bin/sh\necho good\n")).expect("the program");
    fs::write(&path, "#!/bin/sh\necho bad\n").expect("another program");
    let run = Run { program: verified, ..sh("") };
    assert_eq!(end_of(run).await.output, "good\n");
}

#[tokio::test]
async fn what_is_nested_deeper_than_a_stack_can_be_removed() {
    let run =
        run_of("#!/usr/bin/perl\nfor (1..20000) { mkdir 'd' or die; chdir 'd' or die }\nmkdir 'e'; chmod 0, 'e';\n");
    let id = run.id;
    let end = runner::run(run, &launcher(), |_| {}, std::future::pending()).await;
    assert_eq!(end.fate, ran(0), "{end:?}");
    let until = Instant::now() + PATIENCE;
    while room(id).exists() {
        assert!(Instant::now() < until, "its directory is removed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn it_can_open_its_input_and_output_anew() {
    let mut run = sh("cat /dev/stdin > /dev/stdout; echo error > /dev/stderr");
    run.input = b"from the grid\n".to_vec();
    run.account = is_root().then(|| Account::by_name("nobody")).flatten();
    let end = end_of(run).await;
    assert!(end.output.starts_with("from the grid\nerror\n"), "{end:?}");
}

#[tokio::test]
async fn nobody_else_gets_at_its_directory() {
    let mut run = sh("stat -c %a .. ../bin $0");
    run.account = is_root().then(|| Account::by_name("nobody")).flatten();
    let expected = if run.account.is_some() { "710\n710\n550\n" } else { "700\n700\n500\n" };
    assert_eq!(end_of(run).await.output, expected);
}

#[tokio::test]
async fn too_many_secrets_cannot_be_kept_out_of_the_output() {
    let mut run = sh("true");
    run.secrets = vec![Secret { name: "KEYS".to_owned(), value: "a long line\n".repeat(300) }];
    assert!(why(&end_of(run).await).contains("300 lines"));
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn links_in_its_directory_are_not_followed_when_it_is_removed() {
    let kept = tempfile::tempdir().expect("a directory");
    fs::write(kept.path().join("file"), "kept").expect("a file");
    let end = end_of(sh(&format!("ln -s {} link; mkdir -m 000 closed; echo x > x", kept.path().display()))).await;
    assert_eq!(end.fate, ran(0));
    assert!(Path::new(&kept.path().join("file")).exists());
}

#[tokio::test]
async fn many_at_once_do_not_disturb_each_other() {
    let runs = (0..20).map(|n| tokio::spawn(end_of(sh(&format!("echo {n}")))));
    for (n, run) in runs.enumerate() {
        assert_eq!(run.await.expect("an end").output, format!("{n}\n"));
    }
}
