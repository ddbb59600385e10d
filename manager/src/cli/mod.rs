//! The command line: asks a manager over its API and shows the answer. One file per command.

pub mod args;
pub mod audit;
pub mod client;
pub mod collections;
pub mod completions;
pub mod configuration;
pub mod events;
pub mod exit;
pub mod explain;
pub mod hooks;
mod interrupt;
pub mod log_file;
pub mod machines;
pub mod operate;
pub mod operation;
pub mod operations;
pub mod output;
pub mod pages;
pub mod schedules;
pub mod status;
pub mod tags;
pub mod token;
pub mod trigger;
pub mod users;
pub mod watch;
pub mod whoami;

use std::{process::ExitCode, time::Duration};

use self::{
    args::{Cli, Command},
    client::Client,
    exit::Exit,
    output::Output,
};
use crate::grid;

/// Runs one command.
pub async fn run(cli: Cli) -> ExitCode {
    if let Command::Completions(arguments) = &cli.command {
        log_file::LogFile::open(cli.command.name()).finish(Exit::Done);
        return completions::run(arguments);
    }
    let mut output = Output::open(cli.global.output, cli.command.name());
    // Who waits for an operation must be told which one goes on.
    let limit = cli.global.timeout.filter(|_| !cli.command.waits()).map_or(Duration::MAX, |timeout| timeout.0);
    let working = async {
        let client = Client::new(&cli.global)?;
        if let Some(remark) = client.remark() {
            output.note(&remark);
        }
        dispatch(&cli, &client, &mut output).await
    };
    let result = tokio::time::timeout(limit, working).await;
    let exit = match result {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            output.error(&failure.message);
            failure.exit
        }
        Err(_) => {
            output
                .error(&format!("no answer within the {} s of --timeout; what was begun goes on", limit.as_secs_f64()));
            Exit::TimedOut
        }
    };
    output.finish(exit);
    let code = if exit == Exit::Ignored && !cli.global.detailed_exitcode { Exit::Done } else { exit };
    ExitCode::from(code.code())
}

/// Leaves the log file of a call that could not be understood; asking for help is none.
pub fn log_refused_call(error: &clap::Error) {
    if error.use_stderr() {
        let (mut log, may_hold_password) = log_file::LogFile::of_refused_call();
        match may_hold_password {
            true => log.write(&error.kind().to_string()),
            false => log.write(error.to_string().trim_end()),
        }
        log.finish(Exit::Usage);
    }
}

async fn dispatch(cli: &Cli, client: &Client, output: &mut Output) -> Result<Exit, exit::Failure> {
    match &cli.command {
        Command::Status(arguments) => status::run(client, output, arguments).await,
        Command::Machines(arguments) => machines::run(client, output, arguments.action.as_ref()).await,
        Command::TriggerStart(arguments) => {
            trigger::run(client, output, protocol::state::Action::Start, arguments).await
        }
        Command::TriggerStop(arguments) => trigger::run(client, output, protocol::state::Action::Stop, arguments).await,
        Command::TriggerKill(arguments) => trigger::run(client, output, protocol::state::Action::Kill, arguments).await,
        Command::Start(arguments) => operate(cli, client, output, grid::command::Command::Start, arguments).await,
        Command::Stop(arguments) => operate(cli, client, output, grid::command::Command::Stop, arguments).await,
        Command::Kill(arguments) => operate(cli, client, output, grid::command::Command::Kill, arguments).await,
        Command::Restart(arguments) => operate(cli, client, output, grid::command::Command::Restart, arguments).await,
        Command::Killstart(arguments) => {
            operate(cli, client, output, grid::command::Command::Killstart, arguments).await
        }
        Command::Operations(arguments) => {
            operations::run(client, output, arguments, cli.global.timeout.map(|timeout| timeout.0)).await
        }
        Command::Schedules => schedules::run(client, output).await,
        Command::Explain(arguments) => explain::run(client, output, arguments).await,
        Command::Events(arguments) => events::run(client, output, arguments).await,
        Command::Audit(arguments) => audit::run(client, output, arguments).await,
        Command::Hooks(arguments) => hooks::run(client, output, arguments.action.as_ref()).await,
        Command::Tags(arguments) => tags::run(client, output, arguments.action.as_ref()).await,
        Command::Apply(arguments) => configuration::apply(client, output, arguments).await,
        Command::Export => configuration::export(client, output).await,
        Command::Diff(arguments) => configuration::diff(client, output, arguments).await,
        Command::Config(arguments) => configuration::run(client, output, arguments.action.as_ref()).await,
        Command::Collections(arguments) => collections::run(client, output, arguments.action.as_ref()).await,
        Command::Token(arguments) => token::run(client, output, &arguments.action).await,
        Command::Users(arguments) => users::run(client, output, arguments.action.as_ref()).await,
        Command::Whoami => whoami::run(client, output).await,
        Command::Serve(_) | Command::Completions(_) => {
            Err(exit::Failure::new(Exit::Usage, "this command is not sent to a manager"))
        }
    }
}

async fn operate(
    cli: &Cli,
    client: &Client,
    output: &mut Output,
    command: grid::command::Command,
    arguments: &args::OperateArgs,
) -> Result<Exit, exit::Failure> {
    operate::run(client, output, command, arguments, cli.global.timeout.map(|timeout| timeout.0)).await
}
