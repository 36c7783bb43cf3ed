//! `chaos [VERSION [AUTHORS...]]`: answers questions of class CH about the server.

use crate::config::corefile::{CorefileError, Cursor};

/// What is said of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chaos {
    /// version.bind and version.server.
    pub version: String,
    /// authors.bind.
    pub authors: Vec<String>,
}

impl Chaos {
    /// Reads the directive; what it does not say is that of this build.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        cursor.advance();
        let mut arguments = cursor.arguments().into_iter();
        let version = arguments.next().unwrap_or_else(|| format!("Landfall-{}", env!("CARGO_PKG_VERSION")));
        Ok(Self { version, authors: arguments.collect() })
    }
}
