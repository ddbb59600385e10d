//! `apply`, `export`, `diff` and `config`

use std::{
    fs::File,
    io::{self, Read},
};

use comfy_table::Cell;
use protocol::time::Timestamp;

use super::{
    args::{ApplyArgs, ConfigAction, DiffArgs, Format},
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    pages,
    status::since,
};
use crate::{
    app::configuration::{Applied, ConfigDifference, ConfigView, VersionView},
    grid::{access::Role, config::parse::MAX_TEXT},
    http::api::{
        config::{ConfigRequest, DiffRequest, RestoreRequest},
        me::Whoami,
    },
};

/// Applies a file.
pub async fn apply(client: &Client, output: &mut Output, arguments: &ApplyArgs) -> Result<Exit, Failure> {
    let ApplyArgs { file, dry_run, if_version } = arguments;
    let request = ConfigRequest { text: read(file)?, dry_run: *dry_run, if_version: *if_version };
    let answer: Result<Applied, Failure> = client.post("/config", &request).await;
    match answer {
        Ok(applied) => Ok(show_applied(output, &applied, file, *dry_run)),
        Err(failure) => Err(explain(output, file, failure)),
    }
}

/// Prints the configuration in force, exactly as it was applied.
pub async fn export(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let view: ConfigView = client.get("/config").await?;
    match output.format() {
        Format::Json => output.json(&view),
        Format::Table | Format::Name => output.raw(&view.text),
    }
    Ok(Exit::Done)
}

/// Compares a file with the configuration in force.
pub async fn diff(client: &Client, output: &mut Output, arguments: &DiffArgs) -> Result<Exit, Failure> {
    let text = read(&arguments.file)?;
    let request = DiffRequest { text: text.clone() };
    let difference: ConfigDifference = client.post("/config/diff", &request).await?;
    match output.format() {
        Format::Json => output.json(&difference),
        Format::Table | Format::Name => output.diff(&difference.diff),
    }
    if difference.changed {
        tell_refusal(client, output, &arguments.file, text).await;
    }
    Ok(if difference.changed { Exit::Differences } else { Exit::Done })
}

/// Says below a difference that it would be refused. Only who may apply it is told.
async fn tell_refusal(client: &Client, output: &mut Output, file: &str, text: String) {
    let me: Result<Whoami, Failure> = client.get("/whoami").await;
    if !me.is_ok_and(|me| me.role == Some(Role::Admin)) {
        return;
    }
    let request = ConfigRequest { text, dry_run: true, if_version: None };
    let answer: Result<Applied, Failure> = client.post("/config", &request).await;
    if let Err(failure) = answer
        && failure.exit == Exit::Usage
    {
        explain(output, file, failure);
        output.error(&format!("{file} would be refused as a whole"));
    }
}

/// Shows versions, and restores one.
pub async fn run(client: &Client, output: &mut Output, action: Option<&ConfigAction>) -> Result<Exit, Failure> {
    match action {
        None => show(client, output, None).await,
        Some(ConfigAction::Show { version }) => show(client, output, *version).await,
        Some(ConfigAction::History { limit }) => history(client, output, *limit).await,
        Some(ConfigAction::Restore { version, dry_run }) => {
            let request = RestoreRequest { version: *version, dry_run: *dry_run };
            let what = format!("version {version}");
            let answer: Result<Applied, Failure> = client.post("/config/restore", &request).await;
            match answer {
                Ok(applied) => Ok(show_applied(output, &applied, &what, *dry_run)),
                Err(failure) => Err(explain(output, &what, failure)),
            }
        }
    }
}

async fn show(client: &Client, output: &mut Output, version: Option<u64>) -> Result<Exit, Failure> {
    let path = version.map_or("/config".to_owned(), |version| format!("/config/history/{version}"));
    let view: ConfigView = client.get(&path).await?;
    match (output.format(), &view) {
        (Format::Json, _) => output.json(&view),
        (Format::Name, _) => output.line(&view.version.to_string()),
        (Format::Table, ConfigView { version, at: Some(at), actor: Some(actor), text, .. }) => {
            output.note(&format!("version {version}, applied by {actor} {} ago", since(*at, Timestamp::now())));
            output.raw(text);
        }
        (Format::Table, _) => output.note("No configuration yet. `tomcat-grid apply FILE` puts one in force."),
    }
    Ok(Exit::Done)
}

