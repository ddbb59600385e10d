//! Where the built programs are, and running them.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// The directory of the built programs: a test or a bench lies in its `deps`, a program in itself.
fn profile() -> PathBuf {
    let program = std::env::current_exe().expect("a program has a path");
    let dir = program.parent().expect("a program lies in a directory");
    if dir.ends_with("deps") { dir.parent().expect("`deps` lies in a directory").to_owned() } else { dir.to_owned() }
}

/// The path of a program of the workspace; `script/test` builds them before the tests run.
pub fn path(name: &str) -> PathBuf {
    let program = profile().join(name);
    assert!(program.is_file(), "{} is missing: run script/test, which builds it", program.display());
    program
}

/// The path of a program of the Python tools.
pub fn python(name: &str) -> PathBuf {
    let program = profile().with_file_name("python").join("bin").join(name);
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
