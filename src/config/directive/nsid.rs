//! `nsid [TEXT...]`: the name of this server, for clients that ask for it.

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// Octets of the name at most: 512 octets have room for it beside a question of any name.
const TEXT_MAX: usize = 128;

/// The directive; its value is the name, empty where it is that of the host.
#[derive(Debug)]
pub struct Nsid;

impl Directive for Nsid {
    type Values = Option<String>;

    const REFERENCE: Reference = Reference {
        name: "nsid",
        syntax: "nsid [TEXT...]",
        summary: "Names the server (RFC 5001) to clients that ask for it (`dig +nsid`): TEXT, at most 128 octets, or else the name of the host.",
        options: &[],
        example: "nsid node-1",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<String>, CorefileError> {
        cursor.advance();
        let text = cursor.arguments().join(" ");
        if text.len() > TEXT_MAX {
            return Err(cursor.error(format!("the name has {} octets; there is room for {TEXT_MAX}", text.len())));
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(text)),
        }
    }

    fn write(text: &Option<String>, corefile: &mut Writer) {
        if let Some(text) = text {
            corefile.line(["nsid"].into_iter().chain((!text.is_empty()).then_some(text.as_str())));
        }
    }
}
