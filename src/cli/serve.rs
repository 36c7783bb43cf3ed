//! `landfall serve`.

use std::process::ExitCode;

use super::ServeArguments;

/// Answers queries until it is told to stop.
pub fn run(arguments: ServeArguments) -> ExitCode {
    let _ = arguments;
    ExitCode::FAILURE
}
