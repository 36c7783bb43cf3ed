//! The `landfall` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    landfall::cli::run(std::env::args_os())
}
