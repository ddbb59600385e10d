//! `tomcat-grid-agent`: the agent of one machine.

use std::{os::unix::process::CommandExt, process::ExitCode, time::Duration};

use agent::{
    config::{Flags, Settings},
    launch,
    link::keeper::Ending,
    os::process,
    run,
};
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use runner::Launcher;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long work that cannot be interrupted, such as writing a file, may go on when the agent ends.
const LAST_WORK: Duration = Duration::from_secs(2);

/// The agent of one machine of a Tomcat Grid.
#[derive(Parser)]
#[command(name = "tomcat-grid-agent", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Join the grid if need be, look after this machine's Tomcat instances, and keep the link to the manager
    Run(Box<Flags>),
    /// Become an instance (used by the agent itself)
    #[command(hide = true)]
    Launch,
}

fn main() -> ExitCode {
    // Hooks are started by way of this very program.
    if let Some(code) = runner::launch::main_if_asked() {
        return code;
    }
    match Cli::parse().command {
        Command::Launch => launch::run(),
        Command::Run(flags) => {
            tracing_subscriber::fmt()
                .with_env_filter(
                    EnvFilter::try_from_env("TOMCAT_GRID_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
                )
                .with_writer(std::io::stderr)
                .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
                .with_target(false)
                .init();
            match start(*flags) {
                Ok(Ending::Stop) => ExitCode::SUCCESS,
                Ok(Ending::Restart) => {
                    tracing::error!("cannot begin anew: {}", begin_anew());
                    ExitCode::FAILURE
                }
                Err(error) => {
                    tracing::error!("{error:#}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}

/// Executes the agent's own program in this process; returns only when that failed.
fn begin_anew() -> std::io::Error {
    let running = std::path::PathBuf::from("/proc/self/exe");
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "tomcat-grid-agent".into());
    let arguments: Vec<_> = arguments.collect();
    let execute = |program| std::process::Command::new(program).arg0(&name).args(&arguments).exec();
    if let Some(program) = process::own_program() {
        let error = execute(program);
        tracing::error!("the agent's program cannot be executed, so the one that runs begins anew: {error}");
    }
    execute(running)
}

fn start(flags: Flags) -> Result<Ending> {
    #[cfg(feature = "failpoints")]
    let _faults = fail::FailScenario::setup();
    let settings = Settings::resolve(flags)?;
    let launcher = Launcher::own();
    // One thread is plenty: the agent mostly waits.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        run::run(settings, launcher.clone(), async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await
    });
    // A look at a storage that hangs must not keep the agent from ending.
    runtime.shutdown_timeout(LAST_WORK);
    launcher.wait_for_last_work(LAST_WORK);
    ended
}
