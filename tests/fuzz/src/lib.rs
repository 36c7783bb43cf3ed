//! What the targets have in common.

pub mod answer;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use landfall::config::corefile::{Surroundings, read};
use landfall::config::{Config, yaml};

/// A few files and variables.
pub struct Desk;

impl Surroundings for Desk {
    fn read(&self, path: &Path) -> io::Result<String> {
        Ok(match path.to_str() {
            Some("a") => "import b\nlog\n",
            Some("b") => "import a\n",
            Some("resolv.conf") => "nameserver 192.0.2.1\n",
            _ => return Err(io::ErrorKind::NotFound.into()),
        }
        .to_owned())
    }

    fn matching(&self, _pattern: &str) -> Vec<PathBuf> {
        vec!["a".into()]
    }

    fn variable(&self, name: &str) -> Option<String> {
        ["A", "B"].contains(&name).then(|| "{$B} x".to_owned())
    }
}

/// Runs something that may take 100 ms for 64 KiB.
pub fn within_time<T>(text: &str, run: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = run();
    let took = started.elapsed();
    assert!(text.len() > 65536 || took < Duration::from_millis(100), "{took:?}");
    result
}

/// A configuration is read as it was written, in both forms.
pub fn check_written(config: &Config) {
    let Ok(written) = config.to_corefile() else { return };
    let again = read(&written.text, "written", &Desk).expect("a Corefile").config;
    assert_eq!(&again, config, "{}", written.text);
    let text = yaml::write(config).expect("YAML");
    assert_eq!(&yaml::read(&text, "written", &Desk).expect("YAML").config, config, "{text}");
}
