//! `pprof [ADDRESS] { block [RATE] }`: shows what the process is doing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The pages about the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pprof {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
}

impl Default for Pprof {
    fn default() -> Self {
        Self { address: "localhost:6053".to_owned() }
    }
}

impl Directive for Pprof {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "pprof",
        syntax: "pprof [ADDRESS] { ... }",
        summary: "`/debug/pprof/`: the command line, the threads with their CPU time, and the memory of the process. The profiles of Go's runtime have no counterpart here: they are \
                  501, with a sentence on what to use. `localhost:6053` by default.",
        options: &[Opt { syntax: "block [RATE]", meaning: "has no effect: it is about goroutines", default: "" }],
        example: "pprof 127.0.0.1:6053",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let mut pprof = Self::default();
        match cursor.arguments().as_slice() {
            [] => {}
            [address] => pprof.address = super::lower_address(cursor, address)?,
            _ => return Err(cursor.error("takes one address")),
        }
        while cursor.next_option() {
            if cursor.word() != "block" {
                return Err(cursor.unknown::<Self>());
            }
            match cursor.arguments().as_slice() {
                [] => {}
                [rate] => {
                    cursor.number(rate, "block", i32::MIN..=i32::MAX)?;
                }
                _ => return Err(cursor.error("block takes a rate, and nothing else")),
            }
            cursor.warn("block has no effect: there are no goroutines that could wait");
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(pprof)),
        }
    }

    fn write(pprof: &Option<Self>, corefile: &mut Writer) {
        if let Some(Self { address }) = pprof {
            corefile.line(["pprof", address]);
        }
    }
}
