//! `bufsize [SIZE]`: the largest UDP size that is taken from a client's OPT.

use crate::config::corefile::{CorefileError, Cursor};

/// Reads the size: 512 to 4096, 1232 where none is named.
pub fn lower_bufsize(cursor: &mut Cursor<'_>) -> Result<u16, CorefileError> {
    cursor.advance();
    let size = match cursor.arguments().as_slice() {
        [] => 1232,
        [text] => cursor.number(text, "the size", 512..=4096)?,
        _ => return Err(cursor.error("takes one size")),
    };
    cursor.leave_out_rest();
    Ok(size)
}
