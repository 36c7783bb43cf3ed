//! `local { localhost_prefix on|off }`: names of this host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// Names of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Local {
    /// Whether `localhost.` before any other name is this host, too.
    pub localhost_prefix: bool,
}

impl Default for Local {
    fn default() -> Self {
        Self { localhost_prefix: true }
    }
}

impl Directive for Local {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "local",
        syntax: "local",
        summary: "Answers localhost and all below it with 127.0.0.1 and ::1 (RFC 6761), 1.0.0.127.in-addr.arpa with localhost, and the \
                  rest of localhost, 0, 127 and 255.in-addr.arpa with nothing, so that none of it is forwarded.",
        options: &[Opt {
            syntax: "localhost_prefix on|off",
            meaning: "whether `localhost.` with a search domain behind it is this host, too",
            default: "on",
        }],
        example: "local {\n    localhost_prefix off\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut local = Self::default();
        while cursor.advance() {
            cursor.no_argument()?;
            while cursor.next_option() {
                if cursor.word() != "localhost_prefix" {
                    return Err(cursor.unknown::<Self>());
                }
                local.localhost_prefix = match cursor.arguments().as_slice() {
                    [state] if state == "on" => true,
                    [state] if state == "off" => false,
                    _ => return Err(cursor.error("localhost_prefix takes on or off")),
                };
            }
        }
        Ok(Some(local))
    }

    fn write(local: &Option<Self>, corefile: &mut Writer) {
        if let Some(Self { localhost_prefix }) = local {
            corefile.block(["local"], |options| {
                if !localhost_prefix {
                    options.line(["localhost_prefix", "off"]);
                }
            });
        }
    }
}
