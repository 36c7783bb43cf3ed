//! `debug`: more in the log.

use super::{Directive, Reference, lower_word};
use crate::config::corefile::{CorefileError, Cursor, Writer};

/// The directive; it has no values.
#[derive(Debug)]
pub struct Debug;

impl Directive for Debug {
    type Values = bool;

    const REFERENCE: Reference = Reference {
        name: "debug",
        syntax: "debug",
        summary: "`[DEBUG]` lines in the log, of the whole process, as long as any block has it. `RUST_LOG` has the last word. A panic costs its query alone, also with it.",
        options: &[],
        example: "debug",
    };

    /// A word and nothing else, however often.
    fn lower(cursor: &mut Cursor<'_>) -> Result<bool, CorefileError> {
        lower_word(cursor)?;
        cursor.leave_out_rest();
        Ok(true)
    }

    fn write(is_there: &bool, corefile: &mut Writer) {
        if *is_there {
            corefile.line(["debug"]);
        }
    }
}
