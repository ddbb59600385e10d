//! One run, from the check of its order to its end.

use std::{
    collections::BTreeMap,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::ExitStatus,
    time::{Duration, Instant},
};

use protocol::hook::{HookEnd, HookFate};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::{Receiver, Sender},
    process::{Child, Command},
    time::{Instant as Moment, sleep_until},
};
use uuid::Uuid;

use crate::{
    RUN_VARIABLE,
    account::Account,
    last_work::LastWork,
    launch::{self, Launch, Launcher},
    masking::{MAX_PATTERNS, SHORTEST},
    output::Output,
    pack::Pack,
    program::Program,
    room::Room,
};

/// How long a program may take to end by itself when it is asked to, before it is killed.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long is read on after the program has ended, while another process holds its output open.
const GRACE: Duration = Duration::from_millis(250);

/// How long output may wait for more before it is told.
const TELL_AFTER: Duration = Duration::from_millis(100);

/// The search path where none is given.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A secret of the host.
#[derive(Clone)]
pub struct Secret {
    /// The variable that holds it.
    pub name: String,
    /// The value, without the line end of the file that it stands in.
    pub value: String,
}

/// What to run, and how.
pub struct Run {
    /// The id of the run.
    pub id: Uuid,
    /// The program, verified.
    pub program: Program,
    /// What the program is called: its file name while it runs.
    pub name: String,
    /// Whom to run it as; without one, as whom the runner runs.
    pub account: Option<Account>,
    /// Its whole environment, but for what the runner knows: `PATH`, `HOME`, `USER`, `LOGNAME`, `TMPDIR` (if they are not
    /// given) and the id of the run.
    pub environment: BTreeMap<String, String>,
    /// Secrets that it gets in its environment, and which its output does not show.
    pub secrets: Vec<Secret>,
    /// What it reads on its standard input.
    pub input: Vec<u8>,
    /// How long it may run.
    pub timeout: Duration,
}

/// Runs a program to its end. `told` gets what it writes, masked, in parts of at most
/// [`protocol::hook::MAX_CHUNK`] bytes. When `abandoned` completes it is ended. A run whose future is dropped is
/// killed. What a program leaves behind lives on only if it has closed its output.
pub async fn run(
    run: Run,
    launcher: &Launcher,
    told: impl FnMut(&str) + Send,
    abandoned: impl Future<Output = ()> + Send,
) -> HookEnd {
    let begun = Instant::now();
    let mut end = match begin(run, launcher).await {
        Ok(running) => running.follow(told, abandoned).await,
        Err(why) => HookEnd::not_run(why),
    };
    end.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    end
}

/// A program that runs. One that is dropped is killed.
struct Running {
    room: Option<Room>,
    pack: Pack,
    ended: bool,
    interpreter: Option<String>,
    child: Child,
    stdin: Option<Sender>,
    pipe: Receiver,
    output: Output,
    order: Vec<u8>,
    deadline: Moment,
    last_work: LastWork,
}

async fn begin(run: Run, launcher: &Launcher) -> Result<Running, String> {
    check(&run)?;
    let output = Output::new(run.secrets.iter().map(|secret| secret.value.as_str()));
    let environment = environment(&run);
    let Run { id, program, name, account, input, timeout, .. } = run;
    let interpreter = program.interpreter();
    let deadline = Moment::now() + timeout;
    let making = tokio::task::spawn_blocking(move || {
        let room = Room::make(id, &name, &program, account.as_ref())?;
        Ok((room, account))
    });
    // One that is made too late is removed where it was made.
    let made = tokio::time::timeout_at(deadline, making).await;
    let made = made.map_err(|_| "its directory could not be made in time: is the disk slow?".to_owned())?;
    let made = made.map_err(io::Error::other).and_then(|made| made);
    let (room, account) = made.map_err(|error: io::Error| format!("its directory cannot be made: {error}"))?;
    let uid = account.as_ref().map_or_else(|| rustix::process::geteuid().as_raw(), |account| account.uid);
    let mut environment = environment;
    environment.entry("TMPDIR".to_owned()).or_insert_with(|| room.work.display().to_string());
    let owner = account.clone();
    let launch = Launch {
        program: room.program.clone(),
        directory: room.work.clone(),
        note: room.note.clone(),
        environment,
        account,
    };
    let unable = |error: io::Error| format!("it cannot be started: {error}");
    let mut order = launch.to_bytes().map_err(unable)?;
    order.extend_from_slice(&input);
    let (stdin, pipe, child) = start(launcher, owner.as_ref()).map_err(unable)?;
    let leader = child.id().ok_or("it cannot be started: it ended at once")?;
    let pack = Pack::new(id, uid, leader);
    let stdin = Some(stdin);
    let last_work = launcher.last_work.clone();
    Ok(Running {
        room: Some(room),
        pack,
        ended: false,
        interpreter,
        child,
        stdin,
        pipe,
        output,
        order,
        deadline,
        last_work,
    })
}

