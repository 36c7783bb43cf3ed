//! `cancel [DURATION]`: how long a query may take.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Text};

/// How long a query may take.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cancel {
    /// Until it is given up.
    #[serde_as(as = "AsText")]
    pub timeout: Duration,
}

impl Default for Cancel {
    /// A little longer than clients wait.
    fn default() -> Self {
        Self { timeout: Duration::from_millis(5001) }
    }
}

impl Directive for Cancel {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "cancel",
        syntax: "cancel [DURATION]",
        summary: "How long a query may take in this block: then what it waits for is given up, and the client gets SERVFAIL. Default 5.001s. Without it 10s.",
        options: &[],
        example: "cancel 1500ms",
    };

    /// The last line counts, as in CoreDNS.
    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut cancel = Self::default();
        while cursor.advance() {
            match cursor.arguments().as_slice() {
                [] => cancel = Self::default(),
                [timeout] => cancel.timeout = cursor.duration(timeout, "the timeout")?,
                _ => return Err(cursor.error("takes one duration")),
            }
            if cancel.timeout.is_zero() {
                return Err(cursor.error("the timeout is longer than 0, or nothing is ever answered"));
            }
        }
        Ok(Some(cancel))
    }

    fn write(cancel: &Option<Self>, corefile: &mut Writer) {
        if let Some(Self { timeout }) = cancel {
            corefile.line(["cancel", &timeout.text()]);
        }
    }
}
