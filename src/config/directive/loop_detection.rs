//! `loop`: notices that the server forwards to itself.

use super::{Directive, Reference, lower_word};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The directive; it has no values.
#[derive(Debug)]
pub struct Loop;

impl Directive for Loop {
    type Values = bool;

    const REFERENCE: Reference = Reference {
        name: "loop",
        syntax: "loop",
        summary: "Asks itself a question that nobody can guess when it starts; if that comes back more than twice, the server forwards to itself, says so \
                  and ends with 1.",
        options: &[],
        example: "loop",
    };

    /// A word and nothing else, once.
    fn lower(cursor: &mut Cursor<'_>) -> Result<bool, CorefileError> {
        lower_word(cursor)?;
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(true),
        }
    }

    fn write(is_there: &bool, corefile: &mut Writer) {
        if *is_there {
            corefile.line(["loop"]);
        }
    }
}
