//! `multisocket [N]`: how many sockets a listener has.

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The directive; its value is the number of sockets, 0 where none is named.
#[derive(Debug)]
pub struct Multisocket;

impl Directive for Multisocket {
    type Values = Option<u16>;

    const REFERENCE: Reference = Reference {
        name: "multisocket",
        syntax: "multisocket [N]",
        summary: "How many UDP sockets a listener has, each with a thread of its own: 1 to 1024. Without N: one for each core; without it: the same, but 4 at most. Of the blocks \
                  of one listener, the first that says it counts, when the sockets open. TCP and encrypted listeners have one socket, whose connections use all cores.",
        options: &[],
        example: "multisocket 4",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<u16>, CorefileError> {
        cursor.advance();
        let sockets = match cursor.arguments().as_slice() {
            [] => 0,
            [text] => cursor.number(text, "the number of sockets", 1..=1024)?,
            _ => return Err(cursor.error("takes one number")),
        };
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(sockets)),
        }
    }

    fn write(sockets: &Option<u16>, corefile: &mut Writer) {
        if let Some(sockets) = sockets {
            corefile.line(std::iter::once("multisocket".to_owned()).chain((*sockets > 0).then(|| sockets.to_string())));
        }
    }
}
