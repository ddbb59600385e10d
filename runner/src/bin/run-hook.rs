//! The launcher as a program of its own, for the tests of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::launch::main_if_asked().unwrap_or(ExitCode::FAILURE)
}
