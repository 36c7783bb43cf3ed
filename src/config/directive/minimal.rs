//! `minimal`: answers without what was not asked for.

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The directive; it has no values.
#[derive(Debug)]
pub struct Minimal;

impl Directive for Minimal {
    type Values = bool;

    const REFERENCE: Reference = Reference {
        name: "minimal",
        syntax: "minimal",
        summary: "Leaves out the authority and additional sections of positive answers; delegations and negative answers keep them.",
        options: &[],
        example: "minimal",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<bool, CorefileError> {
        cursor.advance();
        if cursor.next_argument() {
            return Err(cursor.error(format!("takes nothing; remove {:?}", cursor.word())));
        }
        cursor.leave_out_rest();
        Ok(true)
    }

    fn write(is_there: &bool, corefile: &mut Writer) {
        if *is_there {
            corefile.line(["minimal"]);
        }
    }
}
