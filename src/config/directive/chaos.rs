//! `chaos [VERSION [AUTHORS...]]`: answers questions of class CH about the server.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// What is said of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chaos {
    /// version.bind and version.server.
    pub version: String,
    /// authors.bind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
}

impl Default for Chaos {
    fn default() -> Self {
        Self { version: format!("Landfall-{}", env!("CARGO_PKG_VERSION")), authors: Vec::new() }
    }
}

impl Directive for Chaos {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "chaos",
        syntax: "chaos [VERSION [AUTHORS...]]",
        summary: "Answers TXT questions of class CH for version.bind, version.server, hostname.bind, id.server and authors.bind. A text is cut at 255 octets.",
        options: &[],
        example: "chaos Landfall-1 \"Ann Author\"",
    };

    /// Reads the directive; what it does not say is that of this build.
    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let mut arguments = cursor.arguments().into_iter();
        let version = arguments.next().unwrap_or_else(|| Self::default().version);
        let authors: BTreeSet<String> = arguments.map(shortened).collect();
        if cursor.next_option() {
            return Err(cursor.error(format!("unknown property {:?}; it takes no block", cursor.word())));
        }
        cursor.leave_out_rest();
        Ok(Some(Self { version: shortened(version), authors: authors.into_iter().collect() }))
    }

    fn write(chaos: &Option<Self>, corefile: &mut Writer) {
        if let Some(Self { version, authors }) = chaos {
            corefile.line(["chaos", version].into_iter().chain(authors.iter().map(String::as_str)));
        }
    }
}

/// A text has at most 255 octets (RFC 1035 section 3.3); what is more is cut off, as in CoreDNS.
fn shortened(mut text: String) -> String {
    let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
    text.truncate(ends.take_while(|end| *end <= 255).last().unwrap_or_default());
    text
}
