//! The Corefile: [`lex`] makes tokens, [`parse`] makes server blocks of directives, [`lower`] makes the [`Config`].
//!
//! The grammar is Caddy's, as CoreDNS uses it. Files, variables and patterns are asked of [`Surroundings`] while a
//! Corefile is read, and never afterwards.

mod certificates;
mod costs;
mod cursor;
mod key;
mod lex;
mod lower;
mod migrate;
mod needs;
mod parse;
mod similar;
mod surroundings;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::io;
use std::path::PathBuf;

pub use self::costs::{Costs, bounded};
pub use self::cursor::{Cursor, parse_duration};
pub use self::key::{SCHEMES_LEFT_OUT, parse_keys, parse_zone};
pub use self::lower::LEFT_OUT;
pub use self::migrate::{REMOVED, Removed};
pub use self::parse::expand;
pub use self::similar::similar;
use self::surroundings::NotText;
pub use self::surroundings::{Surroundings, System, text};
pub use self::write::{Writer, Written};
use crate::config::{Config, yaml};

/// What is wrong with a Corefile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {}", one_line(what))]
pub struct CorefileError {
    /// The file as it was named.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// `directive: what is wrong and what would be right`.
    pub what: String,
}

/// A Corefile that was read, with what an operator should know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What to tell an operator: an import pattern without a file, a hosts line that is skipped.
    pub warnings: Vec<CorefileError>,
    /// Where its server blocks begin, in their order: `FILE:LINE`.
    pub places: Vec<String>,
    /// Whether it was written in YAML.
    pub is_yaml: bool,
    /// SHA-512 over the configuration, in hexadecimal: two loads with the same hash mean the same.
    pub hash: String,
}

/// What is read where a Corefile says nothing, as CoreDNS does it.
const BUILT_IN: &str = ". {\nwhoami\nlog\n}\n";

/// Where a Corefile is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a file, which is read again by each load.
    File(PathBuf),
    /// Here, as it came from standard input.
    Text {
        /// What messages call it; imports are looked for in the folder of that name.
        name: String,
        /// The Corefile.
        text: String,
    },
}

impl Source {
    /// The Corefile that is used where there is none.
    pub fn built_in() -> Self {
        Self::Text { name: "built-in Corefile".to_owned(), text: String::new() }
    }

    /// Reads the Corefile and everything that it imports; `port` is that of server blocks that name none.
    pub fn load(&self, port: u16) -> Result<Loaded, Vec<CorefileError>> {
        self.load_with(System { port, migrates: false })
    }

    /// The same with all that can be told of the surroundings.
    pub fn load_with(&self, system: System) -> Result<Loaded, Vec<CorefileError>> {
        match self {
            Self::File(path) => {
                let name = path.display().to_string();
                let text = system.read(path).map_err(|error| vec![unreadable(&name, &error)])?;
                read_either(&text, &name, &system)
            }
            Self::Text { name, text } => read_either(text, name, &system),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text { name, .. } => f.write_str(name),
        }
    }
}

/// The error that a Corefile cannot be read, at its line if it is no text.
pub fn unreadable(file: &str, error: &io::Error) -> CorefileError {
    let not_text = error.get_ref().and_then(|inner| inner.downcast_ref::<NotText>());
    let what = format!("the Corefile cannot be read: {error}");
    CorefileError { file: file.to_owned(), line: not_text.map_or(1, |not_text| not_text.line), what }
}

/// A text from a file cannot begin a line of its own, or speak to a terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

/// Reads a Corefile, or YAML if that is what it is.
fn read_either(text: &str, name: &str, system: &System) -> Result<Loaded, Vec<CorefileError>> {
    let is_yaml = [".yaml", ".yml", ".json"].into_iter().any(|ending| name.ends_with(ending)) || yaml::is_yaml(text);
    if is_yaml { yaml::read(text, name, system) } else { read(text, name, system) }
}

/// Reads a Corefile from a text; `file` is what messages call it, and its folder is where imports are looked for.
///
/// The errors are all that could be found: one of the grammar, or one of each directive.
pub fn read(text: &str, file: &str, surroundings: &dyn Surroundings) -> Result<Loaded, Vec<CorefileError>> {
    let mut warnings = Vec::new();
    let mut blocks = parse::parse(text, file, surroundings, &mut warnings).map_err(|error| vec![error])?;
    if blocks.is_empty() {
        blocks = parse::parse(BUILT_IN, "built-in", surroundings, &mut warnings).map_err(|error| vec![error])?;
    }
    if surroundings.migrates() {
        migrate::migrate(&mut blocks, &mut warnings);
    }
    let (config, places) = lower::lower(&blocks, surroundings, &mut warnings).map_err(bounded)?;
    let hash = config.hash();
    Ok(Loaded { config, warnings: bounded(warnings), places, is_yaml: false, hash })
}
