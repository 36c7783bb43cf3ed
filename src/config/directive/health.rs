//! `health [ADDRESS] { lameduck DURATION }`: says that the process lives.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Text};

/// The health page.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
    /// How long the server goes on answering after SIGTERM.
    #[serde_as(as = "AsText")]
    #[serde(skip_serializing_if = "is_default")]
    pub lameduck: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self { address: ":8080".to_owned(), lameduck: Duration::ZERO }
    }
}

impl Directive for Health {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "health",
        syntax: "health [ADDRESS] { ... }",
        summary: "`/health` says OK while the process lives, `:8080` by default; in one block or in several, also with the same address.",
        options: &[Opt {
            syntax: "lameduck DURATION",
            meaning: "how long the server goes on answering after SIGTERM",
            default: "0s",
        }],
        example: "health {\n    lameduck 5s\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut health = Self::default();
        while cursor.advance() {
            match cursor.arguments().as_slice() {
                [] => {}
                [address] => health.address = super::lower_address(cursor, address)?,
                _ => return Err(cursor.error("takes one address")),
            }
            while cursor.next_option() {
                if cursor.word() != "lameduck" {
                    return Err(cursor.unknown::<Self>());
                }
                let text = cursor.one_argument("a duration")?;
                health.lameduck = match text.strip_prefix('-') {
                    // A moment in the past is over at once, in CoreDNS, too.
                    Some(negated) => {
                        let _ = cursor.duration(negated, "lameduck")?;
                        cursor.warn(format!("lameduck {text} is read as 0s"));
                        Duration::ZERO
                    }
                    None => cursor.duration(&text, "lameduck")?,
                };
            }
        }
        Ok(Some(health))
    }

    fn write(health: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { address, lameduck }) = health else { return };
        corefile.block(["health", address], |options| {
            if !lameduck.is_zero() {
                options.line(["lameduck", &lameduck.text()]);
            }
        });
    }
}
