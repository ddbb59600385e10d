//! `tomcat-grid`: the manager of a grid, and its command line.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use manager::{
    cli::{
        self,
        args::{Cli, Command},
    },
    config::{Flags, Settings},
    serve,
};
use runner::Launcher;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long what is left of hooks may take to be cleared up when the manager ends.
const LAST_WORK: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    // A hook on this host is started by way of this very program.
    if let Some(ended) = runner::launch::main_if_asked() {
        return ended;
    }
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            cli::log_refused_call(&error);
            error.exit()
        }
    };
    // Only fails when a provider is set already.
    let _set_already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cli.command {
        Command::Serve(flags) => {
            tracing_subscriber::fmt()
                .with_env_filter(EnvFilter::try_from_env("TOMCAT_GRID_LOG").unwrap_or_else(|_| EnvFilter::new("info")))
                .with_writer(std::io::stderr)
                .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
                .with_target(false)
                .init();
            match serve(*flags) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!("{error:#}");
                    ExitCode::FAILURE
                }
            }
        }
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(cli::run(cli)),
                Err(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn serve(flags: Flags) -> Result<()> {
    #[cfg(feature = "failpoints")]
    let _faults = fail::FailScenario::setup();
    let settings = Settings::resolve(flags)?;
    let launcher = Launcher::own();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        serve::run(settings, launcher.clone(), async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await
    });
    // Hooks that run are dropped, and so killed, with it. A disk that hangs must not keep the manager from ending.
    runtime.shutdown_timeout(LAST_WORK);
    launcher.wait_for_last_work(LAST_WORK);
    ended
}
