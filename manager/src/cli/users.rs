//! `users`

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use comfy_table::Cell;
use protocol::time::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::{
    args::{Format, PasswordFrom, UsersAction},
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    pages,
    status::since,
};
use crate::{
    grid::user::{LONGEST_PASSWORD, check_name},
    http::api::users::{PasswordResponse, UserChange, UserResponse},
    store::{tokens::Token, users::User},
};

/// Shows, adds, changes and removes users.
pub async fn run(client: &Client, output: &mut Output, action: Option<&UsersAction>) -> Result<Exit, Failure> {
    match action {
        None | Some(UsersAction::List) => list(client, output).await,
        Some(UsersAction::Add { name, role, password }) => {
            let body = json!({"name": checked(name)?, "role": role, "password": read(password)?});
            let added: UserResponse = client.post("/users", &body).await?;
            let done = format!("the user {name} is added, with the role {role}");
            shown(output, &added, added.password.as_deref(), &done);
            Ok(Exit::Done)
        }
        Some(UsersAction::Role { name, role }) => {
            let path = format!("/users/{}", checked(name)?);
            let user: User = client.patch(&path, &UserChange { role: *role }).await?;
            match output.format() {
                Format::Json => output.json(&user),
                Format::Table | Format::Name => output.line(&format!("{name} has the role {role}")),
            }
            Ok(Exit::Done)
        }
        Some(UsersAction::Password { name, password }) => {
            let body = json!({"password": read(password)?});
            let set: PasswordResponse = client.post(&format!("/users/{}/password", checked(name)?), &body).await?;
            let done = format!("{name} has another password, and is logged out everywhere");
            shown(output, &set, set.password.as_deref(), &done);
            Ok(Exit::Done)
        }
        Some(UsersAction::Logout { name }) => {
            client.act(Method::DELETE, &format!("/users/{}/sessions", checked(name)?)).await?;
            output.line(&format!("{name} is logged out everywhere"));
            Ok(Exit::Done)
        }
        Some(UsersAction::Remove { name }) => {
            client.act(Method::DELETE, &format!("/users/{}", checked(name)?)).await?;
            output.line(&format!("the user {name} is removed"));
            // What they made for machines is the grid's, and stays; whoever removes them decides.
            let join: Vec<Token> = pages::all(client, "/tokens?type=join").await.unwrap_or_default();
            let now = Timestamp::now();
            let is_good = |token: &&Token| token.revoked_at.is_none() && token.expires_at > now;
            let left: Vec<&str> = (join.iter().filter(|token| token.created_by == *name).filter(is_good))
                .map(|token| token.id.as_str())
                .collect();
            if !left.is_empty() {
                let left = left.join(", ");
                output.note(&format!("join tokens that {name} made are still good; `token revoke` ends them: {left}"));
            }
            Ok(Exit::Done)
        }
    }
}

/// Shows what was done: a password that was generated alone on standard output, so that it can be caught.
fn shown(output: &mut Output, answer: &impl serde::Serialize, generated: Option<&str>, done: &str) {
    match (output.format(), generated) {
        (Format::Json, _) => output.secret(&serde_json::to_string_pretty(answer).unwrap_or_default()),
        (Format::Table | Format::Name, Some(password)) => {
            output.secret(password);
            output.note(done);
        }
        (Format::Table | Format::Name, None) => output.line(done),
    }
}

/// A name that is none must not become another path.
fn checked(name: &str) -> Result<&str, Failure> {
    check_name(name).map(|()| name).map_err(|error| Failure::new(Exit::Usage, error))
}

/// The password that is given, if one is.
fn read(from: &PasswordFrom) -> Result<Option<String>, Failure> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(Exit::Usage, format!("cannot read the password from {what}: {error}"))
    };
    match &from.password_file {
        Some(file) => {
            let what = file.display().to_string();
            let opened = File::open(file).map_err(|error| wrong(&what, &error))?;
            first_line(opened).map(Some).map_err(|error| wrong(&what, &error))
        }
        None if from.password_stdin => {
            first_line(io::stdin().lock()).map(Some).map_err(|error| wrong("standard input", &error))
        }
        None => Ok(None),
    }
}

/// The first line, without its end. What is longer than a password may be is not read to its end.
fn first_line(source: impl Read) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(source.take(LONGEST_PASSWORD as u64 + 2)).read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(io::Error::other("there is none"));
    }
    Ok(password.to_owned())
}

async fn list(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let users: Vec<User> = pages::all(client, "/users").await?;
    match output.format() {
        Format::Json => output.json(&users),
        Format::Name => users.iter().for_each(|user| output.line(&user.name)),
        Format::Table => {
            let now = Timestamp::now();
            let ago = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| format!("{} ago", since(at, now)));
            let mut table =
                output.table(&["USER", "ROLE", "SESSIONS", "LAST LOGIN", "PASSWORD CHANGED", "ADDED", "BY"]);
            for user in &users {
                table.add_row(vec![
                    Cell::new(&user.name),
                    Cell::new(user.role),
                    Cell::new(user.sessions),
                    Cell::new(ago(user.last_login_at)),
                    Cell::new(ago(user.password_changed_at)),
                    Cell::new(ago(Some(user.created_at))),
                    Cell::new(if user.created_by.is_empty() { "-" } else { &user.created_by }),
                ]);
            }
            output.show(table);
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (text, password) in [
            ("correct horse\nbattery\n", Some("correct horse")),
            ("correct horse", Some("correct horse")),
            (" spaces count \r\n", Some(" spaces count ")),
            ("", None),
            ("\n", None),
        ] {
            assert_eq!(first_line(text.as_bytes()).ok().as_deref(), password, "{text:?}");
        }
        assert!(first_line("a".repeat(5000).as_bytes()).unwrap().len() > LONGEST_PASSWORD);
    }
}
