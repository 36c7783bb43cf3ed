//! What a Corefile refers to outside itself.

use std::io;
use std::path::{Path, PathBuf};

/// Files and variables, as they are while a Corefile is read.
pub trait Surroundings {
    /// The text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// The files that a pattern with `*` and `?` matches, sorted.
    fn matching(&self, pattern: &str) -> Vec<PathBuf>;
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The port of server blocks that name none (`-dns.port`).
    fn port(&self) -> u16 {
        53
    }
}

/// The disk and the environment of the process.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// The port of server blocks that name none.
    pub port: u16,
}

impl Surroundings for System {
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        glob::glob(pattern).map(|paths| paths.flatten().collect()).unwrap_or_default()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn port(&self) -> u16 {
        self.port
    }
}
