//! `hooks`

use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

use comfy_table::Cell;
use protocol::{hook::MAX_PROGRAM, time::Timestamp};
use reqwest::Method;

use super::{
    args::{Format, HooksAction},
    client::Client,
    exit::{Exit, Failure},
    output::{Output, harmless, text_of},
    pages::escaped,
    status::since,
};
use crate::grid::hooks::program::{Binding, HooksView, ProgramView};

/// Shows hooks, adds and removes their programs.
pub async fn run(client: &Client, output: &mut Output, action: Option<&HooksAction>) -> Result<Exit, Failure> {
    match action {
        None | Some(HooksAction::List) => list(client, output).await,
        Some(HooksAction::Add { file, name }) => add(client, output, file, name.as_deref()).await,
        Some(HooksAction::Show { name }) => show(client, output, name).await,
        Some(HooksAction::Remove { name }) => {
            client.act(Method::DELETE, &path(name)).await?;
            match output.format() {
                Format::Json => output.json(&serde_json::json!({"removed": name})),
                Format::Name => output.line(name),
                Format::Table => output.line(&format!("{name} is removed from the grid")),
            }
            Ok(Exit::Done)
        }
    }
}

/// A name that is none must not become another path.
fn path(name: &str) -> String {
    let name = escaped(name);
    format!("/hooks/{}", if name.chars().all(|c| c == '.') { name.replace('.', "%2E") } else { name })
}

async fn list(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let hooks: HooksView = client.get("/hooks").await?;
    match output.format() {
        Format::Json => output.json(&hooks),
        Format::Name => hooks.programs.iter().for_each(|program| output.line(&program.name)),
        Format::Table if hooks.programs.is_empty() => {
            output.line("No hook programs yet. `tomcat-grid hooks add FILE` adds one.");
        }
        Format::Table => {
            let now = Timestamp::now();
            let mut table = output.table(&["PROGRAM", "MACHINES", "SIZE", "SHA-256", "ADDED", "BY"]);
            for program in &hooks.programs {
                table.add_row(vec![
                    Cell::new(&program.name),
                    Cell::new(readiness(program)),
                    Cell::new(size(program.size)),
                    Cell::new(program.hash.get(..12).unwrap_or(&program.hash)),
                    Cell::new(format!("{} ago", since(program.added_at, now))),
                    Cell::new(harmless(&program.added_by)),
                ]);
            }
            output.show(table);
            if !hooks.bindings.is_empty() {
                output.line("");
                output.line(&bindings(output, hooks.bindings.iter()));
                not_ready(output, hooks.bindings.iter());
            }
        }
    }
    Ok(Exit::Done)
}

async fn show(client: &Client, output: &mut Output, name: &str) -> Result<Exit, Failure> {
    let program: ProgramView = client.get(&path(name)).await?;
    match output.format() {
        Format::Json => output.json(&program),
        Format::Name => output.line(&program.name),
        Format::Table => {
            let hooks: HooksView = client.get("/hooks").await?;
            output.line(&format!("{}: {}", program.name, readiness(&program)));
            output.line(&format!("SHA-256 {}, {}", program.hash, size(program.size)));
            output.line(&format!("added {} by {}", program.added_at, harmless(&program.added_by)));
            if !program.machines.is_empty() {
                let mut table = output.table(&["MACHINE", "PROGRAM"]);
                for on in &program.machines {
                    let state = match (on.ready, &on.why) {
                        (true, _) => "● ready".to_owned(),
                        (false, why) => {
                            format!("◐ not ready: {}", harmless(why.as_deref().unwrap_or("it is on its way")))
                        }
                    };
                    table.add_row(vec![Cell::new(&on.machine), Cell::new(state)]);
                }
                output.line("");
                output.show(table);
            }
            let used: Vec<&Binding> = hooks.bindings.iter().filter(|hook| hook.program == program.name).collect();
            if !used.is_empty() {
                output.line("");
                output.line(&bindings(output, used.iter().copied()));
                not_ready(output, used.into_iter());
            }
        }
    }
    Ok(Exit::Done)
}

async fn add(client: &Client, output: &mut Output, file: &Path, name: Option<&str>) -> Result<Exit, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let name = match name.or_else(|| file.file_name()?.to_str()) {
        Some(name) => name.to_owned(),
        None => return Err(usage("the file has no name that could be the program's: give one with --name".to_owned())),
    };
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_PROGRAM as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| usage(format!("cannot read {}: {error}", file.display())))?;
    crate::grid::hooks::program::check_bytes(&bytes).map_err(|why| usage(format!("{}: {why}", file.display())))?;
    let program: ProgramView = client.upload(&format!("/hooks?name={}", escaped(&name)), bytes).await?;
    match output.format() {
        Format::Json => output.json(&program),
        Format::Name => output.line(&program.name),
        Format::Table => output.line(&format!("{} is added: {}", program.name, readiness(&program))),
    }
    Ok(Exit::Done)
}

/// How far a program is on the machines that need it.
fn readiness(program: &ProgramView) -> String {
    let ready = program.machines.iter().filter(|on| on.ready).count();
    match (program.used, program.machines.len()) {
        (false, _) => "no hook runs it".to_owned(),
        (true, 0) => "runs on the manager's host only".to_owned(),
        (true, 1) => format!("ready on {ready} of 1 machine"),
        (true, machines) => format!("ready on {ready} of {machines} machines"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}

fn bindings<'a>(output: &Output, hooks: impl Iterator<Item = &'a Binding>) -> String {
    let mut table = output.table(&["EVENT", "ON", "PROGRAM", "LIMIT", "FAILS", "USER"]);
    for hook in hooks {
        let fails = serde_json::to_value(hook.on_failure).ok();
        table.add_row(vec![
            Cell::new(hook.event),
            Cell::new(hook.targets.join(", ")),
            Cell::new(&hook.program),
            Cell::new(format!("{} s", hook.timeout_ms as f64 / 1000.0)),
            Cell::new(fails.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default()),
            Cell::new(harmless(hook.user.as_deref().unwrap_or("-"))),
        ]);
    }
    text_of(&table)
}

/// Says why hooks cannot run, each reason once.
fn not_ready<'a>(output: &mut Output, hooks: impl Iterator<Item = &'a Binding>) {
    let whys: BTreeSet<&String> = hooks.flat_map(|hook| &hook.not_ready).collect();
    if !whys.is_empty() {
        output.line("");
        whys.into_iter().for_each(|why| output.line(&format!("◐ not ready: {}", harmless(why))));
    }
}
