//! What is typed: arguments, subcommands, exit codes.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with its arguments, the first of which is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let _ = arguments;
    ExitCode::FAILURE
}
