//! `landfall demo`.

use std::process::ExitCode;

use super::DemoArguments;

/// Answers queries for the small cluster that is built in.
pub fn run(arguments: DemoArguments) -> ExitCode {
    let _ = arguments;
    ExitCode::FAILURE
}
