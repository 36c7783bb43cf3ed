//! `health [ADDRESS] { lameduck DURATION }`: says that the process lives.

use crate::config::corefile::{CorefileError, Cursor};

use std::time::Duration;

/// The health page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
    /// How long the server goes on answering after SIGTERM.
    pub lameduck: Duration,
}

impl Health {
    /// Reads the directive.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let mut health = Self { address: ":8080".to_owned(), lameduck: Duration::ZERO };
        while cursor.advance() {
            match cursor.arguments().as_slice() {
                [] => {}
                [address] => health.address = super::lower_address(cursor, address)?,
                _ => return Err(cursor.error("takes one address")),
            }
            while cursor.next_option() {
                if cursor.word() != "lameduck" {
                    return Err(cursor.unknown("lameduck"));
                }
                let text = cursor.one_argument("a duration")?;
                health.lameduck = cursor.duration(&text, "lameduck")?;
            }
        }
        Ok(health)
    }
}
