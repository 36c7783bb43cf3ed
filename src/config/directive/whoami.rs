//! `whoami`: says who asked.

use super::{Directive, Reference, lower_word};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The directive; it has no values.
#[derive(Debug)]
pub struct Whoami;

impl Directive for Whoami {
    type Values = bool;

    const REFERENCE: Reference = Reference {
        name: "whoami",
        syntax: "whoami",
        summary: "Says who asked: the client's address and port stand in the additional section.",
        options: &[],
        example: "whoami",
    };

    /// A word and nothing else, however often.
    fn lower(cursor: &mut Cursor<'_>) -> Result<bool, CorefileError> {
        lower_word(cursor)?;
        cursor.leave_out_rest();
        Ok(true)
    }

    fn write(is_there: &bool, corefile: &mut Writer) {
        if *is_there {
            corefile.line(["whoami"]);
        }
    }
}
