//! What the operator's signals mean.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

/// The signals that the process answers to.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
    hang_up: Signal,
    quit: Signal,
    upgrade: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGUSR1: read the Corefile again.
    Reload,
    /// SIGTERM, SIGINT: stop in order.
    Stop(&'static str),
    /// SIGQUIT: end at once.
    Quit,
}

impl Signals {
    /// From now on signals are answered to here.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::user_defined1())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next wish. Nothing is lost if this is dropped before it is ready.
    pub async fn next(&mut self) -> Wish {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Wish::Stop("SIGTERM"),
                _ = self.interrupt.recv() => return Wish::Stop("SIGINT"),
                _ = self.quit.recv() => return Wish::Quit,
                _ = self.reload.recv() => return Wish::Reload,
                // A terminal that is gone is nothing to end for.
                _ = self.hang_up.recv() => {}
                // Unlike CoreDNS: the binary is not replaced in a running process.
                _ = self.upgrade.recv() => warn!("SIGUSR2 is ignored: start the new version beside this one"),
            }
        }
    }
}