/// Refuses what could not be meant.
fn check(run: &Run) -> Result<(), String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if run.name.is_empty() || run.name.len() > 255 || run.name.starts_with('.') || !run.name.chars().all(is_name) {
        return Err("its name is none of a file".to_owned());
    }
    for (name, value) in run.environment.iter().chain(run.secrets.iter().map(|secret| (&secret.name, &secret.value))) {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("the variable `{}` cannot stand in an environment", name.escape_default()));
        }
    }
    let lines: usize = run.secrets.iter().map(|secret| secret.value.lines().count().max(1)).sum();
    if lines > MAX_PATTERNS {
        return Err(format!("its secrets have {lines} lines, and only {MAX_PATTERNS} can be kept out of the output"));
    }
    match run.secrets.iter().find(|secret| secret.value.len() < SHORTEST) {
        Some(short) => Err(format!(
            "the secret `{}` has fewer than {SHORTEST} bytes, so it cannot be kept out of the output: make it longer",
            short.name
        )),
        None => Ok(()),
    }
}

fn environment(run: &Run) -> BTreeMap<String, String> {
    let mut environment = run.environment.clone();
    let mut given = |name: &str, value: &str| {
        environment.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    };
    given("PATH", PATH);
    if let Some(account) = run.account.clone().or_else(Account::current) {
        given("HOME", &account.home);
        given("USER", &account.name);
        given("LOGNAME", &account.name);
    }
    environment.extend(run.secrets.iter().map(|secret| (secret.name.clone(), secret.value.clone())));
    environment.insert(RUN_VARIABLE.to_owned(), run.id.to_string());
    environment
}

fn start(launcher: &Launcher, account: Option<&Account>) -> io::Result<(Sender, Receiver, Child)> {
    let (reader, writer) = io::pipe()?;
    let (order, stdin) = io::pipe()?;
    if let Some(account) = account.filter(|_| rustix::process::geteuid().is_root()) {
        // A program opens `/dev/stdin` and `/dev/stdout` anew, which is for the owner of the pipe alone.
        let (uid, gid) = (rustix::fs::Uid::from_raw(account.uid), rustix::fs::Gid::from_raw(account.gid));
        rustix::fs::fchown(&writer, Some(uid), Some(gid))?;
        rustix::fs::fchown(&order, Some(uid), Some(gid))?;
    }
    let reader = Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let stdin = Sender::from_owned_fd(OwnedFd::from(stdin))?;
    let mut command = Command::from(launcher.command());
    let errors = writer.try_clone()?;
    command.stdin(order).stdout(writer).stderr(errors).kill_on_drop(true);
    let child = command.spawn()?;
    Ok((stdin, reader, child))
}

/// What ended the first part of a run.
enum Stop {
    Ended(io::Result<ExitStatus>),
    TimedOut,
    Abandoned,
}

impl Running {
    async fn follow(
        mut self,
        mut told: impl FnMut(&str) + Send,
        abandoned: impl Future<Output = ()> + Send,
    ) -> HookEnd {
        let mut stdin = self.stdin.take();
        let order = std::mem::take(&mut self.order);
        let deadline = self.deadline;
        let stop = {
            let feeding = std::pin::pin!(feed(&mut stdin, &order));
            let abandoned = std::pin::pin!(abandoned);
            self.first_part(deadline, feeding, abandoned, &mut told).await
        };
        drop(stdin);
        let fate = match stop {
            Stop::Ended(status) => self.fate(status),
            Stop::TimedOut => self.end_it(HookFate::TimedOut {}, &mut told).await,
            Stop::Abandoned => self.end_it(HookFate::Abandoned {}, &mut told).await,
        };
        let is_cut_off = matches!(fate, HookFate::TimedOut {} | HookFate::Abandoned {});
        if is_cut_off || !self.read_rest(&mut told).await {
            self.kill_all().await;
            self.read_rest(&mut told).await;
        }
        self.ended = true;
        self.output.finish();
        while let Some(part) = self.output.next_to_tell(true) {
            told(part);
        }
        if let Some(room) = self.room.take() {
            // The end need not wait for a program that left much behind.
            let _removed = tokio::time::timeout(GRACE, tokio::task::spawn_blocking(move || drop(room))).await;
        }
        let output = std::mem::replace(&mut self.output, Output::new([].into_iter()));
        let (output, dropped) = output.into_parts();
        HookEnd { fate, output, dropped, duration_ms: 0 }
    }

    async fn first_part(
        &mut self,
        deadline: Moment,
        mut feeding: std::pin::Pin<&mut impl Future<Output = ()>>,
        mut abandoned: std::pin::Pin<&mut impl Future<Output = ()>>,
        told: &mut impl FnMut(&str),
    ) -> Stop {
        let (mut buffer, mut is_open, mut is_feeding) = (vec![0; 16 * 1024], true, true);
        let mut tell_at = None;
        loop {
            let tell_due = tell_at.unwrap_or(deadline);
            tokio::select! {
                biased;
                status = self.child.wait() => return Stop::Ended(status),
                () = sleep_until(deadline) => return Stop::TimedOut,
                () = &mut abandoned => return Stop::Abandoned,
                () = sleep_until(tell_due), if tell_at.is_some() => {
                    tell_at = None;
                    while let Some(part) = self.output.next_to_tell(true) {
                        told(part);
                    }
                }
                read = self.pipe.read(&mut buffer), if is_open => {
                    match read {
                        Ok(0) | Err(_) => is_open = false,
                        Ok(length) => self.output.push(&buffer[..length]),
                    }
                    while let Some(part) = self.output.next_to_tell(false) {
                        told(part);
                    }
                    if self.output.has_news() && tell_at.is_none() {
                        tell_at = Some(Moment::now() + TELL_AFTER);
                    }
                }
                () = &mut feeding, if is_feeding => is_feeding = false,
            }
        }
    }

