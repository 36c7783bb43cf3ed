//! `ready [ADDRESS] { monitor until-ready|continuously }`: says that the server may get queries.

use crate::config::corefile::{CorefileError, Cursor};

/// The readiness page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
    /// Ask again after all were ready once.
    pub continuously: bool,
}

impl Ready {
    /// Reads the directive.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        cursor.advance();
        let address = match cursor.arguments().as_slice() {
            [] => ":8181".to_owned(),
            [address] => super::lower_address(cursor, address)?,
            _ => return Err(cursor.error("takes one address")),
        };
        let mut ready = Self { address, continuously: false };
        while cursor.next_option() {
            if cursor.word() != "monitor" {
                return Err(cursor.unknown("monitor"));
            }
            ready.continuously = match cursor.one_argument("until-ready or continuously")?.as_str() {
                "until-ready" => false,
                "continuously" => true,
                other => return Err(cursor.error(format!("monitor takes until-ready or continuously, not {other:?}"))),
            };
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(ready),
        }
    }
}
