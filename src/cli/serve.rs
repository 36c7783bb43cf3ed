//! `landfall serve`.

use std::process::ExitCode;

use super::ServeArguments;
use crate::app::{Access, Options};

/// Answers queries until it is told to stop.
pub fn run(arguments: ServeArguments) -> ExitCode {
    let ServeArguments { corefile, port, pidfile, quiet, migrates, kubeconfig, context } = arguments;
    let access = Access { kubeconfig, context, built_in: None };
    crate::app::run(&Options { corefile, port, migrates, pidfile, quiet, access, greeting: None })
}
