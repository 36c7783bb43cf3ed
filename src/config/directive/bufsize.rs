//! `bufsize [SIZE]`: the largest UDP size that is taken from a client's OPT.

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The directive; its value is the size.
#[derive(Debug)]
pub struct Bufsize;

impl Directive for Bufsize {
    type Values = Option<u16>;

    const REFERENCE: Reference = Reference {
        name: "bufsize",
        syntax: "bufsize [SIZE]",
        summary: "The largest UDP size that is taken from a client's OPT, 512 to 4096; 1232 where none is named.",
        options: &[],
        example: "bufsize 1232",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<u16>, CorefileError> {
        cursor.advance();
        let size = match cursor.arguments().as_slice() {
            [] => 1232,
            [text] => cursor.number(text, "the size", 512..=4096)?,
            _ => return Err(cursor.error("takes one size")),
        };
        cursor.leave_out_rest();
        Ok(Some(size))
    }

    fn write(size: &Option<u16>, corefile: &mut Writer) {
        if let Some(size) = size {
            corefile.line(["bufsize".to_owned(), size.to_string()]);
        }
    }
}
