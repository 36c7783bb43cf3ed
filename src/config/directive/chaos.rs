//! `chaos [VERSION [AUTHORS...]]`: answers questions of class CH about the server.

use crate::config::corefile::{CorefileError, Cursor};

use std::collections::BTreeSet;

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
        let authors: BTreeSet<String> = arguments.map(shortened).collect();
        if cursor.next_option() {
            return Err(cursor.error(format!("unknown property {:?}; it takes no block", cursor.word())));
        }
        cursor.leave_out_rest();
        Ok(Self { version: shortened(version), authors: authors.into_iter().collect() })
    }
}

/// A text has at most 255 octets (RFC 1035 section 3.3); what is more is cut off, as in CoreDNS.
fn shortened(mut text: String) -> String {
    let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
    text.truncate(ends.take_while(|end| *end <= 255).last().unwrap_or_default());
    text
}
