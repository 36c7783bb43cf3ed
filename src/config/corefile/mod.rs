//! The Corefile: [`lex`] makes tokens, [`parse`] makes server blocks of directives, [`lower`] makes the [`Config`].

use std::path::Path;

use crate::config::Config;

/// What is wrong with a Corefile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
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
    /// Sentences for the log: an import pattern without a file, a hosts line that is skipped.
    pub warnings: Vec<String>,
    /// SHA-512 over what the file and its imports say, comments and spacing left out, in hexadecimal: two loads with
    /// the same hash mean the same.
    pub hash: String,
}

/// Reads a Corefile and everything that it imports.
pub fn load(path: &Path) -> Result<Loaded, CorefileError> {
    Err(CorefileError { file: path.display().to_string(), line: 1, what: "not built yet".to_owned() })
}

/// Reads a Corefile from a text; imports are relative to the working directory.
pub fn read(text: &str, file: &str) -> Result<Loaded, CorefileError> {
    let _ = text;
    Err(CorefileError { file: file.to_owned(), line: 1, what: "not built yet".to_owned() })
}
