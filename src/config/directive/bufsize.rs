//! `bufsize [SIZE]`: the largest UDP size that is taken from a client's OPT.

use crate::config::corefile::{CorefileError, Cursor};

/// Reads the size: 512 to 4096, 1232 where none is named.
pub fn lower_bufsize(cursor: &mut Cursor<'_>) -> Result<u16, CorefileError> {
    let mut size = 1232;
    while cursor.advance() {
        match cursor.arguments().as_slice() {
            [] => {}
            [text] => size = cursor.number(text, "the size", 512..=4096)?,
            _ => return Err(cursor.error("takes one size")),
        }
    }
    Ok(size)
}
