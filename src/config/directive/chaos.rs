//! `chaos [VERSION [AUTHORS...]]`: answers questions of class CH about the server.

/// What is said of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chaos {
    /// version.bind and version.server.
    pub version: String,
    /// authors.bind.
    pub authors: Vec<String>,
}
