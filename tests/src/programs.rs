//! Where the built programs are, and running them.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// The path of a program of the workspace; `script/test` builds them before the tests run.
pub fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps");
    let program = profile.join(name);
    assert!(program.is_file(), "{} is missing: run script/test, which builds it", program.display());
    program
}

/// The path of a program of the Python tools, which `script/setup test` installs beside what is built.
pub fn python(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.ancestors().nth(3).expect("a test lies in target/PROFILE/deps");
    let program = target.join("python/bin").join(name);
    assert!(program.is_file(), "{} is missing: run script/setup test, which installs it", program.display());
    program
}

/// What a program that has ended left.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Ran {
    command.output().expect("the program runs").into()
}
