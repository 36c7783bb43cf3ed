//! `prometheus [ADDRESS]`: metrics.

use crate::config::corefile::{CorefileError, Cursor};

/// The metrics page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
}

impl Prometheus {
    /// Reads the directive.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        cursor.advance();
        let address = match cursor.arguments().as_slice() {
            [] => "localhost:9153".to_owned(),
            [address] => super::lower_address(cursor, address)?,
            _ => return Err(cursor.error("takes one address")),
        };
        while cursor.next_option() {
            match cursor.word() {
                "runtime_metrics" => {
                    cursor.no_argument()?;
                    cursor.warn("runtime_metrics is left out: there is no Go runtime");
                }
                "tls" => return Err(cursor.error("tls is not built yet")),
                _ => return Err(cursor.unknown("runtime_metrics")),
            }
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Self { address }),
        }
    }
}
