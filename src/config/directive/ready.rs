//! `ready [ADDRESS] { monitor until-ready|continuously }`: says that the server may get queries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The readiness page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ready {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
    /// Ask again after all were ready once.
    #[serde(skip_serializing_if = "is_default")]
    pub continuously: bool,
}

impl Default for Ready {
    fn default() -> Self {
        Self { address: ":8181".to_owned(), continuously: false }
    }
}

impl Directive for Ready {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "ready",
        syntax: "ready [ADDRESS] { ... }",
        summary: "`/ready` is 503 with what is missing and why (`kubernetes: endpointslices (403 forbidden)`) until every cluster was listed once, and again from SIGTERM on. `:8181` by default.",
        options: &[Opt {
            syntax: "monitor until-ready|continuously",
            meaning: "whether what was ready once is asked again",
            default: "until-ready",
        }],
        example: "ready :8181 {\n    monitor continuously\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let mut ready = Self::default();
        match cursor.arguments().as_slice() {
            [] => {}
            [address] => ready.address = super::lower_address(cursor, address)?,
            _ => return Err(cursor.error("takes one address")),
        }
        while cursor.next_option() {
            if cursor.word() != "monitor" {
                return Err(cursor.unknown::<Self>());
            }
            ready.continuously = match cursor.one_argument("until-ready or continuously")?.as_str() {
                "until-ready" => false,
                "continuously" => true,
                other => return Err(cursor.error(format!("monitor takes until-ready or continuously, not {other:?}"))),
            };
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(ready)),
        }
    }

    fn write(ready: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { address, continuously }) = ready else { return };
        corefile.block(["ready", address], |options| {
            if *continuously {
                options.line(["monitor", "continuously"]);
            }
        });
    }
}