    /// Asks the program to end, waits a moment, and has it killed.
    async fn end_it(&mut self, fate: HookFate, told: &mut impl FnMut(&str)) -> HookFate {
        self.pack.ask_to_end();
        let until = Moment::now() + FAREWELL;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            tokio::select! {
                biased;
                _ended = self.child.wait() => break,
                () = sleep_until(until) => break,
                read = self.pipe.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => {
                        // Nothing more will come, but the program may still be there.
                        let _late = tokio::time::timeout_at(until, self.child.wait()).await;
                        break;
                    }
                    Ok(length) => self.output.push(&buffer[..length]),
                },
            }
        }
        while let Some(part) = self.output.next_to_tell(true) {
            told(part);
        }
        // It may have ended by itself.
        let _ended = self.child.start_kill();
        fate
    }

    /// Reads what is left in the pipe; `false` if something still holds it open after a while.
    async fn read_rest(&mut self, told: &mut impl FnMut(&str)) -> bool {
        let until = Moment::now() + GRACE;
        let mut buffer = vec![0; 16 * 1024];
        let at_end = loop {
            match tokio::time::timeout_at(until, self.pipe.read(&mut buffer)).await {
                // A flood is always ready, so that the time has to be looked at besides.
                Ok(Ok(length)) if length > 0 && Moment::now() < until => self.output.push(&buffer[..length]),
                Ok(Ok(0) | Err(_)) => break true,
                Ok(Ok(_)) | Err(_) => break false,
            }
        };
        while let Some(part) = self.output.next_to_tell(false) {
            told(part);
        }
        at_end
    }

    async fn kill_all(&mut self) {
        let pack = self.pack.clone();
        // A panic there would have killed nothing, and dropping this tries once more.
        let _killed = tokio::task::spawn_blocking(move || pack.kill()).await;
        let _reaped = tokio::time::timeout(FAREWELL, self.child.wait()).await;
    }

    /// How a program ended that ended by itself.
    fn fate(&self, status: io::Result<ExitStatus>) -> HookFate {
        let note = self.room.as_ref().map(Room::noted).unwrap_or_default();
        if note != launch::BEGUN {
            return HookFate::NotRun { why: self.why_not(&note) };
        }
        match status {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(exit_code), _) => HookFate::Ran { exit_code },
                (None, Some(signal)) => HookFate::Killed { signal },
                (None, None) => HookFate::Unknown { why: format!("it ended with {status}") },
            },
            Err(error) => HookFate::Unknown { why: format!("its end was not told: {error}") },
        }
    }

    /// What the launcher noted, in words: a number is that of the kernel's error.
    fn why_not(&self, note: &str) -> String {
        let Ok(number) = note.parse::<i32>() else {
            return if note.is_empty() { "the launcher ended without a word".to_owned() } else { note.to_owned() };
        };
        let errno = rustix::io::Errno::from_raw_os_error(number);
        match (&self.interpreter, errno) {
            (Some(interpreter), rustix::io::Errno::NOENT) => {
                format!("its interpreter `{interpreter}` is not there: install it, or change the first line")
            }
            (None, rustix::io::Errno::NOENT) => "what it is linked with is not there".to_owned(),
            (Some(interpreter), rustix::io::Errno::ACCESS) => {
                format!("its interpreter `{interpreter}` may not be executed by the user that it runs as")
            }
            (_, rustix::io::Errno::NOEXEC) => {
                "it is neither a script that begins with `#!` nor a program for this kind of machine".to_owned()
            }
            (_, rustix::io::Errno::TOOBIG) => "its environment is too large".to_owned(),
            (_, errno) => format!("it cannot be executed: {}", io::Error::from(errno)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (room, pack) = (self.room.take(), self.pack.clone());
        let is_running = !std::mem::replace(&mut self.ended, true);
        if is_running {
            // The rest takes longer, and may have no time any more when the process ends.
            pack.signal_group(Signal::KILL);
        }
        if room.is_some() || is_running {
            self.last_work.begin(move || {
                if is_running {
                    pack.kill();
                }
                drop(room);
            });
        }
    }
}

/// Writes the order and the input. A program that does not read them is not waited for.
async fn feed(stdin: &mut Option<Sender>, bytes: &[u8]) {
    if let Some(pipe) = stdin {
        // It may close its input unread.
        let _unread = pipe.write_all(bytes).await;
    }
    *stdin = None;
}
