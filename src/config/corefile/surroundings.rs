//! What a Corefile refers to outside itself.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Files that are larger are not read; a ConfigMap holds 1 MiB.
const FILE_SIZE_MAX: u64 = 16 << 20;

/// Files and variables, as they are while a Corefile is read.
pub trait Surroundings {
    /// The text of a file.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// Whether a file is there and can be read.
    fn find(&self, path: &Path) -> io::Result<()> {
        self.read(path).map(drop)
    }
    /// The files that a pattern with `*` and `?` matches, sorted.
    fn matching(&self, pattern: &str) -> Vec<PathBuf>;
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The port of server blocks that name none (`-dns.port`).
    fn port(&self) -> u16 {
        53
    }
    /// Whether what CoreDNS has removed is replaced (`--migrate`).
    fn migrates(&self) -> bool {
        false
    }
}

/// The disk and the environment of the process.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// The port of server blocks that name none.
    pub port: u16,
    /// Whether what CoreDNS has removed is replaced.
    pub migrates: bool,
}

impl Surroundings for System {
    fn read(&self, path: &Path) -> io::Result<String> {
        let mut octets = Vec::new();
        std::fs::File::open(path)?.take(FILE_SIZE_MAX + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > FILE_SIZE_MAX {
            return Err(io::Error::other(format!("it has more than {} MiB", FILE_SIZE_MAX >> 20)));
        }
        text(octets)
    }

    fn find(&self, path: &Path) -> io::Result<()> {
        match std::fs::File::open(path)?.metadata()?.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => Ok(()),
        }
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

    fn migrates(&self) -> bool {
        self.migrates
    }
}

/// A file that is no text.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is not UTF-8 text; save the file as UTF-8")]
pub struct NotText {
    /// The line, counted from 1.
    pub line: usize,
}

/// The text of a file as people write them: UTF-8.
pub fn text(octets: Vec<u8>) -> io::Result<String> {
    String::from_utf8(octets).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = 1 + valid.filter(|octet| **octet == b'\n').count();
        io::Error::new(io::ErrorKind::InvalidData, NotText { line })
    })
}
