//! `any`: a small answer to questions of type ANY.

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The directive; it has no values.
#[derive(Debug)]
pub struct Any;

impl Directive for Any {
    type Values = bool;

    const REFERENCE: Reference = Reference {
        name: "any",
        syntax: "any",
        summary: "Answers questions of type ANY with one HINFO record that names RFC 8482.",
        options: &[],
        example: "any",
    };

    /// A word; what follows has no meaning, in CoreDNS, too.
    fn lower(cursor: &mut Cursor<'_>) -> Result<bool, CorefileError> {
        cursor.advance();
        cursor.leave_out_rest();
        Ok(true)
    }

    fn write(is_there: &bool, corefile: &mut Writer) {
        if *is_there {
            corefile.line(["any"]);
        }
    }
}