async fn history(client: &Client, output: &mut Output, limit: u32) -> Result<Exit, Failure> {
    let versions: Vec<VersionView> = pages::get(client, "/config/history", limit).await?;
    match output.format() {
        Format::Json => output.json(&versions),
        Format::Name => versions.iter().for_each(|version| output.line(&version.version.to_string())),
        Format::Table if versions.is_empty() => {
            output.line("No configuration yet. `tomcat-grid apply FILE` puts one in force.");
        }
        Format::Table => {
            let now = Timestamp::now();
            let mut table = output.table(&["VERSION", "APPLIED", "BY", "HOW"]);
            for VersionView { version, at, actor, cause } in &versions {
                table.add_row([
                    Cell::new(version),
                    Cell::new(format!("{} ago", since(*at, now))),
                    Cell::new(actor),
                    Cell::new(cause),
                ]);
            }
            output.show(table);
        }
    }
    Ok(Exit::Done)
}

/// Shows the difference, and then what came of it.
fn show_applied(output: &mut Output, applied: &Applied, what: &str, dry_run: bool) -> Exit {
    let Applied { version, changed, diff, warnings } = applied;
    match output.format() {
        Format::Json => output.json(applied),
        Format::Name => output.line(&version.to_string()),
        Format::Table => {
            output.diff(diff);
            output.line(&match (changed, dry_run) {
                (false, _) => "Nothing is different.".to_owned(),
                (true, true) => format!("It would be version {version}. Nothing was changed."),
                (true, false) => format!("Version {version} is in force."),
            });
        }
    }
    for warning in warnings {
        output.note(&placed(what, warning, "warning: ").unwrap_or_else(|| warning.clone()));
    }
    if *changed { Exit::Done } else { Exit::Ignored }
}

/// Shows mistakes as a compiler does, each with the place where an editor finds it.
fn explain(output: &mut Output, what: &str, failure: Failure) -> Failure {
    let lines: Vec<&str> = failure.message.lines().collect();
    let placed: Vec<String> = lines.iter().map_while(|line| placed(what, line, "")).collect();
    if placed.is_empty() {
        return failure;
    }
    placed.iter().for_each(|line| output.note(line));
    lines[placed.len()..].iter().for_each(|line| output.note(line));
    Failure::new(failure.exit, format!("{what} is refused as a whole: nothing was changed"))
}

/// `FILE:LINE:COLUMN: what`, of `line LINE, column COLUMN: what`; `kind` stands before what.
fn placed(file: &str, line: &str, kind: &str) -> Option<String> {
    let (line, rest) = line.strip_prefix("line ")?.split_once(", column ")?;
    let (column, what) = rest.split_once(": ")?;
    let (line, column): (u32, u32) = (line.parse().ok()?, column.parse().ok()?);
    Some(format!("{file}:{line}:{column}: {kind}{what}"))
}

/// The text of a file, or of standard input. What is too long is not read to its end.
fn read(file: &str) -> Result<String, Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("cannot read {file}: {why}"));
    let source: Box<dyn Read> = match file {
        "-" => Box::new(io::stdin().lock()),
        file => Box::new(File::open(file).map_err(|error| wrong(error.to_string()))?),
    };
    let mut bytes = Vec::new();
    source.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() > MAX_TEXT {
        return Err(wrong(format!("it has more than {MAX_TEXT} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_placed_as_editors_read_them() {
        for (line, shown) in [
            ("line 3, column 12: there is no tag `red`", Some("grid.toml:3:12: there is no tag `red`")),
            ("and 7 more", None),
            ("line x, column 1: y", None),
            ("the body is too large", None),
        ] {
            assert_eq!(placed("grid.toml", line, "").as_deref(), shown);
        }
    }
}
